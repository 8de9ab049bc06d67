// SPDX-License-Identifier: Apache-2.0
#include "reference.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WIDTH 4096

double reference_half(double v)
{
	return (double)(_Float16)(float)v;
}

void reference_pack(const double *v, int32_t block[BLOCK_INTS])
{
	double largest = 0;
	int16_t *numbers = (int16_t *)block;
	float scale;

	for (int i = 0; i < 32; i++)
		largest = fmax(largest, fabs(v[i]));
	scale = (float)(largest / 32767);
	memcpy(&block[BLOCK_SCALE], &scale, sizeof scale);
	block[BLOCK_SUM] = 0;
	for (int i = 0; i < 32; i++) {
		numbers[i] = (int16_t)(largest > 0 ? rint(v[i] / largest * 32767) : 0);
		block[BLOCK_SUM] += numbers[i];
	}
}

int reference_init(struct reference *r, struct gpu *g, const struct weights *w,
	const float *frequencies, uint32_t capacity, struct failure *f)
{
	size_t cache = (size_t)w->shape.layers * capacity * shape_kv_dim(&w->shape);
	int st;

	*r = (struct reference){ .w = w, .frequencies = frequencies, .capacity = capacity };
	r->arena = malloc(w->arena_bytes[0]);
	r->vectors = malloc(w->vector_count * sizeof(float));
	r->keys = calloc(cache, sizeof(double));
	r->values = calloc(cache, sizeof(double));
	if (!r->arena || !r->vectors || !r->keys || !r->values || w->n_arenas != 1)
		return fail(f, ENOMEM, "no memory for the reference, or a model too large for it");
	st = gpu_read(g, w->arenas[0], 0, r->arena, w->arena_bytes[0], f);
	return st ? st : gpu_read(g, w->vectors, 0, r->vectors, w->vector_count * 4, f);
}

void reference_free(struct reference *r)
{
	free(r->arena);
	free(r->vectors);
	free(r->keys);
	free(r->values);
}

// A weight out of its strip (kernels/common.cl).
double reference_weight(
	const struct reference *r, const struct matrix *m, uint32_t row, uint32_t col)
{
	uint32_t tiles = m->cols / TILE_COLS, y = row % TILE_ROWS, c = col % TILE_COLS;
	const uint8_t *strip = (const uint8_t *)r->arena + m->at +
			       (uint64_t)(row / TILE_ROWS) * tiles * weight_tile_bytes(m->type);
	const _Float16 *halves = (const _Float16 *)strip;
	const uint32_t *ints =
		(const uint32_t *)(strip + (size_t)tiles * TILE_ROWS * sizeof *halves);
	double scale = (double)halves[col / TILE_COLS * TILE_ROWS + y];

	switch (m->type) {
	case WEIGHT_Q8_0: // four columns an int: the first, the third, the second, the fourth
		ints += col / 4 * TILE_ROWS + y;
		return scale * ((int)(*ints >> (c % 2 * 16 + c / 2 % 2 * 8) & 255) - 128);
	case WEIGHT_Q4_0:
		ints += col / 8 * TILE_ROWS + y;
		return scale * ((int)(*ints >> (c % 2 * 16 + c / 2 % 4 * 4) & 15) - 8);
	case WEIGHT_F16:
		return (double)halves[col * TILE_ROWS + y];
	default:
		return (double)((const float *)strip)[col * TILE_ROWS + y];
	}
}

void reference_product_rows(const struct reference *r, const struct matrix *m, uint32_t rows,
	const double *in, double *out)
{
	for (uint32_t row = 0; row < rows; row++) {
		out[row] = 0;
		for (uint32_t col = 0; col < m->cols; col++)
			out[row] += reference_weight(r, m, row, col) * in[col];
	}
}

void reference_product(
	const struct reference *r, const struct matrix *m, const double *in, double *out)
{
	reference_product_rows(r, m, m->rows, in, out);
}

void reference_embedding(const struct reference *r, int32_t token, double *out)
{
	for (uint32_t i = 0; i < r->w->shape.dim; i++)
		out[i] = reference_weight(r, &r->w->embedding, (uint32_t)token, i);
}

void reference_norm(const struct reference *r, uint64_t gain, const double *in, double *out)
{
	uint32_t dim = r->w->shape.dim;
	double squares = 0;

	for (uint32_t i = 0; i < dim; i++)
		squares += in[i] * in[i];
	for (uint32_t i = 0; i < dim; i++)
		out[i] = in[i] * (double)r->vectors[gain + i] /
			 sqrt(squares / (dim - r->w->shape.dim_padding) +
				 (double)r->w->shape.norm_eps);
}

