// SPDX-License-Identifier: Apache-2.0
// A GGUF file as a model of the Llama architecture: hyper-parameters, RoPE frequencies, which tensor
// is which matrix, and their upload. Knows no tokenizer.
#pragma once

#include "gguf/read.h"
#include "rope.h"
#include "weights.h"

struct llama_file {
	const struct gguf_file *gguf;
	struct shape
		shape; // as the device has it: some widths are rounded up, with zeros (llama_tensors.h)
	uint32_t hidden; // the feed-forward's width in the file
	float frequencies[ROPE_MAX_PAIRS];
	struct weight_plan plan; // its layers are owned
};

// Reads and checks everything but the weights' values: a file that passes can be uploaded. The
// context is the model's, at most `context` tokens; `cache` as in shape.cache_slots, 0 for two
// contexts. `g` must outlive it. Errors name the key or the tensor.
int llama_file_read(struct llama_file *ret, const struct gguf_file *g, uint32_t context,
	uint32_t cache, struct failure *f);

// NULL-safe on a zeroed object.
void llama_file_free(struct llama_file *l);

// Uploads part `part` of weights_parts(): the embedding, the ends, then a part per layer.
int llama_file_upload(const struct llama_file *l, struct weights *w, struct gpu *g, unsigned part,
	struct failure *f);
