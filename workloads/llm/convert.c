// SPDX-License-Identifier: Apache-2.0
#include "convert.h"

#include <math.h>
#include <string.h>

#include "blocks.h"
#include "gguf/format.h"

#define SCALE 2u // bytes of a block's scale, which comes first

static const struct {
	uint32_t gguf;
	enum weight_type device;
} types[] = {
	{ GGUF_TENSOR_F32, WEIGHT_F32 },
	{ GGUF_TENSOR_F16, WEIGHT_F16 },
	{ GGUF_TENSOR_Q8_0, WEIGHT_Q8_0 },
	{ GGUF_TENSOR_Q4_0, WEIGHT_Q4_0 },
	{ GGUF_TENSOR_BF16, WEIGHT_F16 },
};

bool convert_target(uint32_t gguf_type, enum weight_type *ret)
{
	for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
		if (types[i].gguf == gguf_type) {
			*ret = types[i].device;
			return true;
		}
	}
	*ret = WEIGHT_Q8_0;
	return blocks_reader(gguf_type) != NULL;
}

uint32_t convert_same(enum weight_type t)
{
	unsigned i = 0;

	while (types[i].device != t)
		i++;
	return types[i].gguf;
}

uint64_t convert_row_bytes(uint32_t gguf_type, uint32_t cols)
{
	struct gguf_layout layout = { .block = 1 };

	gguf_tensor_layout(gguf_type, &layout);
	return (uint64_t)(cols / layout.block) * layout.bytes;
}

static void from_bf16(const uint8_t *row, uint32_t cols, float *out)
{
	for (uint32_t i = 0; i < cols; i++) {
		uint32_t bits = (uint32_t)(row[2 * i] | row[2 * i + 1] << 8) << 16;

		memcpy(&out[i], &bits, sizeof bits);
	}
}

static void from_q8_0(const uint8_t *block, float *out)
{
	for (unsigned i = 0; i < GGUF_BLOCK; i++)
		out[i] = gguf_half(block) * (float)(int8_t)block[2 + i];
}

static void from_q4_0(const uint8_t *block, float *out)
{
	for (unsigned i = 0; i < GGUF_BLOCK / 2; i++) {
		out[i] = gguf_half(block) * (float)((block[2 + i] & 15) - 8);
		out[i + 16] = gguf_half(block) * (float)((block[2 + i] >> 4) - 8);
	}
}

static blocks_read *reader_of(uint32_t gguf_type)
{
	if (gguf_type == GGUF_TENSOR_Q8_0)
		return from_q8_0;
	return gguf_type == GGUF_TENSOR_Q4_0 ? from_q4_0 : blocks_reader(gguf_type);
}

void convert_to_floats(uint32_t gguf_type, const uint8_t *row, uint32_t cols, float *out)
{
	blocks_read *read = reader_of(gguf_type);
	struct gguf_layout layout = { .block = 1 };

	gguf_tensor_layout(gguf_type, &layout);
	for (uint32_t i = 0; read && i < cols / layout.block; i++)
		read(row + (uint64_t)i * layout.bytes, out + i * layout.block);
	if (gguf_type == GGUF_TENSOR_F32)
		memcpy(out, row, cols * sizeof *out);
	if (gguf_type == GGUF_TENSOR_F16)
		for (uint32_t i = 0; i < cols; i++)
			out[i] = gguf_half(row + 2 * i);
	if (gguf_type == GGUF_TENSOR_BF16)
		from_bf16(row, cols, out);
}

static void to_q8_0(const float *in, uint8_t *block)
{
	float most = 0, scale;

	for (unsigned i = 0; i < GGUF_BLOCK; i++)
		most = fmaxf(most, fabsf(in[i]));
	gguf_put_half(block, most / 127);
	scale = gguf_half(block);
	for (unsigned i = 0; i < GGUF_BLOCK; i++) {
		float v = scale > 0 ? roundf(in[i] / scale) : 0;

		block[2 + i] = (uint8_t)(int8_t)fminf(fmaxf(v, -127), 127);
	}
}

void convert_from_floats(enum weight_type t, const float *in, uint32_t cols, uint8_t *row)
{
	if (t == WEIGHT_F32)
		memcpy(row, in, cols * sizeof *in);
	if (t == WEIGHT_F16)
		for (uint32_t i = 0; i < cols; i++)
			gguf_put_half(row + 2 * i, in[i]);
	for (uint32_t i = 0; t == WEIGHT_Q8_0 && i < cols / GGUF_BLOCK; i++)
		to_q8_0(in + i * GGUF_BLOCK, row + i * GGUF_Q8_0_BLOCK_BYTES);
}

static void pack_reals(
	uint32_t size, const uint8_t *const rows[TILE_ROWS], uint32_t cols, uint8_t *strip)
{
	for (uint32_t c = 0; c < cols; c++)
		for (unsigned y = 0; y < TILE_ROWS; y++)
			memcpy(strip + ((uint64_t)c * TILE_ROWS + y) * size,
				rows[y] + (uint64_t)c * size, size);
}

// Weight `i` of a block without its scale, counted from the lowest that there is.
static uint32_t field_at(enum weight_type t, const uint8_t *quants, unsigned i)
{
	if (t == WEIGHT_Q8_0)
		return quants[i] ^ 0x80; // from two's complement
	return i < GGUF_BLOCK / 2 ? quants[i] & 15 : quants[i - GGUF_BLOCK / 2] >> 4;
}

// The int of the columns from `first` on: the even ones in its low half, the odd ones in its high half.
static uint32_t int_at(enum weight_type t, const uint8_t *quants, unsigned first)
{
	unsigned bits = t == WEIGHT_Q8_0 ? 8 : 4;
	uint32_t v = 0;

	for (unsigned i = 0; i < 32 / bits; i++)
		v |= field_at(t, quants, first + i) << (i % 2 * 16 + i / 2 * bits);
	return v;
}

static void pack_blocks(
	enum weight_type t, const uint8_t *const rows[TILE_ROWS], uint32_t cols, uint8_t *strip)
{
	uint32_t blocks = cols / GGUF_BLOCK, bytes = weight_tile_bytes(t) / TILE_ROWS;
	unsigned in_int = t == WEIGHT_Q8_0 ? 4 : 8;
	uint8_t *to = strip + (uint64_t)blocks * TILE_ROWS * SCALE;

	for (uint32_t b = 0; b < blocks; b++) {
		for (unsigned y = 0; y < TILE_ROWS; y++)
			memcpy(strip + ((uint64_t)b * TILE_ROWS + y) * SCALE,
				rows[y] + (uint64_t)b * bytes, SCALE);
		for (unsigned c = 0; c < GGUF_BLOCK; c += in_int)
			for (unsigned y = 0; y < TILE_ROWS; y++, to += sizeof(uint32_t)) {
				uint32_t v = int_at(t, rows[y] + (uint64_t)b * bytes + SCALE, c);

				memcpy(to, &v, sizeof v);
			}
	}
}

void convert_pack(
	enum weight_type t, const uint8_t *const rows[TILE_ROWS], uint32_t cols, uint8_t *strip)
{
	if (weight_is_quantised(t))
		pack_blocks(t, rows, cols, strip);
	else
		pack_reals(t == WEIGHT_F16 ? 2 : 4, rows, cols, strip);
}
