// SPDX-License-Identifier: Apache-2.0
// The shape of the network and of a batch, and where each parameter lies in the one flat array that
// holds them all. Knows numbers, no OpenCL.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "failure.h"

#define SHAPE_CHUNK      1024 // floats: every matrix and the gains begin at a multiple
#define SHAPE_MAX_LAYERS 64

struct shape {
	uint32_t dim;      // width of the residual stream = heads * head_dim; a multiple of 32
	uint32_t layers;   // 1 to SHAPE_MAX_LAYERS
	uint32_t heads;    // query heads
	uint32_t kv_heads; // key and value heads; divides `heads`
	uint32_t hidden;   // width of the feed-forward; a multiple of 32
	uint32_t vocab;    // a multiple of 32, at most 65536
	uint32_t context;  // tokens of a sequence; a multiple of 32
	uint32_t batch;    // sequences of a step
};

// Offsets and sizes count floats. A matrix is [rows][cols], a row for each output.
struct matrix {
	uint64_t at;
	uint32_t rows, cols;
};

struct layer_layout {
	struct matrix qkv;     // rows: queries, keys, values
	struct matrix output;  // of the attention
	struct matrix gate_up; // rows: gates, ups
	struct matrix down;
	uint64_t attention_gain, feed_gain; // `dim` floats each
};

struct layout {
	struct matrix embedding; // also the output layer
	struct layer_layout layers[SHAPE_MAX_LAYERS];
	uint64_t final_gain;
	uint64_t plain; // the first norm gain: from here on no weight decay
	uint64_t total; // a multiple of SHAPE_CHUNK; padding is zero and stays so
};

uint32_t shape_head_dim(const struct shape *s);
uint32_t shape_kv_dim(const struct shape *s);
uint32_t shape_qkv_dim(const struct shape *s);

// Rows of all activations: batch * context.
uint32_t shape_rows(const struct shape *s);

// Parameters without padding.
uint64_t shape_parameters(const struct shape *s);

// Floating-point operations of one step's matrices and attention, forward and back.
double shape_step_flops(const struct shape *s);

// Checks what the kernels rely on. -EINVAL names the field.
int shape_check(const struct shape *s, struct failure *f);

// Lays out the parameters of a checked shape.
void shape_layout(const struct shape *s, struct layout *ret);
