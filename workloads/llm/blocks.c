// SPDX-License-Identifier: Apache-2.0
#include "blocks.h"

#include <stddef.h>

#include "gguf/format.h"

#define K_BLOCK 256u

static unsigned bit_at(const uint8_t *bits, unsigned i)
{
	return bits[i / 8] >> (i % 8) & 1;
}

// Weight i of 32 in 16 bytes: low nibbles first, then the high ones.
static unsigned nibble_at(const uint8_t *nibbles, unsigned i)
{
	return nibbles[i % 16] >> (i / 16 * 4) & 15;
}

// Scale, least, nibbles: scale * nibble + least.
static void q4_1(const uint8_t *block, float *out)
{
	for (unsigned i = 0; i < GGUF_BLOCK; i++)
		out[i] = gguf_half(block) * (float)nibble_at(block + 4, i) + gguf_half(block + 2);
}

// Scale, a fifth bit each, nibbles: scale * (value - 16).
static void q5_0(const uint8_t *block, float *out)
{
	for (unsigned i = 0; i < GGUF_BLOCK; i++) {
		unsigned v = nibble_at(block + 6, i) | bit_at(block + 2, i) << 4;

		out[i] = gguf_half(block) * (float)((int)v - 16);
	}
}

// Scale, least, a fifth bit each, nibbles.
static void q5_1(const uint8_t *block, float *out)
{
	for (unsigned i = 0; i < GGUF_BLOCK; i++) {
		unsigned v = nibble_at(block + 8, i) | bit_at(block + 4, i) << 4;

		out[i] = gguf_half(block) * (float)v + gguf_half(block + 2);
	}
}

// The K types have 256 weights. Where they have two bits each in 64 bytes, each half of the block holds
// 4 x 32 of them.
static unsigned pair_at(const uint8_t *pairs, unsigned i)
{
	return pairs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

// Nibbles in 128 bytes, each quarter of the block 2 x 32.
static unsigned k_nibble_at(const uint8_t *nibbles, unsigned i)
{
	return nibbles[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15;
}

// 16 groups of 16, a byte each: the low nibble scales, the high one takes off. Pairs; the scales' own
// scale and the lows' own.
static void q2_k(const uint8_t *block, float *out)
{
	float scale = gguf_half(block + 80), least = gguf_half(block + 82);

	for (unsigned i = 0; i < K_BLOCK; i++) {
		uint8_t group = block[i / 16];

		out[i] = scale * (float)(group & 15) * (float)pair_at(block + 16, i) -
			 least * (float)(group >> 4);
	}
}

// A third bit each (32 bytes, bit 4 * half + quarter of byte i % 32; unset takes 4 off), pairs, and 16
// scales of six bits: low nibbles of 8 bytes twice, then the two high bits of four in each of 4 bytes.
static void q3_k(const uint8_t *block, float *out)
{
	const uint8_t *packed = block + 96;
	float scale = gguf_half(block + 108);

	for (unsigned i = 0; i < K_BLOCK; i++) {
		unsigned group = i / 16;
		unsigned low = packed[group % 8] >> (group / 8 * 4) & 15;
		unsigned high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
		unsigned third = block[i % 32] >> (i / 32) & 1;

		out[i] = scale * (float)((int)(low | high << 4) - 32) *
			 (float)((int)pair_at(block + 32, i) - (third ? 0 : 4));
	}
}

// Eight scales and eight lows of six bits in 12 bytes: the first four of each in the low bits of bytes 0
// to 7, the others' low nibbles in bytes 8 to 11, their two high bits above the first four.
static void k_scale(const uint8_t *packed, unsigned group, float *ret_scale, float *ret_least)
{
	unsigned scale = packed[group % 4] & 63, least = packed[4 + group % 4] & 63;

	if (group >= 4) {
		scale = (packed[4 + group] & 15) | packed[group - 4] >> 6 << 4;
		least = packed[4 + group] >> 4 | packed[group] >> 6 << 4;
	}
	*ret_scale = (float)scale;
	*ret_least = (float)least;
}

// Q4_K: the scales' own scale, the lows' own, scales and lows of groups of 32, nibbles. Q5_K has a fifth
// bit each before the nibbles: bit i / 32 of byte i % 32.
static void k_with_least(
	const uint8_t *block, const uint8_t *fifth, const uint8_t *nibbles, float *out)
{
	float scale = gguf_half(block), least = gguf_half(block + 2);

	for (unsigned i = 0; i < K_BLOCK; i++) {
		unsigned v = k_nibble_at(nibbles, i);
		float by, off;

		if (fifth)
			v |= (fifth[i % 32] >> (i / 32) & 1u) << 4;
		k_scale(block + 4, i / 32, &by, &off);
		out[i] = scale * by * (float)v - least * off;
	}
}

static void q4_k(const uint8_t *block, float *out)
{
	k_with_least(block, NULL, block + 16, out);
}

static void q5_k(const uint8_t *block, float *out)
{
	k_with_least(block, block + 16, block + 48, out);
}

// 128 bytes of low nibbles (each half of the block 4 x 32 in 64 bytes), pairs with the two high bits, 16
// signed scales of groups of 16, and the scales' own scale.
static void q6_k(const uint8_t *block, float *out)
{
	float scale = gguf_half(block + 208);

	for (unsigned i = 0; i < K_BLOCK; i++) {
		unsigned at = i / 128 * 64 + i % 64;
		unsigned low = block[at] >> (i % 128 / 64 * 4) & 15;
		int group = (int8_t)block[192 + i / 16];

		out[i] = scale * (float)group *
			 (float)((int)(low | pair_at(block + 128, i) << 4) - 32);
	}
}

// The IQ4 types' nibbles choose one of these, finer around zero (ggml's kvalues_iq4nl).
static const int8_t steps[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69,
	89, 113 };

// Scale, nibbles.
static void iq4_nl(const uint8_t *block, float *out)
{
	for (unsigned i = 0; i < GGUF_BLOCK; i++)
		out[i] = gguf_half(block) * (float)steps[nibble_at(block + 2, i)];
}

// The scales' own scale, eight scales of six bits less 32 for groups of 32 (the two high bits in two
// bytes, the low nibbles in four), nibbles: each group as in IQ4_NL.
static void iq4_xs(const uint8_t *block, float *out)
{
	float scale = gguf_half(block);

	for (unsigned i = 0; i < K_BLOCK; i++) {
		unsigned group = i / 32;
		unsigned high = block[2 + group / 4] >> (group % 4 * 2) & 3;
		unsigned low = block[4 + group / 2] >> (group % 2 * 4) & 15;

		out[i] = scale * (float)((int)(low | high << 4) - 32) *
			 (float)steps[nibble_at(block + 8 + 16 * group, i % 32)];
	}
}

blocks_read *blocks_reader(uint32_t gguf_type)
{
	switch (gguf_type) {
	case GGUF_TENSOR_Q4_1:
		return q4_1;
	case GGUF_TENSOR_Q5_0:
		return q5_0;
	case GGUF_TENSOR_Q5_1:
		return q5_1;
	case GGUF_TENSOR_Q2_K:
		return q2_k;
	case GGUF_TENSOR_Q3_K:
		return q3_k;
	case GGUF_TENSOR_Q4_K:
		return q4_k;
	case GGUF_TENSOR_Q5_K:
		return q5_k;
	case GGUF_TENSOR_Q6_K:
		return q6_k;
	case GGUF_TENSOR_IQ4_NL:
		return iq4_nl;
	case GGUF_TENSOR_IQ4_XS:
		return iq4_xs;
	default:
		return NULL;
	}
}
