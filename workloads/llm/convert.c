// SPDX-License-Identifier: Apache-2.0
#include "convert.h"

#include <math.h>
#include <string.h>

#include "blocks.h"
#include "gguf/format.h"

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

static float half_at(const uint8_t *p)
{
	_Float16 h;

	memcpy(&h, p, sizeof h);
	return (float)h;
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
		out[i] = half_at(block) * (float)(int8_t)block[2 + i];
}

static void from_q4_0(const uint8_t *block, float *out)
{
	for (unsigned i = 0; i < GGUF_BLOCK / 2; i++) {
		out[i] = half_at(block) * (float)((block[2 + i] & 15) - 8);
		out[i + 16] = half_at(block) * (float)((block[2 + i] >> 4) - 8);
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
			out[i] = half_at(row + 2 * i);
	if (gguf_type == GGUF_TENSOR_BF16)
		from_bf16(row, cols, out);
}

static void to_half(float v, uint8_t *p)
{
	_Float16 h = (_Float16)v;

	memcpy(p, &h, sizeof h);
}

static void to_q8_0(const float *in, uint8_t *block)
{
	float most = 0, scale;

	for (unsigned i = 0; i < GGUF_BLOCK; i++)
		most = fmaxf(most, fabsf(in[i]));
	to_half(most / 127, block);
	scale = half_at(block);
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
			to_half(in[i], row + 2 * i);
	for (uint32_t i = 0; t == WEIGHT_Q8_0 && i < cols / GGUF_BLOCK; i++)
		to_q8_0(in + i * GGUF_BLOCK, row + i * GGUF_Q8_0_BLOCK_BYTES);
}

void convert_pack(enum weight_type t, const uint8_t *const rows[4], uint32_t cols, uint8_t *tiles)
{
	uint32_t tile = weight_tile_bytes(t), block = tile / 4;
	bool scaled = t == WEIGHT_Q8_0 || t == WEIGHT_Q4_0;
	uint32_t scale = scaled ? 2 : 0, payload = block - scale;

	for (uint32_t c = 0; c < cols / GGUF_BLOCK; c++, tiles += tile) {
		for (unsigned y = 0; y < 4; y++) {
			const uint8_t *from = rows[y] + (uint64_t)c * block;

			memcpy(tiles + y * scale, from, scale);
			memcpy(tiles + 4 * scale + y * payload, from + scale, payload);
		}
	}
}
