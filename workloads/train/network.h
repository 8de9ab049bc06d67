// SPDX-License-Identifier: Apache-2.0
// The network on the device: parameters and activations, and the launches of a pass forward and of the
// way back. Knows no optimiser and no text.
#pragma once

#include "plan.h"
#include "shape.h"

#define NETWORK_NORM_EPS   1e-5f
#define NETWORK_ROPE_THETA 10000.0f

// One flat array of layout.total floats, and the parts of it that kernels take.
struct parameters {
	cl_mem all;
	cl_mem embedding, final_gain;
	struct {
		cl_mem qkv, output, gate_up, down, attention_gain, feed_gain;
	} layers[SHAPE_MAX_LAYERS];
};

// What a layer keeps for the way back. Rows are tokens of the batch.
struct activations {
	cl_mem x, x_middle;         // [dim] before attention, before the feed-forward
	cl_mem normed, feed_normed; // [dim] after each norm
	cl_mem scale, feed_scale;   // each norm's factor
	cl_mem qkv;                 // [qkv_dim], queries and keys rotated
	cl_mem keys, values;        // [batch][kv_dim][context]
	cl_mem p;                   // [batch * heads][context][context], attention's weights
	cl_mem mixed;               // [dim] attention's result
	cl_mem gate_up, hidden;     // [2 * hidden], [hidden]
};

struct network {
	struct gpu *gpu;
	struct shape shape;
	struct layout layout;
	cl_program program;
	struct parameters parameters, gradient, transposed; // transposed: the matrices only
	struct activations layers[SHAPE_MAX_LAYERS];
	cl_mem x, normed, scale;                                      // after the last layer
	cl_mem dx, dnormed, dqkv, dmixed, dscores, dhidden, dgate_up; // scratch of the way back
	cl_mem tokens, targets;                                       // [rows] ints
	cl_mem logits; // [rows][vocab]; loss() leaves its gradient here
	cl_mem losses; // [rows], nats
	cl_mem report; // floats: mean loss, norm of the gradient
	cl_mem rotation;
	struct plan forward; // tokens to logits
	struct plan loss;    // logits and targets to losses and report[0]
	struct plan backward;
};

// Compiles the kernels and allocates everything; parameters are undefined. `g` must outlive it. On an
// error what was made is released by network_free(), as always.
int network_init(struct network *n, struct gpu *g, const struct shape *s, struct failure *f);

// NULL-safe on a zeroed object.
void network_free(struct network *n);

// Writes parameters made from `seed`: uniform, with half the deviation that keeps a sum's size; gains 1.
int network_randomize(struct network *n, uint64_t seed, struct failure *f);

// Uploads rows tokens (and targets, unless NULL); each is below vocab.
int network_set_tokens(
	struct network *n, const int32_t *tokens, const int32_t *targets, struct failure *f);

// A hash of `n` numbers that is good enough to draw from.
uint64_t network_hash(uint64_t a, uint64_t b, uint64_t c);
