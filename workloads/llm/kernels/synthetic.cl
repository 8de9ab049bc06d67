// SPDX-License-Identifier: Apache-2.0
// Weights from a counter: word `i` of tensor `t` is a hash of (seed, t, i), so any part can be made
// anywhere, in any order, and is the same bits. The mixer is Wellons' "lowbias32" (public domain).

#define MIX(h) \
	h ^= h >> 16; \
	h *= 0x7feb352dU; \
	h ^= h >> 15; \
	h *= 0x846ca68bU; \
	h ^= h >> 16;

#define FILL_WORDS 4096 // 32-bit words that one work-item makes

// `key` is a hash of seed and tensor.
static inline uint16 hash_words(uint key, uint first)
{
	uint16 h = (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) + first;

	MIX(h)
	h ^= key;
	MIX(h)
	return h;
}

// Fills `words` 32-bit words (a multiple of 16) with weights. int8: each byte is one, uniform over
// [-128, 127]. f16: each half of a word is one, uniform over [-scale, scale).
// Global size words / FILL_WORDS, rounded up.
ONE_ITEM __kernel void fill_weights(
	__global weight_t *weights, ulong weights_at, ulong words, uint key, float scale)
{
	ulong from = (ulong)get_global_id(0) * FILL_WORDS;
	ulong to = min(from + FILL_WORDS, words);

	for (ulong i = from; i < to; i += 16) {
		uint16 h = hash_words(key, (uint)i);
#ifdef WEIGHTS_INT8
		vstore16(h, 0, (__global uint *)(weights + weights_at + i * 4));
#else
		float16 low = convert_float16(as_int16(h << 16) >> 16);
		float16 high = convert_float16(as_int16(h) >> 16);

		vstore_half16(low * (scale / 32768.0f), 0, weights + weights_at + i * 2);
		vstore_half16(high * (scale / 32768.0f), 0, weights + weights_at + i * 2 + 16);
#endif
	}
}

// Fills `count` floats (a multiple of 16) with base * (1 + spread * u), u uniform over [-1, 1):
// row scales and norm gains. Global size 1.
ONE_ITEM __kernel void fill_vector(
	__global float *vectors, ulong at, uint count, uint key, float base, float spread)
{
	for (uint i = 0; i < count; i += 16) {
		float16 u = convert_float16(as_int16(hash_words(key, i))) / 2147483648.0f;

		vstore16(base * (1.0f + spread * u), 0, vectors + at + i);
	}
}
