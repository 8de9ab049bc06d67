// SPDX-License-Identifier: Apache-2.0
// The model's weights in device memory: where each tensor lies in a few large buffers, and
// synthetic contents. Knows no forward pass.
#pragma once

#include <stdbool.h>

#include "gpu.h"
#include "program.h"
#include "shape.h"

#define MAX_ARENAS 256

// A matrix, row by row. Offsets count elements (weights; floats), not bytes.
struct matrix {
	unsigned arena;    // index of the buffer in weights.arenas
	uint64_t at;       // first weight, in that buffer
	uint64_t scale_at; // first of `rows` row scales, in `vectors` (int8 only)
	uint32_t rows, cols;
};

struct layer_weights {
	struct matrix qkv;     // rows: queries, keys, values
	struct matrix output;  // of the attention
	struct matrix gate_up; // rows in turn: gate 0, up 0, gate 1, ...
	struct matrix down;
	uint64_t attention_gain, feed_gain; // norm gains, in `vectors`
};

struct weights {
	struct shape shape;
	cl_mem arenas[MAX_ARENAS]; // the large buffers that hold all matrices
	uint64_t arena_bytes[MAX_ARENAS];
	unsigned n_arenas;
	uint64_t max_arena; // bytes
	cl_mem vectors;     // floats: row scales, norm gains, RoPE frequencies
	uint64_t vector_count;
	struct layer_weights *layers; // shape.layers of them
	struct matrix embedding, logits;
	uint64_t final_gain, rope_frequencies;
};

// Lays out and allocates everything; contents are undefined but for the RoPE frequencies.
int weights_alloc(struct weights *w, struct gpu *g, const struct shape *s, struct failure *f);

// NULL-safe on a zeroed object.
void weights_free(struct weights *w);

// Fills part `part` of weights_parts() with synthetic contents, on the device, and waits for it:
// part 0 is the embedding, part 1 the output, then a part per layer.
int weights_synthesize(struct weights *w, struct gpu *g, cl_program program, uint64_t seed,
	unsigned part, struct failure *f);
unsigned weights_parts(const struct weights *w);
