// SPDX-License-Identifier: Apache-2.0
// Each format against values worked out by hand from its published description.
#include <math.h>
#include <string.h>

#include "check.h"
#include "convert.h"
#include "gguf/format.h"

static void put_half(uint8_t *p, float v)
{
	_Float16 h = (_Float16)v;

	memcpy(p, &h, 2);
}

static void test_q8_0(void)
{
	uint8_t row[68] = { 0 };
	float out[64];

	put_half(row, 0.5f);
	row[2] = 0x80; // -128
	row[33] = 3;
	put_half(row + 34, 2);
	row[36] = 5;
	convert_to_floats(GGUF_TENSOR_Q8_0, row, 64, out);
	CHECK(out[0] == -64 && out[31] == 1.5f && out[32] == 10 && out[1] == 0);
}

static void test_q4_0(void)
{
	uint8_t row[18] = { 0 };
	float out[32];

	put_half(row, 0.5f);
	memset(row + 2, 0x88, 16);
	row[2] = 0x1f;
	convert_to_floats(GGUF_TENSOR_Q4_0, row, 32, out);
	CHECK(out[0] == 3.5f && out[16] == -3.5f && out[1] == 0 && out[17] == 0);
}

static void test_q6_k(void)
{
	uint8_t block[210] = { 0 };
	float out[256];

	put_half(block + 208, 0.25f);
	for (int i = 0; i < 16; i++)
		block[192 + i] = (uint8_t)(i + 1);
	block[0] = 0x5a;       // low nibbles of weights 0 and 64
	block[128] = 0x39;     // high bits of 0, 32, 64, 96: 1, 2, 3, 0
	block[64 + 33] = 0xf0; // low nibble of 128 + 96 + 1, from the high half of a byte
	convert_to_floats(GGUF_TENSOR_Q6_K, block, 256, out);
	CHECK(out[0] == 0.25f * 1 * (0x1a - 32));
	CHECK(out[32] == 0.25f * 3 * (0x20 - 32));
	CHECK(out[64] == 0.25f * 5 * (0x35 - 32));
	CHECK(out[96] == 0.25f * 7 * (0 - 32));
	CHECK(out[225] == 0.25f * 15 * (0x0f - 32));
}

static void test_bf16(void)
{
	const uint8_t row[4] = { 0xc0, 0x3f, 0x00, 0xc0 };
	float out[2];

	convert_to_floats(GGUF_TENSOR_BF16, row, 2, out);
	CHECK(out[0] == 1.5f && out[1] == -2);
}

static void test_round_trips(void)
{
	const enum weight_type types[] = { WEIGHT_F32, WEIGHT_F16, WEIGHT_Q8_0 };
	const float tolerances[] = { 0, 5e-4f, 1 / 127.0f };
	uint8_t row[256];
	float in[64], out[64];

	for (int i = 0; i < 64; i++)
		in[i] = sinf((float)i) * (i < 32 ? 1 : 0);
	for (int t = 0; t < 3; t++) {
		convert_from_floats(types[t], in, 64, row);
		convert_to_floats(convert_same(types[t]), row, 64, out);
		for (int i = 0; i < 64; i++)
			CHECK(fabsf(in[i] - out[i]) <= tolerances[t]);
	}
}

static void test_pack(void)
{
	uint8_t rows[4][68], tiles[272];
	const uint8_t *const four[4] = { rows[0], rows[1], rows[2], rows[3] };

	for (int y = 0; y < 4; y++)
		for (int i = 0; i < 68; i++)
			rows[y][i] = (uint8_t)(y * 64 + i);
	convert_pack(WEIGHT_Q8_0, four, 64, tiles);
	CHECK(tiles[0] == 0 && tiles[2] == 64 && tiles[7] == 193);    // scales
	CHECK(tiles[8] == 2 && tiles[40] == 66 && tiles[135] == 225); // rows
	CHECK(tiles[136] == 34 && tiles[144] == 36);                  // the next tile
}

static void test_targets(void)
{
	enum weight_type t;

	CHECK(convert_target(GGUF_TENSOR_Q6_K, &t) && t == WEIGHT_Q8_0);
	CHECK(convert_target(GGUF_TENSOR_Q4_K, &t) && t == WEIGHT_Q8_0);
	CHECK(!convert_target(26, &t)); // I32
	CHECK(convert_row_bytes(GGUF_TENSOR_Q6_K, 512) == 420 &&
		convert_row_bytes(GGUF_TENSOR_Q4_0, 64) == 36);
}

int main(void)
{
	RUN(test_q8_0);
	RUN(test_q4_0);
	RUN(test_q6_k);
	RUN(test_bf16);
	RUN(test_round_trips);
	RUN(test_pack);
	RUN(test_targets);
	return 0;
}
