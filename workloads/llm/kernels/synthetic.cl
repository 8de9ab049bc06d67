// SPDX-License-Identifier: Apache-2.0
// Weights from a counter: word `i` of tensor `t` is a hash of (seed, t, i), so any part can be made
// anywhere, in any order, and is the same bits. The mixer is Wellons' "lowbias32" (public domain).

#define MIX(h) \
	h ^= h >> 16; \
	h *= 0x7feb352dU; \
	h ^= h >> 15; \
	h *= 0x846ca68bU; \
	h ^= h >> 16;

#define FILL_TILES 64 // tiles that one work-item makes

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

// One tile of 128 weights from the hash's words first to first + 127. Quantised: the values are uniform
// over their whole range, the scales over `scale` plus or minus a quarter. Otherwise the weights are
// uniform over [-scale, scale).
static inline void fill_tile(__global uchar *p, uint key, uint first, float scale)
{
#ifdef TILE_SCALED
	float4 u = uniform16(hash_words(key, first + 112)).lo.lo;

	vstore_half4_rte(fma(u, (float4)(scale * 0.25f), (float4)(scale)), 0, (__global half *)p);
	for (uint i = 0; i < (TILE_BYTES - 8) / 64; i++) {
		uint16 h = hash_words(key, first + 16 * i);
		vstore16(as_uchar16(h.lo.lo), 0, p + 8 + 64 * i);
		vstore16(as_uchar16(h.lo.hi), 1, p + 8 + 64 * i);
		vstore16(as_uchar16(h.hi.lo), 2, p + 8 + 64 * i);
		vstore16(as_uchar16(h.hi.hi), 3, p + 8 + 64 * i);
	}
#else
	for (uint i = 0; i < 8; i++) {
		float16 v = uniform16(hash_words(key, first + 16 * i)) * scale;
#ifdef WEIGHTS_F16
		vstore_half16_rte(v, i, (__global half *)p);
#else
		vstore16(v, i, (__global float *)p);
#endif
	}
#endif
}

// Fills `count` tiles. Global size count / FILL_TILES, rounded up.
ONE_ITEM __kernel void fill_weights(
	__global uchar *weights, ulong weights_at, ulong count, uint key, float scale)
{
	ulong from = (ulong)get_global_id(0) * FILL_TILES;
	ulong to = min(from + FILL_TILES, count);

	for (ulong i = from; i < to; i++)
		fill_tile(weights + weights_at + i * TILE_BYTES, key, (uint)i * 128, scale);
}

// Fills `count` floats (a multiple of 16) with 1 plus or minus a quarter: norm gains. Global size 1.
ONE_ITEM __kernel void fill_gains(__global float *vectors, ulong at, uint count, uint key)
{
	for (uint i = 0; i < count; i += 16)
		vstore16(fma(uniform16(hash_words(key, i)), (float16)(0.25f), (float16)(1.0f)), 0,
			vectors + at + i);
}
