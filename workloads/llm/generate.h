// SPDX-License-Identifier: Apache-2.0
// One sequence at a time: feeds the prompt, then yields a token a step. One pass is always enqueued
// ahead of the token that is waited for, so the device works while the host deals with the last
// one.
#pragma once

#include <stdbool.h>

#include "forward.h"

#define GENERATE_AHEAD 2 // passes in flight at most, the one that is waited for included

struct generate {
	struct forward *forward;
	int32_t *prompt;                  // own copy; the device reads from it
	uint32_t n_prompt, fed;           // prompt tokens, and how many of them have been enqueued
	uint32_t wanted, enqueued, taken; // sampled tokens
	int32_t landing[GENERATE_AHEAD];  // where the reads arrive, by number modulo GENERATE_AHEAD
	cl_event done[GENERATE_AHEAD];
};

// Starts a sequence of `n` prompt tokens that yields `wanted` tokens. -EINVAL if the prompt is
// empty, longer than the context, or has an id outside the vocabulary.
int generate_begin(struct generate *g, struct forward *fw, const int32_t *prompt, uint32_t n,
	uint32_t wanted, struct failure *f);

// Does one bounded piece of work and waits for it: some prompt tokens, or one sampled token.
// Returns 1 with *ret_token, 0 when the prompt is not through yet, or a negative errno.
int generate_step(struct generate *g, int32_t *ret_token, struct failure *f);

bool generate_finished(const struct generate *g);

// Ends a sequence at any point: waits for what is in flight. NULL-safe on a zeroed object.
void generate_end(struct generate *g);
