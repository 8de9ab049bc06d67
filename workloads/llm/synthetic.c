// SPDX-License-Identifier: Apache-2.0
// Synthetic weights: kernels fill the matrices from a hash of (seed, tensor, index). The gains are
// chosen so that the residual stream stays near one per element and layer and the next token
// depends on the whole history, not only on the token before (which would soon repeat).
#include "weights.h"

#include <math.h>

#define GAIN_QUERY_KEY 1.5f
#define GAIN_VALUE     2.0f
#define GAIN_BRANCH    1.0f

// Standard deviation of what a type stores, before its scale: integers uniform over [-128, 127] and
// [-8, 7], reals uniform over [-1, 1).
static const float deviations[WEIGHT_TYPES] = { [WEIGHT_F32] = 0.57735f,
	[WEIGHT_F16] = 0.57735f,
	[WEIGHT_Q8_0] = 73.9f,
	[WEIGHT_Q4_0] = 4.61f };

// Rows [first, first + rows) of a matrix, with elements of standard deviation `deviation`.
struct fill {
	const struct matrix *m;
	uint32_t first, rows;
	float deviation;
	uint32_t tensor; // its number in the hash
};

struct filler {
	struct weights *w;
	struct gpu *g;
	const struct programs *programs;
	uint64_t seed;
};

static uint32_t mix(uint32_t h)
{
	h ^= h >> 16;
	h *= 0x7feb352dU;
	h ^= h >> 15;
	h *= 0x846ca68bU;
	h ^= h >> 16;
	return h;
}

static uint32_t tensor_key(uint64_t seed, uint32_t tensor)
{
	return mix(mix((uint32_t)seed) ^ mix((uint32_t)(seed >> 32) + 0x9e3779b9U) ^
		   mix(tensor * 2654435761U + 1));
}

static int run_once(struct filler *l, enum weight_type type, const char *name,
	const struct arg *args, unsigned n, uint64_t items, struct failure *f)
{
	cl_kernel kernel;
	int r = program_kernel(l->programs->of[type], name, args, n, &kernel, f);

	if (r)
		return r;
	r = gpu_launch(l->g, kernel, items, f);
	clReleaseKernel(kernel);
	return r;
}

static int fill_gains(
	struct filler *l, uint64_t at, uint32_t count, uint32_t tensor, struct failure *f)
{
	cl_ulong at_ul = at;
	cl_uint key = tensor_key(l->seed, tensor);
	struct arg args[] = { ARG(l->w->vectors), ARG(at_ul), ARG(count), ARG(key) };

	return run_once(l, l->w->logits.type, "fill_gains", args, 4, 1, f);
}

static int fill_rows(struct filler *l, struct fill p, struct failure *f)
{
	cl_uint tiles = p.m->cols / TILE_COLS;
	cl_ulong at =
		p.m->at + (uint64_t)p.first / TILE_ROWS * tiles * weight_tile_bytes(p.m->type);
	cl_uint key = tensor_key(l->seed, p.tensor);
	cl_float scale = p.deviation / deviations[p.m->type];
	struct arg args[] = { ARG(l->w->arenas[p.m->arena]), ARG(at), ARG(tiles), ARG(key),
		ARG(scale) };

	return run_once(l, p.m->type, "fill_weights", args, 5, p.rows / TILE_ROWS, f);
}

static int fill_layer(struct filler *l, uint32_t index, struct failure *f)
{
	const struct shape *s = &l->w->shape;
	const struct layer_weights *p = &l->w->layers[index];
	uint32_t q = shape_q_dim(s), kv = shape_kv_dim(s), id = 100 + index * 100;
	float in = 1.0f / sqrtf((float)s->dim), out = 1.0f / sqrtf((float)q);
	float down = 1.0f / sqrtf((float)s->hidden);
	const struct fill fills[] = {
		{ &p->qkv, 0, q + kv, GAIN_QUERY_KEY * in, id },
		{ &p->qkv, q + kv, kv, GAIN_VALUE * in, id + 10 },
		{ &p->output, 0, s->dim, GAIN_BRANCH * out, id + 20 },
		{ &p->gate_up, 0, 2 * s->hidden, GAIN_VALUE * in, id + 30 },
		{ &p->down, 0, s->dim, GAIN_BRANCH * down, id + 40 },
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof fills / sizeof *fills; i++)
		r = fill_rows(l, fills[i], f);
	if (!r)
		r = fill_gains(l, p->attention_gain, s->dim, id + 50, f);
	if (!r)
		r = fill_gains(l, p->feed_gain, s->dim, id + 51, f);
	return r;
}

static int fill_output(struct filler *l, struct failure *f)
{
	const struct shape *s = &l->w->shape;
	int r = fill_rows(l,
		(struct fill){
			&l->w->logits, 0, l->w->logits.rows, 1.0f / sqrtf((float)s->dim), 10 },
		f);

	return r ? r : fill_gains(l, l->w->final_gain, s->dim, 20, f);
}

unsigned weights_parts(const struct weights *w)
{
	return 2 + w->shape.layers;
}

int weights_synthesize(struct weights *w, struct gpu *g, const struct programs *programs,
	uint64_t seed, unsigned part, struct failure *f)
{
	struct filler l = { w, g, programs, seed };
	int r;

	if (part == 0)
		r = fill_rows(&l, (struct fill){ &w->embedding, 0, w->embedding.rows, 1.0f, 0 }, f);
	else if (part == 1)
		r = fill_output(&l, f);
	else
		r = fill_layer(&l, part - 2, f);
	return r ? r : gpu_finish(g, f);
}
