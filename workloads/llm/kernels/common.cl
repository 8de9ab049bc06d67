// SPDX-License-Identifier: Apache-2.0
// What every kernel shares: the model's shape as constants, the pass record, the weights' layout, and
// the dot products of four rows with some vectors.
//
// The host defines DIM, HEAD_DIM, HEAD_PADDING, HEADS, KV_HEADS, HIDDEN, VOCAB, CONTEXT, CACHE_SLOTS, NORM_EPS, one
// of WEIGHTS_F32, WEIGHTS_F16, WEIGHTS_Q8_0 and WEIGHTS_Q4_0, and CPU_DEVICE where that is what it is.
// Every kernel has work-groups of one work-item that does a fixed piece of work in a fixed order with
// 16-wide vectors: the result does not depend on how many compute units the device has, nor on which
// other sequences share the pass.

#pragma OPENCL FP_CONTRACT OFF

#define Q_DIM (HEADS * HEAD_DIM)
#define KV_DIM (KV_HEADS * HEAD_DIM)
#define VOCAB_ROWS ((VOCAB + 15) / 16 * 16)
#define PAGE 16 // slots of a page of the KV cache
#define TABLE (CONTEXT / PAGE) // entries in a sequence's page table
#define ROWS 4 // rows of a matrix that one work-item computes; they share the loads of the vectors
#define ONE_ITEM __attribute__((reqd_work_group_size(1, 1, 1)))

// The record of a pass, written by the host (forward.h has the same numbers). A pass has ROW_COUNT
// rows, each one token of a sequence; OUT_COUNT of them are followed by a logits row and a token.
#define MAX_ROWS 32
#define MAX_SEQUENCES 16
#define ROW_COUNT 0
#define OUT_COUNT 1
#define ROW_TOKEN(r) (4 + (r)) // a token, or -1: the one sampled last in this sequence
#define ROW_POSITION(r) (4 + MAX_ROWS + (r))
#define ROW_SEQUENCE(r) (4 + 2 * MAX_ROWS + (r))
#define OUT_ROW(o) (4 + 3 * MAX_ROWS + (o))

// Weights lie in tiles of four rows and 32 columns, one tile after the other along the rows, so that a
// work-item reads one stream of memory. A quantised tile begins with its four scales, as halves.
// TILE_LO(p, r) and TILE_HI(p, r) are columns 0 to 15 and 16 to 31 of row r of the tile at p, before the
// scale and, where they count from it, before TILE_ZERO is taken off.
#define TILE_COLS 32
#if defined(WEIGHTS_Q8_0)
#define TILE_BYTES 136
#define TILE_SCALED
#define TILE_LO(p, r) convert_float16(vload16(0, (__global const char *)(p) + 8 + (r) * 32))
#define TILE_HI(p, r) convert_float16(vload16(0, (__global const char *)(p) + 24 + (r) * 32))
#elif defined(WEIGHTS_Q4_0)
#define TILE_BYTES 72
#define TILE_SCALED
#define TILE_NIBBLES(p, r) convert_int16(vload16(0, (p) + 8 + (r) * 16))
#define TILE_LO(p, r) convert_float16(TILE_NIBBLES(p, r) & 15)
#define TILE_HI(p, r) convert_float16(TILE_NIBBLES(p, r) >> 4)
#define TILE_ZERO 8.0f
#elif defined(WEIGHTS_F16)
#define TILE_BYTES 256
#define TILE_LO(p, r) vload_half16(0, (__global const half *)(p) + (r) * 32)
#define TILE_HI(p, r) vload_half16(0, (__global const half *)(p) + (r) * 32 + 16)
#else
#define TILE_BYTES 512
#define TILE_LO(p, r) vload16(0, (__global const float *)(p) + (r) * 32)
#define TILE_HI(p, r) vload16(0, (__global const float *)(p) + (r) * 32 + 16)
#endif

#ifndef TILE_ZERO
#define TILE_ZERO 0.0f
#endif

// Adds 32 products of a row and a vector to 16 sums. `s` is the row's scale in this tile, `base` what the
// zero takes off, which is the same for all rows: TILE_BASE of the vector.
#define TILE_BASE(x0, x1) (((x0) + (x1)) * -TILE_ZERO)
#if defined(WEIGHTS_Q4_0)
#define TILE_ADD(sum, lo, hi, x0, x1, base, s) \
	sum = fma(fma((hi), (x1), fma((lo), (x0), (base))), (float16)(s), sum)
#elif defined(TILE_SCALED)
#define TILE_ADD(sum, lo, hi, x0, x1, base, s) \
	sum = fma(fma((hi), (x1), (lo) * (x0)), (float16)(s), sum)
#else
#define TILE_ADD(sum, lo, hi, x0, x1, base, s) sum = fma((hi), (x1), fma((lo), (x0), sum))
#endif

#ifdef TILE_SCALED
#define TILE_SCALES(p) vload_half4(0, (__global const half *)(p))
#else
#define TILE_SCALES(p) (float4)(1.0f)
#endif

