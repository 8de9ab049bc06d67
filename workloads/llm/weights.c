// SPDX-License-Identifier: Apache-2.0
#include "weights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN       4096u          // bytes; each matrix starts on a page
#define ARENA_BYTES (512ull << 20) // a larger matrix has a buffer of its own

uint64_t matrix_bytes(const struct matrix *m)
{
	return (uint64_t)(m->rows / TILE_ROWS) * (m->cols / TILE_COLS) * weight_tile_bytes(m->type);
}

static int place_matrix(
	struct weights *w, struct matrix *m, struct matrix wanted, struct failure *f)
{
	uint64_t bytes = (matrix_bytes(&wanted) + ALIGN - 1) / ALIGN * ALIGN;
	uint64_t arena = w->max_buffer < ARENA_BYTES ? w->max_buffer : ARENA_BYTES;
	unsigned a = w->n_arenas ? w->n_arenas - 1 : 0;

	if (bytes > w->max_buffer)
		return fail(f, ENOMEM, "a %u x %u matrix does not fit one buffer of %llu bytes",
			wanted.rows, wanted.cols, (unsigned long long)w->max_buffer);
	if (w->n_arenas == 0 || w->arena_bytes[a] + bytes > arena) {
		if (w->n_arenas == MAX_ARENAS)
			return fail(f, ENOMEM, "the model needs more than %u buffers", MAX_ARENAS);
		a = w->n_arenas++;
	}
	*m = wanted;
	m->arena = a;
	m->at = w->arena_bytes[a];
	w->arena_bytes[a] += bytes;
	w->bytes += matrix_bytes(m);
	w->uses[m->type] = true;
	return 0;
}

static uint64_t place_vector(struct weights *w, uint32_t count)
{
	uint64_t at = w->vector_count;

	w->vector_count += (count + 15) / 16 * 16;
	return at;
}

static int place_layer(struct weights *w, struct layer_weights *p, const enum weight_type *types,
	struct failure *f)
{
	const struct shape *s = &w->shape;
	uint32_t q = shape_q_dim(s);
	const struct {
		struct matrix *m;
		uint32_t rows, cols;
	} all[LAYER_MATRICES] = {
		[LAYER_QKV] = { &p->qkv, q + 2 * shape_kv_dim(s), s->dim },
		[LAYER_OUTPUT] = { &p->output, s->dim, q },
		[LAYER_GATE_UP] = { &p->gate_up, 2 * s->hidden, s->dim },
		[LAYER_DOWN] = { &p->down, s->dim, s->hidden },
	};
	int r = 0;

	for (unsigned i = 0; !r && i < LAYER_MATRICES; i++)
		r = place_matrix(w, all[i].m,
			(struct matrix){
				.type = types[i], .rows = all[i].rows, .cols = all[i].cols },
			f);
	p->attention_gain = place_vector(w, s->dim);
	p->feed_gain = place_vector(w, s->dim);
	return r;
}

static int place_all(struct weights *w, const struct weight_plan *plan, struct failure *f)
{
	const struct shape *s = &w->shape;
	struct matrix ends = {
		.type = plan->embedding, .rows = shape_vocab_rows(s), .cols = s->dim
	};
	int r = place_matrix(w, &w->embedding, ends, f);

	for (uint32_t i = 0; !r && i < s->layers; i++)
		r = place_layer(w, &w->layers[i], plan->layers[i], f);
	ends.type = plan->logits;
	w->logits = w->embedding;
	if (!r && !plan->tied)
		r = place_matrix(w, &w->logits, ends, f);
	w->pass_bytes = w->bytes - (plan->tied ? 0 : matrix_bytes(&w->embedding));
	w->final_gain = place_vector(w, s->dim);
	w->rope_frequencies = place_vector(w, s->head_dim / 2);
	return r;
}

int weights_plan(struct weights *w, const struct shape *s, const struct weight_plan *plan,
	uint64_t max_buffer, struct failure *f)
{
	int r = shape_check(s, f);

	memset(w, 0, sizeof *w);
	if (r)
		return r;
	w->shape = *s;
	w->max_buffer = max_buffer / ALIGN * ALIGN;
	w->layers = calloc(s->layers, sizeof *w->layers);
	if (!w->layers)
		return fail(f, ENOMEM, "out of host memory");
	return place_all(w, plan, f);
}

int weights_plan_uniform(struct weights *w, const struct shape *s, enum weight_type type,
	uint64_t max_buffer, struct failure *f)
{
	struct weight_plan plan = { .embedding = type, .logits = type };
	int r;

	plan.layers = calloc(s->layers ? s->layers : 1, sizeof *plan.layers);
	if (!plan.layers)
		return fail(f, ENOMEM, "out of host memory");
	for (uint32_t i = 0; i < s->layers; i++)
		for (unsigned j = 0; j < LAYER_MATRICES; j++)
			plan.layers[i][j] = type;
	r = weights_plan(w, s, &plan, max_buffer, f);
	free(plan.layers);
	return r;
}

int weights_alloc(struct weights *w, struct gpu *g, struct failure *f)
{
	int r = 0;

	for (unsigned i = 0; !r && i < w->n_arenas; i++)
		r = gpu_buffer(g, w->arena_bytes[i], "weights", &w->arenas[i], f);
	if (!r)
		r = gpu_buffer(g, w->vector_count * sizeof(float), "gains", &w->vectors, f);
	return r;
}

int weights_set_frequencies(
	struct weights *w, struct gpu *g, const float *frequencies, struct failure *f)
{
	return gpu_write(g, w->vectors, w->rope_frequencies * sizeof(float), frequencies,
		w->shape.head_dim / 2 * sizeof(float), f);
}

void weights_free(struct weights *w)
{
	for (unsigned i = 0; i < w->n_arenas; i++)
		gpu_buffer_free(&w->arenas[i]);
	gpu_buffer_free(&w->vectors);
	free(w->layers);
	memset(w, 0, sizeof *w);
}
