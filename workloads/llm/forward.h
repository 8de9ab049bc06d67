// SPDX-License-Identifier: Apache-2.0
// One token through the network. All kernel objects are made once with all their arguments; where
// the sequence stands lives on the device (kernels/common.cl, STEP_*), so a token is a batch of
// enqueues in which nothing changes. Nothing here waits but forward_begin's callers' reads.
#pragma once

#include "gpu.h"
#include "program.h"
#include "weights.h"

struct layer_kernels {
	cl_kernel qkv, attention, output, swiglu, down;
	cl_mem kv; // K then V, halves
};

struct forward {
	struct gpu *gpu;
	const struct weights *weights;
	cl_mem x, q, heads, hidden, logit, rotation; // activations, floats
	cl_mem step, prompt;                         // ints
	cl_kernel embed, logits, argmax;
	struct layer_kernels *layers;
	int32_t start[4]; // what forward_begin() uploads; must outlive the upload
};

// Allocates activations and cache, makes the kernels. `g` and `w` must outlive it.
int forward_init(struct forward *fw, struct gpu *g, const struct weights *w, cl_program program,
	struct failure *f);

// NULL-safe on a zeroed object.
void forward_free(struct forward *fw);

// Starts a sequence: enqueues the upload of `n` prompt tokens (1 <= n <= context, each below
// vocab). `prompt` must stay until a later read has completed.
int forward_begin(struct forward *fw, const int32_t *prompt, uint32_t n, struct failure *f);

// Enqueues one pass. With `sample` the pass ends in a token, else it only fills the cache (all but
// the last token of a prompt).
int forward_enqueue(struct forward *fw, bool sample, struct failure *f);

// Enqueues the read of the newest sampled token (4 bytes) into *ret, which must stay valid until
// *ret_done is complete; the caller releases the event.
int forward_read_token(struct forward *fw, int32_t *ret, cl_event *ret_done, struct failure *f);

// Device launches of one sampling pass, and the bytes of cache.
unsigned forward_launches(const struct forward *fw);
