// SPDX-License-Identifier: Apache-2.0
// Reads GGUF. The file is hostile until proven otherwise: every length, count, type and offset is
// checked before it is used, so that a file that opens can be walked without further checks. Errors
// name the key or the tensor.
#pragma once

#include <stddef.h>

#include "gguf/format.h"

// Bytes inside the file: not terminated, may hold anything.
struct gguf_string {
	const char *at;
	uint64_t len;
};

struct gguf_value {
	uint32_t type; // enum gguf_type
	union {
		uint64_t u; // U8 U16 U32 U64 BOOL
		int64_t i;  // I8 I16 I32 I64
		double f;   // F32 F64
		struct gguf_string s;
		struct {
			uint32_t type; // of the elements: a scalar or GGUF_STRING
			uint64_t count;
			const uint8_t *at;
		} array;
	};
};

struct gguf_key {
	struct gguf_string name;
	struct gguf_value value;
};

struct gguf_tensor {
	struct gguf_string name;
	uint32_t type; // one that gguf_tensor_layout() knows
	uint32_t n_dims;
	uint64_t dims[GGUF_MAX_DIMS]; // the fastest first; 1 beyond n_dims
	uint64_t elements, bytes;
	uint64_t offset;     // in the tensor data
	const uint8_t *data; // `bytes` of them, inside the file
};

struct gguf_file {
	const uint8_t *data; // the whole file
	uint64_t size;
	bool mapped; // gguf_close() unmaps
	uint32_t version, alignment;
	uint64_t n_keys, n_tensors;
	struct gguf_key *keys; // as in the file; names are unique, as are tensors'
	struct gguf_tensor *tensors;
	struct gguf_key **keys_by_name; // sorted
	struct gguf_tensor **tensors_by_name;
};

// Maps and reads a file. -ENOENT and the like, -EINVAL for a malformed one, -ENOTSUP for a version
// or type that this reader does not know, -ENOMEM. What is handed out points into the file: it
// must not be shortened while open.
int gguf_open(struct gguf_file *ret, const char *path, struct gguf_error *e);

// The same from memory, which must outlive *ret.
int gguf_parse(struct gguf_file *ret, const void *data, uint64_t size, struct gguf_error *e);

// Safe on a zeroed object.
void gguf_close(struct gguf_file *g);

// NULL if there is none.
const struct gguf_key *gguf_find(const struct gguf_file *g, const char *name);
const struct gguf_tensor *gguf_find_tensor(const struct gguf_file *g, const char *name);

// A key's value, converted. Without the key: 0 and *ret untouched if `required` is false, else
// -ENOENT. -EINVAL names the key if the type or the range is wrong.
int gguf_u32(const struct gguf_file *g, const char *name, bool required, uint32_t *ret,
	struct gguf_error *e);
int gguf_float(const struct gguf_file *g, const char *name, bool required, float *ret,
	struct gguf_error *e);
int gguf_bool(const struct gguf_file *g, const char *name, bool required, bool *ret,
	struct gguf_error *e);
int gguf_text(const struct gguf_file *g, const char *name, bool required, struct gguf_string *ret,
	struct gguf_error *e);

// An array with elements of `type`; *ret points at its value.
int gguf_array(const struct gguf_file *g, const char *name, bool required, uint32_t type,
	const struct gguf_value **ret, struct gguf_error *e);

// Fills `out` with the count strings of an array of strings.
void gguf_strings(const struct gguf_value *array, struct gguf_string *out);

// Element `i` of an array of I32 or F32.
int32_t gguf_array_i32(const struct gguf_value *array, uint64_t i);
float gguf_array_f32(const struct gguf_value *array, uint64_t i);

bool gguf_string_is(struct gguf_string s, const char *text);

// The first GGUF_SHOWN bytes, fit for a terminal: a file may put anything into a string. Returns `out`.
#define GGUF_SHOWN 64
const char *gguf_shown(struct gguf_string s, char out[GGUF_SHOWN + 1]);
