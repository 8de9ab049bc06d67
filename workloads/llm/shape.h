// SPDX-License-Identifier: Apache-2.0
// The shape of a Llama-type transformer: knows numbers, no OpenCL.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "failure.h"

enum weight_type { WEIGHT_INT8, WEIGHT_F16 };

struct shape {
	uint32_t dim; // width of the residual stream = heads * head_dim; a multiple of 16
	uint32_t layers;
	uint32_t heads;    // query heads
	uint32_t kv_heads; // key and value heads; divides `heads`
	uint32_t head_dim; // a multiple of 16
	uint32_t hidden;   // width of the feed-forward; a multiple of 16
	uint32_t vocab;    // a multiple of 16
	uint32_t context;  // slots of the KV cache, in tokens
	float rope_theta;
	float norm_eps;
	enum weight_type weights;
};

uint32_t shape_kv_dim(const struct shape *s);

// Bytes of one weight: 1 or 2.
uint32_t shape_weight_size(const struct shape *s);

// Bytes of all matrices, without row scales and norm gains.
uint64_t shape_weight_bytes(const struct shape *s);

// Bytes of weights that one forward pass reads: all but the unused rows of the embedding.
uint64_t shape_pass_bytes(const struct shape *s);

// Bytes of the KV cache (keys and values are halves).
uint64_t shape_kv_bytes(const struct shape *s);

// Checks what the kernels rely on. -EINVAL names the field.
int shape_check(const struct shape *s, struct failure *f);

// Chooses a shape of about `bytes` of weights (within 5%) in the proportions of Llama 3.1: four
// query heads to a KV head, a feed-forward 3.5 times as wide as the stream. -ERANGE if there is
// none.
int shape_pick(uint64_t bytes, enum weight_type weights, uint32_t vocab, uint32_t context,
	struct shape *ret, struct failure *f);

// Reads "1G", "64M", "300000K" or bytes. -EINVAL for anything else, zero and overflow included.
int size_parse(const char *text, uint64_t *ret);
