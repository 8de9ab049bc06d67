// SPDX-License-Identifier: Apache-2.0
#include "inspect.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN 1 // the token <s>

static int run_losses(struct trainer *t, float *losses, struct failure *f)
{
	struct network *n = &t->network;
	int r = network_set_tokens(n, t->tokens, t->targets, f);

	if (!r)
		r = plan_enqueue(&n->forward, n->gpu, f);
	if (!r)
		r = plan_enqueue(&n->loss, n->gpu, f);
	return r ? r
		 : gpu_read(
			   n->gpu, n->losses, 0, losses, shape_rows(&n->shape) * sizeof *losses, f);
}

// Window `w` begins at w * context / 2; a short last one is filled with <s>. Returns the targets that
// count: all of the first window, the second half of the others.
static uint32_t fill_window(struct trainer *t, const struct text *text, uint64_t w, uint32_t b)
{
	uint32_t context = t->network.shape.context, n = 0;
	uint64_t at = w * (context / 2);
	int32_t *tokens = t->tokens + b * context, *targets = t->targets + b * context;

	for (uint32_t i = 0; i < context; i++)
		tokens[i] = targets[i] = BEGIN;
	if (at + 1 < text->n) {
		n = text->n - at - 1 < context ? (uint32_t)(text->n - at - 1) : context;
		text_copy(text, at, n, tokens, targets);
	}
	return n;
}

int inspect_loss(struct trainer *t, const struct text *text, double *ret_nats, struct failure *f)
{
	const struct shape *s = &t->network.shape;
	float *losses = malloc(shape_rows(s) * sizeof *losses);
	uint32_t *filled = calloc(s->batch, sizeof *filled);
	uint64_t windows = text->n / (s->context / 2) + 1;
	double nats = 0;
	int r = losses && filled ? 0 : fail(f, ENOMEM, "out of host memory");

	for (uint64_t w = 0; w < windows && !r; w += s->batch) {
		for (uint32_t b = 0; b < s->batch; b++)
			filled[b] = fill_window(t, text, w + b, b);
		r = run_losses(t, losses, f);
		for (uint32_t b = 0; b < s->batch && !r; b++)
			for (uint32_t i = w + b ? s->context / 2 : 0; i < filled[b]; i++)
				nats += (double)losses[b * s->context + i];
	}
	free(losses);
	free(filled);
	if (!r)
		*ret_nats = nats;
	return r;
}

static int32_t likeliest(const float *logits, uint32_t n)
{
	int32_t best = 0;

	for (uint32_t i = 1; i < n; i++)
		if (logits[i] > logits[best])
			best = (int32_t)i;
	return best;
}

// Draws from softmax(logits / temperature) with a number uniform over [0, 1).
static int32_t draw(const float *logits, uint32_t n, float temperature, double uniform)
{
	double highest = (double)logits[likeliest(logits, n)], sum = 0, below = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += exp(((double)logits[i] - highest) / (double)temperature);
	for (uint32_t i = 0; i < n; i++) {
		below += exp(((double)logits[i] - highest) / (double)temperature);
		if (below > uniform * sum)
			return (int32_t)i;
	}
	return likeliest(logits, n);
}

static int next_tokens(struct trainer *t, uint32_t place, float temperature, float *logits,
	int32_t *ids, uint32_t n, struct failure *f)
{
	struct network *net = &t->network;
	const struct shape *s = &net->shape;
	int r = network_set_tokens(net, t->tokens, NULL, f);

	if (!r)
		r = plan_enqueue(&net->forward, net->gpu, f);
	for (uint32_t b = 0; b < s->batch && !r; b++) {
		uint64_t row = (uint64_t)b * s->context + place;
		double uniform = (double)(network_hash(t->recipe.seed, place, b) >> 11) / 0x1p53;
		int32_t id;

		r = gpu_read(net->gpu, net->logits, row * s->vocab * sizeof *logits, logits,
			s->vocab * sizeof *logits, f);
		if (r)
			break;
		id = temperature > 0 ? draw(logits, s->vocab, temperature, uniform)
				     : likeliest(logits, s->vocab);
		ids[b * n + place] = id;
		if (place + 1 < s->context)
			t->tokens[b * s->context + place + 1] = id;
	}
	return r;
}

int inspect_sample(
	struct trainer *t, uint32_t n, float temperature, int32_t *ids, struct failure *f)
{
	const struct shape *s = &t->network.shape;
	float *logits = malloc(s->vocab * sizeof *logits);
	int r = logits ? 0 : fail(f, ENOMEM, "out of host memory");

	for (uint32_t i = 0; i < shape_rows(s); i++)
		t->tokens[i] = BEGIN;
	for (uint32_t place = 0; place < n && !r; place++)
		r = next_tokens(t, place, temperature, logits, ids, n, f);
	free(logits);
	return r;
}
