// SPDX-License-Identifier: Apache-2.0
// The model's weights in device memory: where each tensor lies in a few large buffers, and what
// fills them. Knows no forward pass.
#pragma once

#include <stdbool.h>

#include "gpu.h"
#include "programs.h"
#include "shape.h"

#define MAX_ARENAS 256

// A matrix in tiles. Rows and columns are multiples of a tile's.
struct matrix {
	enum weight_type type;
	unsigned arena; // index of the buffer in weights.arenas
	uint64_t at;    // first byte, in that buffer
	uint32_t rows, cols;
};

enum { LAYER_QKV, LAYER_OUTPUT, LAYER_GATE_UP, LAYER_DOWN, LAYER_MATRICES };

struct layer_weights {
	struct matrix qkv;     // rows: queries, keys, values
	struct matrix output;  // of the attention
	struct matrix gate_up; // rows in turn: gate 0, up 0, gate 1, ...
	struct matrix down;
	uint64_t attention_gain, feed_gain; // norm gains, in `vectors`
};

// Which types the matrices shall have.
struct weight_plan {
	enum weight_type embedding, logits;
	bool tied; // the output projection is the embedding
	enum weight_type (*layers)[LAYER_MATRICES];
};

struct weights {
	struct shape shape;
	cl_mem arenas[MAX_ARENAS]; // the buffers of about 512 MiB that hold all matrices
	uint64_t arena_bytes[MAX_ARENAS];
	unsigned n_arenas;
	uint64_t max_buffer; // bytes
	cl_mem vectors;      // floats: norm gains, RoPE frequencies
	uint64_t vector_count;
	uint64_t bytes;          // of all matrices
	uint64_t pass_bytes;     // of those that a pass reads whole: all but the embedding's rows
	bool uses[WEIGHT_TYPES]; // types that some matrix has
	struct layer_weights *layers; // shape.layers of them
	struct matrix embedding, logits;
	uint64_t final_gain, rope_frequencies;
};

// Lays everything out; allocates no device memory yet. `max_buffer` is the device's limit.
int weights_plan(struct weights *w, const struct shape *s, const struct weight_plan *plan,
	uint64_t max_buffer, struct failure *f);

// The same with one type for all.
int weights_plan_uniform(struct weights *w, const struct shape *s, enum weight_type type,
	uint64_t max_buffer, struct failure *f);

// Allocates; contents are undefined.
int weights_alloc(struct weights *w, struct gpu *g, struct failure *f);

// Uploads shape.head_dim / 2 RoPE frequencies.
int weights_set_frequencies(
	struct weights *w, struct gpu *g, const float *frequencies, struct failure *f);

// NULL-safe on a zeroed object.
void weights_free(struct weights *w);

// Bytes of a matrix.
uint64_t matrix_bytes(const struct matrix *m);

// Fills part `part` of weights_parts() with synthetic contents, on the device, and waits for it:
// part 0 is the embedding, part 1 the output, then a part per layer.
int weights_synthesize(struct weights *w, struct gpu *g, const struct programs *programs,
	uint64_t seed, unsigned part, struct failure *f);
unsigned weights_parts(const struct weights *w);
