// SPDX-License-Identifier: Apache-2.0
// The products of a strip of a matrix with one vector or with four. Each row's sum is made in the same
// order whatever shares the pass, so that a token is the same bits in a prompt and alone. The loops of
// constant length are unrolled, wholly or in part: what they index are registers then.

#define DOTS_MOST 4 // vectors at once

// Asks for a line of memory further on in the stream, with each line that is read (in a heap they would
// hold up what is wanted now), for the second cache: the first has few places for lines on their way. A
// processor's own prefetcher and window do not reach far enough to hide memory behind this arithmetic.
#ifdef CPU_DEVICE
#define FETCH_AHEAD 4096
#define FETCH(p) __builtin_prefetch((const void *)(size_t)((p) + FETCH_AHEAD), 0, 2)
#else
#define FETCH(p)
#endif
#define LINE 64

// dots_one: W x for the strip's 16 rows. dots_four: y[t] = W x[t] for four vectors.
#ifdef BITS

// Columns 2j and 2j + 1 of a tile, two 16-bit numbers a lane.
static inline int16 tile_pair(__global const uchar *tile, uint j)
{
	uint at = j / (IN_INT / 2);
	int16 ints = vload16(at, (__global const int *)tile);

	if (j % (IN_INT / 2) == 0)
		FETCH(tile + at * LINE);
	return (ints >> (int)(j % (IN_INT / 2) * BITS)) & FIELDS;
}

// y plus a tile's sum of products of integers, from which counting from zero took nothing off yet.
static inline float16 add_block(float16 y, int16 sum, float16 scales, __global const int *x)
{
	sum -= x[BLOCK_SUM] * TILE_ZERO;
	return fma(convert_float16(sum), scales * as_float(x[BLOCK_SCALE]), y);
}

static inline float16 dots_one(__global const uchar *strip, __global const int *x, uint cols)
{
	uint tiles = cols / TILE_COLS;
	float16 y = 0.0f;

	for (uint i = 0; i < tiles; i++, x += BLOCK_INTS) {
		__global const uchar *tile = STRIP_TILE(strip, i, tiles);
		int16 sum = 0;

#pragma unroll
		for (uint j = 0; j < TILE_COLS / 2; j++)
			sum = add_dots(sum, tile_pair(tile, j), x[j]);
		y = add_block(y, sum, STRIP_SCALES(strip, i), x);
	}
	return y;
}

static inline void dots_four(
	__global const uchar *strip, __global const int *x, uint cols, float16 y[4])
{
	uint tiles = cols / TILE_COLS, next = ACTIVATION_LENGTH(cols);
	float16 all[4] = { 0.0f, 0.0f, 0.0f, 0.0f };

	for (uint i = 0; i < tiles; i++, x += BLOCK_INTS) {
		__global const uchar *tile = STRIP_TILE(strip, i, tiles);
		float16 scales = STRIP_SCALES(strip, i);
		int16 sum[4] = { 0, 0, 0, 0 };

#pragma unroll
		for (uint j = 0; j < TILE_COLS / 2; j++) {
			int16 pair = tile_pair(tile, j);

#pragma unroll
			for (uint t = 0; t < 4; t++)
				sum[t] = add_dots(sum[t], pair, x[t * next + j]);
		}
#pragma unroll
		for (uint t = 0; t < 4; t++)
			all[t] = add_block(all[t], sum[t], scales, x + t * next);
	}
	for (uint t = 0; t < 4; t++)
		y[t] = all[t];
}

#else

static inline float16 tile_column(__global const uchar *tile, uint j)
{
	if (j * (TILE_BYTES / TILE_COLS) % LINE == 0)
		FETCH(tile + j * (TILE_BYTES / TILE_COLS));
	return TILE_COLUMN(tile, j);
}

// Sums at once for a row, so that no product waits for the one before: column c is in sum c % 4.
static inline float16 whole(const float16 sum[4])
{
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static inline float16 dots_one(__global const uchar *strip, __global const float *x, uint cols)
{
	float16 sum[4] = { 0.0f, 0.0f, 0.0f, 0.0f };

	for (uint c = 0; c < cols; c += TILE_COLS, x += TILE_COLS, strip += TILE_BYTES) {
#pragma unroll 8
		for (uint j = 0; j < TILE_COLS; j++)
			sum[j % 4] = fma(tile_column(strip, j), (float16)x[j], sum[j % 4]);
	}
	return whole(sum);
}

static inline void dots_four(
	__global const uchar *strip, __global const float *x, uint cols, float16 y[4])
{
	__global const float *const row[4] = { x, x + cols, x + 2 * cols, x + 3 * cols };
	float16 sum[4][4];

#pragma unroll
	for (uint i = 0; i < 16; i++)
		sum[i / 4][i % 4] = 0.0f;
	for (uint c = 0; c < cols; c += TILE_COLS, strip += TILE_BYTES) {
#pragma unroll 8
		for (uint j = 0; j < TILE_COLS; j++) {
			float16 column = tile_column(strip, j);

#pragma unroll
			for (uint t = 0; t < 4; t++)
				sum[t][j % 4] =
					fma(column, (float16)row[t][c + j], sum[t][j % 4]);
		}
	}
#pragma unroll
	for (uint t = 0; t < 4; t++)
		y[t] = whole(sum[t]);
}

#endif

// The next of `left` vectors from the `t`th of `x` on: four, or fewer than four one by one. Returns how
// many. The weights come from memory once: the next vectors find them in the cache.
static inline uint next_dots(uint left, uint t, __global const uchar *strip,
	__global const activation *x, uint cols, float16 y[DOTS_MOST])
{
	x += (ulong)t * ACTIVATION_LENGTH(cols);
	if (left >= DOTS_MOST) {
		dots_four(strip, x, cols, y);
		return DOTS_MOST;
	}
	y[0] = dots_one(strip, x, cols);
	return 1;
}
