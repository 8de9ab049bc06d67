// SPDX-License-Identifier: Apache-2.0
// Every weight of a block of made bytes, in one weighted sum, against what ggml's own library made of the
// same bytes (libggml-base as npm's node-llama-cpp 3 ships it, dequantize_row_*). All values are eighths:
// the sums are exact.
#include "blocks.h"
#include "check.h"
#include "gguf/format.h"

static const struct {
	uint32_t type;
	uint16_t halves[2]; // where the block has its scales' scales; 0xffff: none
	double sum;         // of (i + 1) * weight i
} published[] = {
	{ GGUF_TENSOR_Q4_1, { 0, 2 }, 664.75 },
	{ GGUF_TENSOR_Q5_0, { 0, 0xffff }, -61.75 },
	{ GGUF_TENSOR_Q5_1, { 0, 2 }, 1099.875 },
	{ GGUF_TENSOR_Q2_K, { 80, 82 }, -10707.125 },
	{ GGUF_TENSOR_Q3_K, { 108, 0xffff }, 21886.0 },
	{ GGUF_TENSOR_Q4_K, { 0, 2 }, 739013.125 },
	{ GGUF_TENSOR_Q5_K, { 0, 2 }, 1732380.0 },
	{ GGUF_TENSOR_Q6_K, { 208, 0xffff }, -732162.875 },
	{ GGUF_TENSOR_IQ4_NL, { 0, 0xffff }, -90.625 },
	{ GGUF_TENSOR_IQ4_XS, { 0, 0xffff }, -211808.625 },
};

static void test_against_published(void)
{
	for (size_t t = 0; t < sizeof published / sizeof *published; t++) {
		struct gguf_layout layout = { .block = 0 };
		uint8_t block[256];
		float out[256];
		uint32_t x = 1;
		double sum = 0;

		CHECK(gguf_tensor_layout(published[t].type, &layout));
		for (uint32_t i = 0; i < layout.bytes; i++) {
			x = x * 1664525 + 1013904223;
			block[i] = (uint8_t)(x >> 24);
		}
		for (int i = 0; i < 2 && published[t].halves[i] != 0xffff; i++)
			gguf_put_half(block + published[t].halves[i], 0.125f * (float)(i + 1));
		blocks_reader(published[t].type)(block, out);
		for (uint32_t i = 0; i < layout.block; i++)
			sum += (i + 1) * (double)out[i];
		if (sum != published[t].sum)
			fprintf(stderr, "%s: %.3f\n", layout.name, sum);
		CHECK(sum == published[t].sum);
	}
}

static void test_others_have_no_reader(void)
{
	CHECK(!blocks_reader(GGUF_TENSOR_Q8_0) && !blocks_reader(26) && !blocks_reader(1000));
}

int main(void)
{
	RUN(test_against_published);
	RUN(test_others_have_no_reader);
	return 0;
}