void reference_rope(const struct reference *r, uint32_t position, double *v, uint32_t n)
{
	const struct shape *s = &r->w->shape;

	for (uint32_t i = 0; i < n; i += 2) {
		double angle = position * (double)r->frequencies[i % s->head_dim / 2];
		double a = v[i], b = v[i + 1];

		v[i] = a * cos(angle) - b * sin(angle);
		v[i + 1] = a * sin(angle) + b * cos(angle);
	}
}

static double *cache_row(
	const struct reference *r, double *cache, uint32_t layer, uint32_t position)
{
	return cache + ((size_t)layer * r->capacity + position) * shape_kv_dim(&r->w->shape);
}

static void attend_head(const struct reference *r, uint32_t layer, uint32_t first, uint32_t last,
	uint32_t head, const double *q, double *out)
{
	const struct shape *s = &r->w->shape;
	uint32_t at = head / (s->heads / s->kv_heads) * s->head_dim;
	double total = 0;

	memset(out, 0, s->head_dim * sizeof *out);
	for (uint32_t t = first; t <= last; t++) {
		const double *k = cache_row(r, r->keys, layer, t) + at;
		const double *v = cache_row(r, r->values, layer, t) + at;
		double score = 0, e;

		for (uint32_t i = 0; i < s->head_dim; i++)
			score += q[i] * k[i];
		e = exp(score / sqrt(s->head_dim - s->head_padding));
		total += e;
		for (uint32_t i = 0; i < s->head_dim; i++)
			out[i] += e * v[i];
	}
	for (uint32_t i = 0; i < s->head_dim; i++)
		out[i] /= total;
}

void reference_attention(const struct reference *r, uint32_t layer, uint32_t first, uint32_t last,
	const double *q, double *out)
{
	const struct shape *s = &r->w->shape;

	for (uint32_t h = 0; h < s->heads; h++)
		attend_head(r, layer, first, last, h, q + h * s->head_dim, out + h * s->head_dim);
}

static void store(const struct reference *r, double *cache, uint32_t layer, uint32_t position,
	const double *v)
{
	double *row = cache_row(r, cache, layer, position);

	for (uint32_t i = 0; i < shape_kv_dim(&r->w->shape); i++)
		row[i] = reference_half(v[i]);
}

static void attention_block(struct reference *r, uint32_t layer, uint32_t position, double *x)
{
	const struct shape *s = &r->w->shape;
	const struct layer_weights *p = &r->w->layers[layer];
	uint32_t q = shape_q_dim(s), kv = shape_kv_dim(s);
	uint32_t first = position >= s->context ? position - s->context + 1 : 0;
	double y[MAX_WIDTH], qkv[MAX_WIDTH], heads[MAX_WIDTH];

	reference_norm(r, p->attention_gain, x, y);
	reference_product(r, &p->qkv, y, qkv);
	reference_rope(r, position, qkv, q);
	reference_rope(r, position, qkv + q, kv);
	store(r, r->keys, layer, position, qkv + q);
	store(r, r->values, layer, position, qkv + q + kv);
	reference_attention(r, layer, first, position, qkv, heads);
	reference_product(r, &p->output, heads, y);
	for (uint32_t i = 0; i < s->dim; i++)
		x[i] += y[i];
}

static void feed_block(const struct reference *r, uint32_t layer, double *x)
{
	const struct shape *s = &r->w->shape;
	const struct layer_weights *p = &r->w->layers[layer];
	double y[MAX_WIDTH], both[MAX_WIDTH], hidden[MAX_WIDTH];

	reference_norm(r, p->feed_gain, x, y);
	reference_product(r, &p->gate_up, y, both);
	for (uint32_t i = 0; i < s->hidden; i++)
		hidden[i] = both[2 * i] / (1 + exp(-both[2 * i])) * both[2 * i + 1];
	reference_product(r, &p->down, hidden, y);
	for (uint32_t i = 0; i < s->dim; i++)
		x[i] += y[i];
}

void reference_token(struct reference *r, int32_t token, uint32_t position, double *logits)
{
	const struct shape *s = &r->w->shape;
	double x[MAX_WIDTH], y[MAX_WIDTH];

	reference_embedding(r, token, x);
	for (uint32_t layer = 0; layer < s->layers; layer++) {
		attention_block(r, layer, position, x);
		feed_block(r, layer, x);
	}
	reference_norm(r, r->w->final_gain, x, y);
	reference_product_rows(r, &r->w->logits, s->vocab, y, logits);
}
