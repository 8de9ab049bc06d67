// SPDX-License-Identifier: Apache-2.0
// One pass through the network: a few tokens of one or several sequences at once. All kernel objects
// are made once with all their arguments; what a pass is about lives in a small record that is
// uploaded before it, so a pass is a batch of enqueues in which nothing changes. Nothing here waits
// but forward_set_pages(). Knows no requests.
#pragma once

#include "gpu.h"
#include "weights.h"

// As in kernels/common.cl.
#define PASS_ROWS     32 // tokens in a pass at most
#define MAX_SEQUENCES 16 // sequences, and tokens sampled in a pass, at most
#define TOKEN_SAMPLED (-1)

// What a pass does; uploaded as it is.
struct pass_record {
	int32_t rows, outputs, unused[2];
	int32_t token[PASS_ROWS];      // or TOKEN_SAMPLED: the sequence's last one, on the device
	int32_t position[PASS_ROWS];   // in the sequence, from 0
	int32_t sequence[PASS_ROWS];   // whose page table and whose sampled token
	int32_t output[MAX_SEQUENCES]; // rows that are followed by a token
};

struct layer_kernels {
	cl_kernel attention_norm, qkv, attention, output, feed_norm, swiglu, down;
	cl_mem kv; // K then V, halves
};

struct forward {
	struct gpu *gpu;
	const struct weights *weights;
	cl_mem x, q, logit, rotation;   // floats, a row a token
	cl_mem normed, heads, hidden;   // what matrices are multiplied with (kernels/activation.cl)
	cl_mem record, tables, sampled; // ints
	cl_kernel embed, final_norm, logits, argmax;
	struct layer_kernels *layers;
};

// Allocates activations and cache, makes the kernels. `g` and `w` must outlive it.
int forward_init(struct forward *fw, struct gpu *g, const struct weights *w,
	const struct programs *programs, struct failure *f);

// NULL-safe on a zeroed object.
void forward_free(struct forward *fw);

// Uploads the first `n` entries of a sequence's page table and waits for it.
int forward_set_pages(
	struct forward *fw, unsigned sequence, const int32_t *pages, uint32_t n, struct failure *f);

// Enqueues one pass. The record must stay until a later read has completed.
int forward_pass(struct forward *fw, const struct pass_record *record, struct failure *f);

// Enqueues the read of every sequence's newest greedy token into ret[MAX_SEQUENCES], which must stay
// valid until *ret_done is complete; the caller releases the event.
int forward_read_tokens(struct forward *fw, int32_t *ret, cl_event *ret_done, struct failure *f);

// Enqueues the read of the logits of output `output` of the last pass: `vocab` floats.
int forward_read_logits(struct forward *fw, unsigned output, float *ret, struct failure *f);

// Device launches of one sampling pass.
unsigned forward_launches(const struct forward *fw);
