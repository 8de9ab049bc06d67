// SPDX-License-Identifier: Apache-2.0
// Weights from a counter: word `i` of tensor `t` is a hash of (seed, t, i), so any part can be made
// anywhere, in any order, and is the same bits. The mixer is Wellons' "lowbias32" (public domain).

#define MIX(h) \
	h ^= h >> 16; \
	h *= 0x7feb352dU; \
	h ^= h >> 15; \
	h *= 0x846ca68bU; \
	h ^= h >> 16;

// Sixteen words of a tensor from `first` on. `key` is a hash of seed and tensor.
static inline uint16 hash_words(uint key, uint first)
{
	uint16 h = (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) + first;

	MIX(h)
	h ^= key;
	MIX(h)
	return h;
}

// Uniform over [-1, 1).
static inline float16 uniform16(uint16 h)
{
	return convert_float16(as_int16(h)) / 2147483648.0f;
}

// Quantised weights are uniform over all that their bits can say, and the scales over `scale` plus or
// minus a quarter. Others are uniform over [-scale, scale).
#ifdef BITS
static inline void fill_fields(__global int *p, uint key, uint first)
{
	for (uint i = 0; i < TILE_FIELDS / 64; i++)
		vstore16(as_int16(hash_words(key, first + 16 * i)), i, p);
}

static inline void fill_scales(__global half *p, uint key, uint first, float scale)
{
	float16 u = uniform16(hash_words(key, first));

	vstore_half16_rte(fma(u, (float16)(scale * 0.25f), (float16)(scale)), 0, p);
}
#else
static inline void fill_reals(__global uchar *p, uint key, uint first, float scale)
{
	for (uint i = 0; i < TILE_COLS; i++) {
		float16 v = uniform16(hash_words(key, first + 16 * i)) * scale;
#ifdef WEIGHTS_F16
		vstore_half16_rte(v, i, (__global half *)p);
#else
		vstore16(v, i, (__global float *)p);
#endif
	}
}
#endif

// Fills a strip of `tiles` tiles; each is made of the hash's next 512 words. Global size: the strips.
ONE_ITEM __kernel void fill_weights(
	__global uchar *weights, ulong weights_at, uint tiles, uint key, float scale)
{
	__global uchar *strip =
		weights + weights_at + (ulong)get_global_id(0) * tiles * TILE_BYTES;
	uint first = (uint)get_global_id(0) * tiles * 512;

	for (uint i = 0; i < tiles; i++, first += 512) {
		__global uchar *p = STRIP_TILE(strip, i, tiles);
#ifdef BITS
		fill_fields((__global int *)p, key, first);
		fill_scales((__global half *)strip + i * ROWS, key, first + 496, scale);
#else
		fill_reals(p, key, first, scale);
#endif
	}
}

// Fills `count` floats (a multiple of 16) with 1 plus or minus a quarter: norm gains. Global size 1.
ONE_ITEM __kernel void fill_gains(__global float *vectors, ulong at, uint count, uint key)
{
	for (uint i = 0; i < count; i += 16)
		vstore16(fma(uniform16(hash_words(key, i)), (float16)(0.25f), (float16)(1.0f)), 0,
			vectors + at + i);
}
