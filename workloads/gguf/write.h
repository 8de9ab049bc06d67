// SPDX-License-Identifier: Apache-2.0
// Writes GGUF, version 3: keys and tensors are collected, then written in one go. Out of memory and
// misuse are sticky: a list of calls needs no checks, gguf_write_file() reports the first.
#pragma once

#include <stddef.h>

#include "gguf/format.h"

struct gguf_writer_tensor; // name, type, dimensions and converted data

struct gguf_writer {
	uint8_t *keys; // the key section, growing
	size_t keys_len, keys_size;
	uint64_t n_keys;
	struct gguf_writer_tensor *tensors;
	size_t n_tensors, tensors_size;
	int failed; // 0 or a negative errno
};

void gguf_write_u32(struct gguf_writer *w, const char *name, uint32_t v);
void gguf_write_f32(struct gguf_writer *w, const char *name, float v);
void gguf_write_bool(struct gguf_writer *w, const char *name, bool v);
void gguf_write_text(struct gguf_writer *w, const char *name, const char *text);

// Arrays of `n`.
void gguf_write_strings(
	struct gguf_writer *w, const char *name, const char *const *texts, uint64_t n);
void gguf_write_floats(struct gguf_writer *w, const char *name, const float *v, uint64_t n);
void gguf_write_ints(struct gguf_writer *w, const char *name, const int32_t *v, uint64_t n);

// A tensor of `rows` rows of `cols` weights (a vector has 0 rows), converted to `type`: F32, F16 or
// Q8_0, whose rows must be whole blocks. Both name and weights are copied.
void gguf_write_tensor(struct gguf_writer *w, const char *name, enum gguf_tensor_type type,
	uint64_t rows, uint64_t cols, const float *weights);

// Writes PATH.new and renames it. -EINVAL for an earlier misuse, -ENOMEM, or what the file system says.
int gguf_write_file(struct gguf_writer *w, const char *path, struct gguf_error *e);

// Safe on a zeroed object.
void gguf_writer_free(struct gguf_writer *w);
