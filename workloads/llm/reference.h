// SPDX-License-Identifier: Apache-2.0
// The same network in plain C with plain loops, for tests: reads the device's weights back and
// computes in double precision.
#pragma once

#include "weights.h"

struct reference {
	const struct weights *w;
	void *arena; // host copy of arena 0: models under test have one
	float *vectors;
	const float *frequencies;
	double *keys, *values; // [layer][position][kv_dim], rounded to halves; `capacity` positions
	uint32_t capacity;
};

int reference_init(struct reference *r, struct gpu *g, const struct weights *w,
	const float *frequencies, uint32_t capacity, struct failure *f);
void reference_free(struct reference *r);

// One weight as the device has it.
double reference_weight(
	const struct reference *r, const struct matrix *m, uint32_t row, uint32_t col);

// out = W in
void reference_product(
	const struct reference *r, const struct matrix *m, const double *in, double *out);

// The same with only the first `rows` rows.
void reference_product_rows(const struct reference *r, const struct matrix *m, uint32_t rows,
	const double *in, double *out);

// A token's row of the embedding.
void reference_embedding(const struct reference *r, int32_t token, double *out);

// out = in * gain / sqrt(mean(in^2) + eps)
void reference_norm(const struct reference *r, uint64_t gain, const double *in, double *out);

// Rotates the neighbouring pairs of `n` values by the angles of `position`.
void reference_rope(const struct reference *r, uint32_t position, double *v, uint32_t n);

// Attention over positions [first, last] of a layer's keys and values.
void reference_attention(const struct reference *r, uint32_t layer, uint32_t first, uint32_t last,
	const double *q, double *out);

// One token through everything; `logits` has vocab values.
void reference_token(struct reference *r, int32_t token, uint32_t position, double *logits);

// 32 numbers as a block that quantised weights are multiplied with (kernels/activation.cl).
#define BLOCK_INTS  18
#define BLOCK_SCALE 16
#define BLOCK_SUM   17
void reference_pack(const double *v, int32_t block[BLOCK_INTS]);

// `v` rounded to a half and back.
double reference_half(double v);
