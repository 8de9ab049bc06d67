// SPDX-License-Identifier: Apache-2.0
#include "shape.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define MAX_DIM       16384
#define MAX_LAYERS    512
#define DIM_PER_LAYER 200.0 // how wide a model is for its depth; few layers mean few launches
#define TOLERANCE     0.05

uint32_t shape_kv_dim(const struct shape *s)
{
	return s->kv_heads * s->head_dim;
}

uint32_t shape_weight_size(const struct shape *s)
{
	return s->weights == WEIGHT_INT8 ? 1 : 2;
}

static uint64_t layer_weights(const struct shape *s)
{
	uint64_t dim = s->dim;

	return dim * (dim + 2 * shape_kv_dim(s)) + dim * dim + 3 * dim * s->hidden;
}

uint64_t shape_weight_bytes(const struct shape *s)
{
	return (s->layers * layer_weights(s) + 2ull * s->vocab * s->dim) * shape_weight_size(s);
}

uint64_t shape_pass_bytes(const struct shape *s)
{
	return (s->layers * layer_weights(s) + (s->vocab + 1ull) * s->dim) * shape_weight_size(s);
}

uint64_t shape_kv_bytes(const struct shape *s)
{
	return 2ull * s->layers * s->context * shape_kv_dim(s) * sizeof(uint16_t);
}

int shape_check(const struct shape *s, struct failure *f)
{
	const struct {
		const char *name;
		uint32_t value, multiple, max;
	} fields[] = {
		{ "dim", s->dim, 16, MAX_DIM },
		{ "head_dim", s->head_dim, 16, 256 },
		{ "hidden", s->hidden, 16, 8 * MAX_DIM },
		{ "vocab", s->vocab, 16, 1 << 20 },
		{ "layers", s->layers, 1, MAX_LAYERS },
		{ "context", s->context, 1, 1 << 20 },
		{ "kv_heads", s->kv_heads, 1, MAX_DIM },
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (!fields[i].value || fields[i].value % fields[i].multiple ||
			fields[i].value > fields[i].max)
			return fail(f, EINVAL, "%s is %u: not a multiple of %u up to %u",
				fields[i].name, fields[i].value, fields[i].multiple, fields[i].max);
	if (s->heads * s->head_dim != s->dim || s->heads % s->kv_heads)
		return fail(f, EINVAL, "%u heads of %u with %u KV heads do not make a width of %u",
			s->heads, s->head_dim, s->kv_heads, s->dim);
	return 0;
}

static uint32_t head_dim_for(uint32_t dim)
{
	if (dim >= 2048 && dim % 512 == 0)
		return 128;
	return dim >= 256 ? 64 : dim / 4;
}

// Lays out a model of width `dim` as close to `bytes` as whole layers allow. Returns its badness:
// how far its proportions are from the usual, or infinity if the size is missed.
static double try_dim(struct shape *s, uint32_t dim, uint64_t bytes)
{
	double layers, miss;

	s->dim = dim;
	s->head_dim = head_dim_for(dim);
	s->heads = dim / s->head_dim;
	s->kv_heads = s->heads / 4;
	s->hidden = dim / 2 * 7;
	s->layers = 0;
	layers = ((double)bytes - (double)shape_weight_bytes(s)) /
		 ((double)layer_weights(s) * shape_weight_size(s));
	layers = round(layers);
	if (layers < 2 || layers > MAX_LAYERS)
		return INFINITY;
	s->layers = (uint32_t)layers;
	miss = fabs((double)shape_weight_bytes(s) - (double)bytes) / (double)bytes;
	if (miss > TOLERANCE)
		return INFINITY;
	return fabs(log(layers / (dim / DIM_PER_LAYER))) + 2 * miss;
}

int shape_pick(uint64_t bytes, enum weight_type weights, uint32_t vocab, uint32_t context,
	struct shape *ret, struct failure *f)
{
	double best = INFINITY;

	for (uint32_t dim = 64; dim <= MAX_DIM; dim += dim < 256 ? 64 : 256) {
		struct shape s = { .vocab = vocab,
			.context = context,
			.weights = weights,
			.rope_theta = 500000.0f,
			.norm_eps = 1e-5f };
		double bad = dim == 192 ? INFINITY : try_dim(&s, dim, bytes);

		if (bad < best) {
			best = bad;
			*ret = s;
		}
	}
	if (best == INFINITY)
		return fail(f, ERANGE, "no model shape within 5%% of %llu bytes (try 2M to 400G)",
			(unsigned long long)bytes);
	return shape_check(ret, f);
}

int size_parse(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	unsigned long long v;
	uint64_t size;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || !v)
		return -EINVAL;
	size = v;
	for (const char *u = units; *end && *u; u++) {
		if (__builtin_mul_overflow(size, 1024, &size))
			return -EINVAL;
		if (*u == *end) {
			end++;
			v = size;
			break;
		}
	}
	if (*end)
		return -EINVAL;
	*ret = v;
	return 0;
}
