// SPDX-License-Identifier: Apache-2.0
#include "gguf/format.h"

// Block sizes of ggml's published types.
static const struct {
	uint32_t type;
	struct gguf_layout layout;
} layouts[] = {
	{ GGUF_TENSOR_F32, { "F32", 1, 4 } },
	{ GGUF_TENSOR_F16, { "F16", 1, 2 } },
	{ GGUF_TENSOR_Q4_0, { "Q4_0", GGUF_BLOCK, GGUF_Q4_0_BLOCK_BYTES } },
	{ GGUF_TENSOR_Q4_1, { "Q4_1", 32, 20 } },
	{ GGUF_TENSOR_Q5_0, { "Q5_0", 32, 22 } },
	{ GGUF_TENSOR_Q5_1, { "Q5_1", 32, 24 } },
	{ GGUF_TENSOR_Q8_0, { "Q8_0", GGUF_BLOCK, GGUF_Q8_0_BLOCK_BYTES } },
	{ GGUF_TENSOR_Q2_K, { "Q2_K", 256, 84 } },
	{ GGUF_TENSOR_Q3_K, { "Q3_K", 256, 110 } },
	{ GGUF_TENSOR_Q4_K, { "Q4_K", 256, 144 } },
	{ GGUF_TENSOR_Q5_K, { "Q5_K", 256, 176 } },
	{ GGUF_TENSOR_Q6_K, { "Q6_K", 256, 210 } },
	{ 16, { "IQ2_XXS", 256, 66 } },
	{ 17, { "IQ2_XS", 256, 74 } },
	{ 18, { "IQ3_XXS", 256, 98 } },
	{ 19, { "IQ1_S", 256, 50 } },
	{ GGUF_TENSOR_IQ4_NL, { "IQ4_NL", 32, 18 } },
	{ 21, { "IQ3_S", 256, 110 } },
	{ 22, { "IQ2_S", 256, 82 } },
	{ GGUF_TENSOR_IQ4_XS, { "IQ4_XS", 256, 136 } },
	{ 24, { "I8", 1, 1 } },
	{ 25, { "I16", 1, 2 } },
	{ 26, { "I32", 1, 4 } },
	{ 27, { "I64", 1, 8 } },
	{ 28, { "F64", 1, 8 } },
	{ 29, { "IQ1_M", 256, 56 } },
	{ GGUF_TENSOR_BF16, { "BF16", 1, 2 } },
	{ 34, { "TQ1_0", 256, 54 } },
	{ 35, { "TQ2_0", 256, 66 } },
	{ 39, { "MXFP4", 32, 17 } },
};

static const struct {
	const char *name;
	uint32_t size;
} types[] = {
	[GGUF_U8] = { "u8", 1 },
	[GGUF_I8] = { "i8", 1 },
	[GGUF_U16] = { "u16", 2 },
	[GGUF_I16] = { "i16", 2 },
	[GGUF_U32] = { "u32", 4 },
	[GGUF_I32] = { "i32", 4 },
	[GGUF_F32] = { "f32", 4 },
	[GGUF_BOOL] = { "bool", 1 },
	[GGUF_STRING] = { "string", 0 },
	[GGUF_ARRAY] = { "array", 0 },
	[GGUF_U64] = { "u64", 8 },
	[GGUF_I64] = { "i64", 8 },
	[GGUF_F64] = { "f64", 8 },
};

bool gguf_tensor_layout(uint32_t type, struct gguf_layout *ret)
{
	for (unsigned i = 0; i < sizeof layouts / sizeof *layouts; i++) {
		if (layouts[i].type == type) {
			*ret = layouts[i].layout;
			return true;
		}
	}
	return false;
}

uint32_t gguf_type_size(uint32_t type)
{
	return type < sizeof types / sizeof *types ? types[type].size : 0;
}

const char *gguf_type_name(uint32_t type)
{
	return type < sizeof types / sizeof *types ? types[type].name : "unknown type";
}
