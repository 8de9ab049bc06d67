// SPDX-License-Identifier: Apache-2.0
// The shape of a Llama-type transformer: knows numbers, no OpenCL.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

// How a matrix is stored. The quantised ones are blocks of 32 with one half as scale (gguf/format.h).
enum weight_type { WEIGHT_F32, WEIGHT_F16, WEIGHT_Q8_0, WEIGHT_Q4_0, WEIGHT_TYPES };

#define TILE_ROWS 16u // matrices lie in tiles of 16 rows by 32 columns (kernels/common.cl)
#define TILE_COLS 32u

#define SHAPE_MAX_DIM     16384u
#define SHAPE_MAX_HIDDEN  (8 * SHAPE_MAX_DIM)
#define SHAPE_MAX_HEADS   1024u
#define SHAPE_MAX_LAYERS  512u
#define SHAPE_MAX_VOCAB   (1u << 20)
#define SHAPE_MAX_CONTEXT (1u << 20)
#define SHAPE_PAGE        16 // tokens in a page of the KV cache, as PAGE in kernels/common.cl

struct shape {
	uint32_t dim;         // width of the residual stream; a multiple of 32
	uint32_t dim_padding; // the last columns of the stream that are zeros, less than 32
	uint32_t layers;
	uint32_t heads;        // query heads; heads * head_dim is a multiple of 32
	uint32_t kv_heads;     // key and value heads; divides `heads`
	uint32_t head_dim;     // a multiple of 16
	uint32_t head_padding; // the last columns of a head that are zeros, less than 32
	uint32_t hidden;       // width of the feed-forward; a multiple of 32
	uint32_t vocab;        // tokens
	uint32_t context; // slots that one sequence can have, in tokens; a multiple of SHAPE_PAGE
	uint32_t cache_slots; // slots of the KV cache for all sequences; at least `context`
	float norm_eps;
};

// Rows of the embedding and of the output projection in memory.
uint32_t shape_vocab_rows(const struct shape *s);
uint32_t shape_q_dim(const struct shape *s);
uint32_t shape_kv_dim(const struct shape *s);

// Bytes of a tile of a type.
uint32_t weight_tile_bytes(enum weight_type t);

// Stored in blocks: what such a matrix is multiplied with is packed too (kernels/activation.cl).
bool weight_is_quantised(enum weight_type t);

// "q8_0"
const char *weight_type_name(enum weight_type t);

// Bytes of all matrices if all have one type, without norm gains.
uint64_t shape_weight_bytes(const struct shape *s, enum weight_type t);

// Bytes of the KV cache (keys and values are halves).
uint64_t shape_kv_bytes(const struct shape *s);

// Checks what the kernels rely on. -EINVAL names the field.
int shape_check(const struct shape *s, struct failure *f);

// Chooses a shape of about `bytes` of weights (within 5%) in the proportions of Llama 3.1: four
// query heads to a KV head, a feed-forward 3.5 times as wide as the stream. -ERANGE if there is
// none. Vocabulary and context are to be set before.
int shape_pick(uint64_t bytes, enum weight_type t, struct shape *s, struct failure *f);

// The widths of a published model with as many layers as fit `bytes`: "llama-3.1-8b" or
// "llama-3.1-70b". -EINVAL for another name, -ERANGE if not even one layer fits.
int shape_preset(
	const char *name, uint64_t bytes, enum weight_type t, struct shape *s, struct failure *f);

// Reads "1G", "64M", "300000K" or bytes. -EINVAL for anything else, zero and overflow included.
int size_parse(const char *text, uint64_t *ret);