// Asks for a place further on in the stream. A processor's own prefetcher and window do not reach far
// enough to hide memory behind this arithmetic.
#ifdef CPU_DEVICE
#define FETCH(p) __builtin_prefetch((const void *)(size_t)(p), 0, 3)
#define FETCH_AHEAD 4096
#else
#define FETCH(p)
#endif

static inline void fetch_tile(__global const uchar *p)
{
#ifdef CPU_DEVICE
	for (uint i = 0; i < (TILE_BYTES + 63) / 64; i++)
		FETCH(p + FETCH_AHEAD + i * 64);
#endif
}

static inline float sum16(float16 v)
{
	float8 a = v.lo + v.hi;
	float4 b = a.lo + a.hi;
	float2 c = b.lo + b.hi;

	return c.x + c.y;
}

// The four rows from `row` on of a matrix with `cols` columns: where their tiles begin.
static inline __global const uchar *tiles(
	__global const uchar *weights, ulong at, uint row, uint cols)
{
	return weights + at + (ulong)(row / ROWS) * (cols / TILE_COLS) * TILE_BYTES;
}

// W[row..row+3] . x
static inline float4 dot_one(__global const uchar *w, __global const float *x, uint cols)
{
	float16 a0 = 0.0f, a1 = 0.0f, a2 = 0.0f, a3 = 0.0f;

	for (uint c = 0; c < cols; c += TILE_COLS, w += TILE_BYTES) {
		float16 x0 = vload16(0, x + c), x1 = vload16(0, x + c + 16);
		float16 base = TILE_BASE(x0, x1);
		float4 s = TILE_SCALES(w);

		fetch_tile(w);
		TILE_ADD(a0, TILE_LO(w, 0), TILE_HI(w, 0), x0, x1, base, s.x);
		TILE_ADD(a1, TILE_LO(w, 1), TILE_HI(w, 1), x0, x1, base, s.y);
		TILE_ADD(a2, TILE_LO(w, 2), TILE_HI(w, 2), x0, x1, base, s.z);
		TILE_ADD(a3, TILE_LO(w, 3), TILE_HI(w, 3), x0, x1, base, s.w);
	}
	return (float4)(sum16(a0), sum16(a1), sum16(a2), sum16(a3));
}

// The same for four vectors at once, `cols` apart: every product and sum as in dot_one(), so that a
// token is the same bits in a prompt and alone.
#define QUAD_ROW(r, s) \
	{ \
		float16 lo = TILE_LO(w, r), hi = TILE_HI(w, r); \
		TILE_ADD(a[r][0], lo, hi, x00, x01, base0, s); \
		TILE_ADD(a[r][1], lo, hi, x10, x11, base1, s); \
		TILE_ADD(a[r][2], lo, hi, x20, x21, base2, s); \
		TILE_ADD(a[r][3], lo, hi, x30, x31, base3, s); \
	}

static inline void dot_quad(
	__global const uchar *w, __global const float *x, uint cols, float4 out[4])
{
	float16 a[4][4];

	for (uint i = 0; i < 16; i++)
		a[i / 4][i % 4] = 0.0f;
	for (uint c = 0; c < cols; c += TILE_COLS, w += TILE_BYTES) {
		__global const float *p = x + c;
		float16 x00 = vload16(0, p), x01 = vload16(1, p);
		float16 x10 = vload16(0, p + cols), x11 = vload16(1, p + cols);
		float16 x20 = vload16(0, p + 2 * cols), x21 = vload16(1, p + 2 * cols);
		float16 x30 = vload16(0, p + 3 * cols), x31 = vload16(1, p + 3 * cols);
		float16 base0 = TILE_BASE(x00, x01), base1 = TILE_BASE(x10, x11);
		float16 base2 = TILE_BASE(x20, x21), base3 = TILE_BASE(x30, x31);
		float4 s = TILE_SCALES(w);

		QUAD_ROW(0, s.x)
		QUAD_ROW(1, s.y)
		QUAD_ROW(2, s.z)
		QUAD_ROW(3, s.w)
	}
	for (uint t = 0; t < 4; t++)
		out[t] = (float4)(sum16(a[0][t]), sum16(a[1][t]), sum16(a[2][t]), sum16(a[3][t]));
}

// Runs STORE(t, y) for t from 0 to n - 1, where y = W[row..row+3] . x[t] is a float4. The weights come
// from memory once: the next vectors find them in the cache.
#define FOR_EACH_DOT(n, w, x, cols, STORE) \
	for (uint t_ = 0; t_ < (n);) { \
		if ((n) - t_ >= 4) { \
			float4 y_[4]; \
\
			dot_quad((w), (x) + (ulong)t_ * (cols), (cols), y_); \
			for (uint i_ = 0; i_ < 4; i_++) \
				STORE(t_ + i_, y_[i_]); \
			t_ += 4; \
		} else { \
			float4 y_ = dot_one((w), (x) + (ulong)t_ * (cols), (cols)); \
\
			STORE(t_, y_); \
			t_++; \
		} \
	}
