// SPDX-License-Identifier: Apache-2.0
// Names of a Llama model's tensors in GGUF files, and which of them make a matrix on the device.
// Between llama_file.c and llama_upload.c only.
#pragma once

#include "llama_file.h"

// Of every `device` rows or columns of a matrix the first `file` are in the file, the others are zeros:
// streams, heads and feed-forwards whose width the kernels' vectors do not divide. Zeros change no sum.
struct llama_padding {
	uint32_t file, device;
};

// Several tensors make one matrix: one after the other, or, `in_turn`, a row of each.
struct llama_source {
	const char *names[3]; // within a layer
	unsigned count;
	bool in_turn;
	uint32_t rows[3], cols; // in the file
	struct llama_padding row_padding, col_padding;
};

struct llama_source llama_source_of(const struct llama_file *l, unsigned matrix);

// The residual stream's.
struct llama_padding llama_stream_padding(const struct llama_file *l);

// Norm gains: of the attention, of the feed-forward.
extern const char *const llama_layer_vectors[2];

// "blk.LAYER.NAME.weight"
void llama_layer_name(char out[64], uint32_t layer, const char *name);
