// SPDX-License-Identifier: Apache-2.0
// Device, kernels, weights and scheduler of one model, loaded step by step so that a server can
// answer in between.
#pragma once

#include <stdbool.h>

#include "forward.h"
#include "gpu.h"
#include "llama_file.h"
#include "scheduler.h"
#include "tokenizer.h"
#include "weights.h"

struct model {
	struct gpu gpu;
	struct shape shape;
	enum weight_type type; // of synthetic weights
	float frequencies[ROPE_MAX_PAIRS];
	struct gguf_file gguf;  // of a model from a file
	struct llama_file file; // gguf is NULL: synthetic
	struct tokenizer *tokenizer;
	uint64_t seed;
	char name[128]; // "synthetic-1G-q8_0-seed1"
	struct programs programs;
	struct weights weights;
	struct forward forward;
	struct scheduler scheduler;
	unsigned step; // of loading
	bool ready;
	char progress[256]; // what the last step did
};

// Sets a synthetic model to load; opens no device. `size_text` is what the user called the size.
int model_init(struct model *m, const struct shape *s, enum weight_type type, uint64_t seed,
	const char *size_text, struct failure *f);

// Opens and checks a GGUF file to load; on failure nothing stays open. `context` and `cache` as for
// llama_file_read().
int model_init_file(
	struct model *m, const char *path, uint32_t context, uint32_t cache, struct failure *f);

// Does the next step: open the device, lay out, compile, allocate, fill (a step per layer), first
// pass. `ready` is set after the last. `progress` has a line about the step.
int model_load_step(struct model *m, unsigned platform, unsigned device, struct failure *f);

// NULL-safe on a zeroed object.
void model_free(struct model *m);
