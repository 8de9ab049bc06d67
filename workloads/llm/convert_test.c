// SPDX-License-Identifier: Apache-2.0
// Each format against values worked out by hand from its published description.
#include <math.h>
#include <string.h>

#include "check.h"
#include "convert.h"
#include "gguf/format.h"

static void test_q8_0(void)
{
	uint8_t row[68] = { 0 };
	float out[64];

	gguf_put_half(row, 0.5f);
	row[2] = 0x80; // -128
	row[33] = 3;
	gguf_put_half(row + 34, 2);
	row[36] = 5;
	convert_to_floats(GGUF_TENSOR_Q8_0, row, 64, out);
	CHECK(out[0] == -64 && out[31] == 1.5f && out[32] == 10 && out[1] == 0);
}

static void test_q4_0(void)
{
	uint8_t row[18] = { 0 };
	float out[32];

	gguf_put_half(row, 0.5f);
	memset(row + 2, 0x88, 16);
	row[2] = 0x1f;
	convert_to_floats(GGUF_TENSOR_Q4_0, row, 32, out);
	CHECK(out[0] == 3.5f && out[16] == -3.5f && out[1] == 0 && out[17] == 0);
}

static void test_q6_k(void)
{
	uint8_t block[210] = { 0 };
	float out[256];

	gguf_put_half(block + 208, 0.25f);
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

static uint32_t int_of(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

// Two blocks a row, of which the scale is (row, block) and weight i is 7 i + row.
static void test_pack_q8_0(void)
{
	uint8_t rows[TILE_ROWS][2 * 34], strip[2 * 544];
	const uint8_t *at[TILE_ROWS];

	for (unsigned y = 0; y < TILE_ROWS; y++) {
		at[y] = rows[y];
		for (unsigned b = 0; b < 2; b++) {
			rows[y][34 * b] = (uint8_t)y;
			rows[y][34 * b + 1] = (uint8_t)b;
			for (unsigned i = 0; i < 32; i++)
				rows[y][34 * b + 2 + i] = (uint8_t)(7 * (32 * b + i) + y - 128);
		}
	}
	convert_pack(WEIGHT_Q8_0, at, 64, strip);
	CHECK(strip[0] == 0 && strip[6] == 3 && strip[7] == 0);          // scales
	CHECK(strip[32 + 6] == 3 && strip[32 + 7] == 1);                 // of the second tile
	CHECK(int_of(strip + 64) == (0 | 14 << 8 | 7 << 16 | 21 << 24)); // columns 0, 2, 1, 3
	CHECK(strip[64 + 5 * 4] == 5);                                   // row 5
	CHECK(strip[64 + 64] == 28);                                     // column 4
	CHECK(strip[64 + 512 + 5 * 4] == 7 * 32 + 5);                    // column 32
}

static void test_pack_q4_0(void)
{
	uint8_t rows[TILE_ROWS][18], strip[288];
	const uint8_t *at[TILE_ROWS];

	for (unsigned y = 0; y < TILE_ROWS; y++) {
		at[y] = rows[y];
		rows[y][0] = rows[y][1] = (uint8_t)y;
		for (unsigned i = 0; i < 16; i++) // column i is i, column 16 + i is 15 - i
			rows[y][2 + i] = (uint8_t)(i | (15 - i) << 4);
	}
	convert_pack(WEIGHT_Q4_0, at, 32, strip);
	CHECK(strip[30] == 15 && strip[31] == 15);
	CHECK(int_of(strip + 32 + 4 * 9) == 0x75316420);
	CHECK(int_of(strip + 32 + 64) == 0xfdb9eca8);
	CHECK(int_of(strip + 32 + 2 * 64) == 0x8ace9bdf);
}

static void test_pack_f16(void)
{
	uint8_t rows[TILE_ROWS][64], strip[1024];
	const uint8_t *at[TILE_ROWS];

	for (unsigned y = 0; y < TILE_ROWS; y++) {
		at[y] = rows[y];
		for (unsigned i = 0; i < 32; i++) {
			rows[y][2 * i] = (uint8_t)i;
			rows[y][2 * i + 1] = (uint8_t)y;
		}
	}
	convert_pack(WEIGHT_F16, at, 32, strip);
	CHECK(strip[0] == 0 && strip[2 * 3] == 0 && strip[2 * 3 + 1] == 3);
	CHECK(strip[31 * 32 + 2 * 4] == 31 && strip[31 * 32 + 2 * 4 + 1] == 4);
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
	RUN(test_pack_q8_0);
	RUN(test_pack_q4_0);
	RUN(test_pack_f16);
	RUN(test_targets);
	return 0;
}
