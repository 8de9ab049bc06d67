// SPDX-License-Identifier: Apache-2.0
#include "shape.h"

#include <errno.h>
#include <string.h>

uint32_t shape_head_dim(const struct shape *s)
{
	return s->dim / s->heads;
}

uint32_t shape_kv_dim(const struct shape *s)
{
	return s->kv_heads * shape_head_dim(s);
}

uint32_t shape_qkv_dim(const struct shape *s)
{
	return s->dim + 2 * shape_kv_dim(s);
}

uint32_t shape_rows(const struct shape *s)
{
	return s->batch * s->context;
}

static uint64_t layer_matrices(const struct shape *s)
{
	return (uint64_t)s->dim * (shape_qkv_dim(s) + s->dim + 3 * s->hidden);
}

uint64_t shape_parameters(const struct shape *s)
{
	return s->layers * (layer_matrices(s) + 2 * s->dim) + ((uint64_t)s->vocab + 1) * s->dim;
}

double shape_step_flops(const struct shape *s)
{
	double weights =
		(double)(s->layers * layer_matrices(s)) + (double)s->vocab * (double)s->dim;
	double attention = (double)s->layers * s->dim * s->context; // causal: half of two products

	return 6.0 * shape_rows(s) * (weights + attention);
}

int shape_check(const struct shape *s, struct failure *f)
{
	const struct {
		const char *name;
		uint32_t value, multiple, max;
	} fields[] = {
		{ "dim", s->dim, 32, 4096 },
		{ "layers", s->layers, 1, SHAPE_MAX_LAYERS },
		{ "heads", s->heads, 1, 128 },
		{ "kv_heads", s->kv_heads, 1, 128 },
		{ "hidden", s->hidden, 32, 16384 },
		{ "vocab", s->vocab, 32, 65536 },
		{ "context", s->context, 32, 4096 },
		{ "batch", s->batch, 1, 256 },
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (!fields[i].value || fields[i].value % fields[i].multiple ||
			fields[i].value > fields[i].max)
			return fail(f, EINVAL, "%s is %u: not a multiple of %u up to %u",
				fields[i].name, fields[i].value, fields[i].multiple, fields[i].max);
	if (s->dim % s->heads || shape_head_dim(s) % 32 || s->heads % s->kv_heads)
		return fail(f, EINVAL,
			"%u heads with %u KV heads do not share a width of %u in multiples of 32",
			s->heads, s->kv_heads, s->dim);
	return 0;
}

static uint64_t take(uint64_t *at, uint64_t floats)
{
	uint64_t here = *at;

	*at += (floats + SHAPE_CHUNK - 1) / SHAPE_CHUNK * SHAPE_CHUNK;
	return here;
}

static struct matrix take_matrix(uint64_t *at, uint32_t rows, uint32_t cols)
{
	struct matrix m = { .at = take(at, (uint64_t)rows * cols), .rows = rows, .cols = cols };

	return m;
}

void shape_layout(const struct shape *s, struct layout *ret)
{
	uint64_t at = 0;

	memset(ret, 0, sizeof *ret);
	ret->embedding = take_matrix(&at, s->vocab, s->dim);
	for (uint32_t i = 0; i < s->layers; i++) {
		struct layer_layout *l = &ret->layers[i];

		l->qkv = take_matrix(&at, shape_qkv_dim(s), s->dim);
		l->output = take_matrix(&at, s->dim, s->dim);
		l->gate_up = take_matrix(&at, 2 * s->hidden, s->dim);
		l->down = take_matrix(&at, s->dim, s->hidden);
	}
	ret->plain = at;
	for (uint32_t i = 0; i < s->layers; i++) {
		ret->layers[i].attention_gain = take(&at, s->dim);
		ret->layers[i].feed_gain = take(&at, s->dim);
	}
	ret->final_gain = take(&at, s->dim);
	ret->total = at;
}
