// SPDX-License-Identifier: Apache-2.0
// The GGUF file format as the ggml community publishes it (ggml's docs/gguf.md), versions 2 and 3,
// little-endian: a header, key-value pairs, tensor descriptions, padding, tensor data.
// Shared by reader and writer; knows no model and no OpenCL.
//
//   header  magic u32, version u32, tensors u64, keys u64
//   string  length u64, bytes without a final zero
//   key     name string, type u32, value; an array's value is element type u32, count u64, elements
//   tensor  name string, dimensions u32, that many sizes u64 (the fastest first), type u32,
//           offset u64 from the start of the tensor data, a multiple of the alignment
// The tensor data starts at the next multiple of the alignment ("general.alignment", or 32).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define GGUF_MAGIC         0x46554747u // "GGUF"
#define GGUF_VERSION_MIN   2
#define GGUF_VERSION_MAX   3
#define GGUF_ALIGNMENT     32u // bytes, without "general.alignment"
#define GGUF_ALIGNMENT_KEY "general.alignment"
#define GGUF_MAX_ALIGNMENT (1u << 20)
#define GGUF_MAX_DIMS      4
#define GGUF_MAX_NAME      65535u // bytes of a key

// A block of GGUF_BLOCK weights. Q8_0: a half, the scale, then 32 signed bytes; a weight is
// scale * byte. Q4_0: a half, the scale, then 16 bytes; weight i is scale * (low nibble of byte i
// - 8), weight i + 16 the same of the high nibble.
#define GGUF_BLOCK            32u
#define GGUF_Q8_0_BLOCK_BYTES 34u
#define GGUF_Q4_0_BLOCK_BYTES 18u

// A half as a file has it, at any address.
static inline float gguf_half(const uint8_t *p)
{
	_Float16 h;

	memcpy(&h, p, sizeof h);
	return (float)h;
}

static inline void gguf_put_half(uint8_t *p, float v)
{
	_Float16 h = (_Float16)v;

	memcpy(p, &h, sizeof h);
}

enum gguf_type {
	GGUF_U8 = 0,
	GGUF_I8 = 1,
	GGUF_U16 = 2,
	GGUF_I16 = 3,
	GGUF_U32 = 4,
	GGUF_I32 = 5,
	GGUF_F32 = 6,
	GGUF_BOOL = 7, // a byte, 0 or 1
	GGUF_STRING = 8,
	GGUF_ARRAY = 9,
	GGUF_U64 = 10,
	GGUF_I64 = 11,
	GGUF_F64 = 12,
};

// Types of tensor elements. A file may name others; their sizes are known to gguf_tensor_layout()
// so that such a file can be described, and refused by the tensor's name.
enum gguf_tensor_type {
	GGUF_TENSOR_F32 = 0,
	GGUF_TENSOR_F16 = 1,
	GGUF_TENSOR_Q4_0 = 2,
	GGUF_TENSOR_Q4_1 = 3,
	GGUF_TENSOR_Q5_0 = 6,
	GGUF_TENSOR_Q5_1 = 7,
	GGUF_TENSOR_Q8_0 = 8,
	GGUF_TENSOR_Q2_K = 10,
	GGUF_TENSOR_Q3_K = 11,
	GGUF_TENSOR_Q4_K = 12,
	GGUF_TENSOR_Q5_K = 13,
	GGUF_TENSOR_Q6_K = 14,
	GGUF_TENSOR_IQ4_NL = 20,
	GGUF_TENSOR_IQ4_XS = 23,
	GGUF_TENSOR_BF16 = 30,
};

// How elements of a type are stored: `block` of them take `bytes`.
struct gguf_layout {
	const char *name; // "Q8_0"
	uint32_t block, bytes;
};

// False for a type that is not known.
bool gguf_tensor_layout(uint32_t type, struct gguf_layout *ret);

// Bytes of a scalar; 0 for strings, arrays and unknown types.
uint32_t gguf_type_size(uint32_t type);

// "u32"; "unknown type" for one that the format does not name.
const char *gguf_type_name(uint32_t type);

// What went wrong, for a person. Functions return 0 or a negative errno and fill it (NULL is fine).
struct gguf_error {
	char text[512];
};
