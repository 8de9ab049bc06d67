// SPDX-License-Identifier: Apache-2.0
#include "shape.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIM_PER_LAYER 200.0 // how wide a model is for its depth; few layers mean few launches
#define TOLERANCE     0.05

static const struct {
	const char *name;
	uint32_t tile_bytes;
} types[WEIGHT_TYPES] = {
	[WEIGHT_F32] = { "f32", 2048 },
	[WEIGHT_F16] = { "f16", 1024 },
	[WEIGHT_Q8_0] = { "q8_0", 544 },
	[WEIGHT_Q4_0] = { "q4_0", 288 },
};

uint32_t weight_tile_bytes(enum weight_type t)
{
	return types[t].tile_bytes;
}

bool weight_is_quantised(enum weight_type t)
{
	return t == WEIGHT_Q8_0 || t == WEIGHT_Q4_0;
}

const char *weight_type_name(enum weight_type t)
{
	return types[t].name;
}

uint32_t shape_vocab_rows(const struct shape *s)
{
	return (s->vocab + 15) / 16 * 16;
}

uint32_t shape_q_dim(const struct shape *s)
{
	return s->heads * s->head_dim;
}

uint32_t shape_kv_dim(const struct shape *s)
{
	return s->kv_heads * s->head_dim;
}

static uint64_t layer_weights(const struct shape *s)
{
	uint64_t dim = s->dim, q = shape_q_dim(s);

	return dim * (q + 2 * shape_kv_dim(s)) + q * dim + 3 * dim * s->hidden;
}

static uint64_t bytes_of(uint64_t weights, enum weight_type t)
{
	return weights / 512 * weight_tile_bytes(t);
}

uint64_t shape_weight_bytes(const struct shape *s, enum weight_type t)
{
	return bytes_of(s->layers * layer_weights(s) + 2ull * shape_vocab_rows(s) * s->dim, t);
}

uint64_t shape_kv_bytes(const struct shape *s)
{
	return 2ull * s->layers * s->cache_slots * shape_kv_dim(s) * sizeof(uint16_t);
}

int shape_check(const struct shape *s, struct failure *f)
{
	const struct {
		const char *name;
		uint32_t value, multiple, max;
	} fields[] = {
		{ "the width of the stream", s->dim, 32, SHAPE_MAX_DIM },
		{ "the width of a head", s->head_dim, 16, 256 },
		{ "the number of heads", s->heads, 1, SHAPE_MAX_HEADS },
		{ "the number of KV heads", s->kv_heads, 1, SHAPE_MAX_HEADS },
		{ "the width of all heads", s->heads * s->head_dim, 32, SHAPE_MAX_DIM },
		{ "the width of the feed-forward", s->hidden, 32, SHAPE_MAX_HIDDEN },
		{ "the vocabulary", s->vocab, 1, SHAPE_MAX_VOCAB },
		{ "the number of layers", s->layers, 1, SHAPE_MAX_LAYERS },
		{ "the context", s->context, SHAPE_PAGE, SHAPE_MAX_CONTEXT },
		{ "the KV cache", s->cache_slots, SHAPE_PAGE, 1 << 24 },
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (!fields[i].value || fields[i].value % fields[i].multiple ||
			fields[i].value > fields[i].max)
			return fail(f, EINVAL, "%s is %u: not a multiple of %u up to %u",
				fields[i].name, fields[i].value, fields[i].multiple, fields[i].max);
	if (s->heads % s->kv_heads)
		return fail(f, EINVAL, "%u heads cannot share %u KV heads evenly", s->heads,
			s->kv_heads);
	if (s->cache_slots < s->context)
		return fail(f, EINVAL, "a KV cache of %u tokens does not hold one context of %u",
			s->cache_slots, s->context);
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
static double try_dim(struct shape *s, uint32_t dim, uint64_t bytes, enum weight_type t)
{
	double layers, miss;

	s->dim = dim;
	s->head_dim = head_dim_for(dim);
	s->heads = dim / s->head_dim;
	s->kv_heads = s->heads / 4;
	s->hidden = dim / 2 * 7;
	s->layers = 0;
	layers = ((double)bytes - (double)shape_weight_bytes(s, t)) /
		 (double)bytes_of(layer_weights(s), t);
	layers = round(layers);
	if (layers < 2 || layers > SHAPE_MAX_LAYERS)
		return INFINITY;
	s->layers = (uint32_t)layers;
	miss = fabs((double)shape_weight_bytes(s, t) - (double)bytes) / (double)bytes;
	if (miss > TOLERANCE)
		return INFINITY;
	return fabs(log(layers / (dim / DIM_PER_LAYER))) + 2 * miss;
}

int shape_pick(uint64_t bytes, enum weight_type t, struct shape *s, struct failure *f)
{
	double best = INFINITY;
	struct shape found = *s;

	for (uint32_t dim = 64; dim <= SHAPE_MAX_DIM; dim += dim < 256 ? 64 : 256) {
		struct shape candidate = *s;
		double bad = dim == 192 ? INFINITY : try_dim(&candidate, dim, bytes, t);

		if (bad < best) {
			best = bad;
			found = candidate;
		}
	}
	if (best == INFINITY)
		return fail(f, ERANGE, "no model shape within 5%% of %llu bytes (try 2M to 400G)",
			(unsigned long long)bytes);
	*s = found;
	return shape_check(s, f);
}

// Dubey et al. 2024, "The Llama 3 Herd of Models", table 3.
static const struct {
	const char *name;
	uint32_t dim, heads, kv_heads, hidden, layers;
} presets[] = {
	{ "llama-3.1-8b", 4096, 32, 8, 14336, 32 },
	{ "llama-3.1-70b", 8192, 64, 8, 28672, 80 },
};

int shape_preset(
	const char *name, uint64_t bytes, enum weight_type t, struct shape *s, struct failure *f)
{
	for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
		uint64_t ends, fit;

		if (strcmp(presets[i].name, name))
			continue;
		s->dim = presets[i].dim;
		s->heads = presets[i].heads;
		s->kv_heads = presets[i].kv_heads;
		s->head_dim = 128;
		s->hidden = presets[i].hidden;
		s->layers = 0;
		ends = shape_weight_bytes(s, t);
		fit = bytes > ends ? (bytes - ends) / bytes_of(layer_weights(s), t) : 0;
		if (!fit)
			return fail(f, ERANGE, "no layer of %s fits %llu bytes", name,
				(unsigned long long)bytes);
		s->layers = fit < presets[i].layers ? (uint32_t)fit : presets[i].layers;
		return shape_check(s, f);
	}
	return fail(f, EINVAL, "no preset \"%s\": there are llama-3.1-8b and llama-3.1-70b", name);
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
