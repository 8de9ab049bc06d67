// SPDX-License-Identifier: Apache-2.0
// Training steps: a batch drawn from the text, the passes, AdamW with clipping, warm-up and a cosine.
// All that a step depends on is the recipe, the step's number and the device's state.
#pragma once

#include "network.h"
#include "text.h"

// What makes a run; stored in a checkpoint, and a run goes on only with the same.
struct recipe {
	uint64_t seed;
	uint64_t steps;                  // of the whole run
	uint64_t warmup;                 // steps until the full rate
	uint64_t cosine;                 // the step at which the cosine would end
	uint64_t cooldown;               // last steps, in which the rate falls in a line instead
	float rate, final_rate;          // highest learning rate, and the last
	float beta1, beta2, decay, clip; // AdamW, and the highest norm of the gradient
};

#define RECIPE_DEFAULT                                                                             \
	(struct recipe)                                                                            \
	{                                                                                          \
		.seed = 1, .steps = 1000, .warmup = 50, .cosine = 1000, .rate = 3e-3f,             \
		.final_rate = 1e-4f, .beta1 = 0.9f, .beta2 = 0.95f, .decay = 0.1f, .clip = 1.0f    \
	}

struct trainer {
	struct network network;
	struct recipe recipe;
	uint64_t step;       // steps done
	cl_mem mean, square; // AdamW's moments, as long as the parameters
	cl_mem rates, sums;
	struct plan update;
	int32_t *tokens, *targets; // the batch, on the host
};

// Sets up a run at step 0 with fresh parameters. `g` must outlive it.
int trainer_init(struct trainer *t, struct gpu *g, const struct shape *s, const struct recipe *r,
	struct failure *f);

// NULL-safe on a zeroed object.
void trainer_free(struct trainer *t);

// The learning rate of step `step`, counted from 1.
float trainer_rate(const struct recipe *r, uint64_t step);

struct step_report {
	float loss; // mean over the batch, nats per token
	float norm; // of the gradient before clipping
	float rate;
};

// One step on sequences drawn from `text`. Waits until it is done.
int trainer_step(
	struct trainer *t, const struct text *text, struct step_report *ret, struct failure *f);
