// SPDX-License-Identifier: Apache-2.0
// Device, kernels, weights and forward pass of one model, loaded step by step so that a server can
// answer in between.
#pragma once

#include <stdbool.h>

#include "forward.h"
#include "gpu.h"
#include "weights.h"

struct model {
	struct gpu gpu;
	struct shape shape;
	uint64_t seed;
	char name[64]; // "synthetic-1G-int8-seed1"
	cl_program program;
	struct weights weights;
	struct forward forward;
	unsigned step; // of loading
	bool ready;
	char progress[200]; // what the last step did
};

// Sets what to load; opens nothing. `size_text` is what the user called the size.
void model_init(struct model *m, const struct shape *s, uint64_t seed, const char *size_text);

// Does the next step: open the device, compile, allocate, fill (a step per layer), first pass.
// `ready` is set after the last. `progress` has a line about the step.
int model_load_step(struct model *m, unsigned platform, unsigned device, struct failure *f);

// NULL-safe on a zeroed object.
void model_free(struct model *m);
