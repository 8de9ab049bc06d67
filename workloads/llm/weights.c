// SPDX-License-Identifier: Apache-2.0
#include "weights.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 4096u // bytes; each matrix starts on a page

static int place_matrix(
	struct weights *w, struct matrix *m, uint32_t rows, uint32_t cols, struct failure *f)
{
	uint32_t size = shape_weight_size(&w->shape);
	uint64_t bytes = ((uint64_t)rows * cols * size + ALIGN - 1) / ALIGN * ALIGN;
	unsigned a = w->n_arenas ? w->n_arenas - 1 : 0;

	if (bytes > w->max_arena)
		return fail(f, ENOMEM, "a %u x %u matrix does not fit one buffer of %llu bytes",
			rows, cols, (unsigned long long)w->max_arena);
	if (w->n_arenas == 0 || w->arena_bytes[a] + bytes > w->max_arena) {
		if (w->n_arenas == MAX_ARENAS)
			return fail(f, ENOMEM, "the model needs more than %u buffers", MAX_ARENAS);
		a = w->n_arenas++;
	}
	*m = (struct matrix){ .arena = a,
		.at = w->arena_bytes[a] / size,
		.scale_at = w->vector_count,
		.rows = rows,
		.cols = cols };
	w->arena_bytes[a] += bytes;
	w->vector_count += rows;
	return 0;
}

static uint64_t place_vector(struct weights *w, uint32_t count)
{
	uint64_t at = w->vector_count;

	w->vector_count += count;
	return at;
}

static int place_layer(struct weights *w, struct layer_weights *p, struct failure *f)
{
	const struct shape *s = &w->shape;
	int r = place_matrix(w, &p->qkv, s->dim + 2 * shape_kv_dim(s), s->dim, f);

	if (!r)
		r = place_matrix(w, &p->output, s->dim, s->dim, f);
	if (!r)
		r = place_matrix(w, &p->gate_up, 2 * s->hidden, s->dim, f);
	if (!r)
		r = place_matrix(w, &p->down, s->dim, s->hidden, f);
	p->attention_gain = place_vector(w, s->dim);
	p->feed_gain = place_vector(w, s->dim);
	return r;
}

static int place_all(struct weights *w, struct failure *f)
{
	const struct shape *s = &w->shape;
	int r = place_matrix(w, &w->embedding, s->vocab, s->dim, f);

	for (uint32_t i = 0; !r && i < s->layers; i++)
		r = place_layer(w, &w->layers[i], f);
	if (!r)
		r = place_matrix(w, &w->logits, s->vocab, s->dim, f);
	w->final_gain = place_vector(w, s->dim);
	w->rope_frequencies = place_vector(w, s->head_dim / 2);
	return r;
}

static int write_frequencies(struct weights *w, struct gpu *g, struct failure *f)
{
	float freq[128];
	uint32_t n = w->shape.head_dim / 2;

	for (uint32_t i = 0; i < n; i++)
		freq[i] = powf(w->shape.rope_theta, -(float)i / (float)n);
	return gpu_write(
		g, w->vectors, w->rope_frequencies * sizeof(float), freq, n * sizeof(float), f);
}

int weights_alloc(struct weights *w, struct gpu *g, const struct shape *s, struct failure *f)
{
	int r = shape_check(s, f);

	if (r)
		return r;
	memset(w, 0, sizeof *w);
	w->shape = *s;
	w->max_arena = g->max_buffer / ALIGN * ALIGN;
	w->layers = calloc(s->layers, sizeof *w->layers);
	if (!w->layers)
		return fail(f, ENOMEM, "out of host memory");
	r = place_all(w, f);
	for (unsigned i = 0; !r && i < w->n_arenas; i++)
		r = gpu_buffer(g, w->arena_bytes[i], "weights", &w->arenas[i], f);
	if (!r)
		r = gpu_buffer(g, w->vector_count * sizeof(float), "scales", &w->vectors, f);
	if (r)
		return r;
	return write_frequencies(w, g, f);
}

void weights_free(struct weights *w)
{
	for (unsigned i = 0; i < w->n_arenas; i++)
		gpu_buffer_free(&w->arenas[i]);
	gpu_buffer_free(&w->vectors);
	free(w->layers);
	memset(w, 0, sizeof *w);
}
