// SPDX-License-Identifier: Apache-2.0
// Builds GGUF files in memory, for tests: keys, then tensors.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gguf/format.h"

struct image_tensor {
	char name[64];
	uint32_t type, cols, rows;
	uint8_t *data;
	uint64_t bytes;
};

struct image {
	uint8_t *keys;
	size_t keys_len;
	uint32_t n_keys, n_tensors;
	struct image_tensor tensors[64];
};

void image_u32(struct image *m, const char *key, uint32_t v);
void image_f32(struct image *m, const char *key, float v);
void image_bool(struct image *m, const char *key, int v);
void image_text(struct image *m, const char *key, const char *v);
void image_texts(struct image *m, const char *key, const char *const *v, uint64_t n);
void image_i32s(struct image *m, const char *key, const int32_t *v, uint64_t n);
void image_f32s(struct image *m, const char *key, const float *v, uint64_t n);

// Copies `bytes` of data.
void image_tensor(struct image *m, const char *name, uint32_t type, uint32_t cols, uint32_t rows,
	const void *data, uint64_t bytes);

// The whole file; the caller frees it. The image is emptied.
uint8_t *image_finish(struct image *m, size_t *ret_len);
