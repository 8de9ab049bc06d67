// SPDX-License-Identifier: Apache-2.0
#include "trainer.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EPSILON 1e-8f
#define PI      3.14159265358979323846

// Made by the host before each step: kernels/adamw.cl, rates[].
struct rates {
	float rate, correction1, correction2, clip;
};

static int plan_update(struct trainer *t, struct failure *f)
{
	struct network *n = &t->network;
	const struct recipe *r = &t->recipe;
	struct plan *p = &t->update;
	uint32_t chunks = (uint32_t)(n->layout.total / SHAPE_CHUNK);

	plan_add(p, n->program, f, "square_sums", chunks, buffer(n->gradient.all), buffer(t->sums));
	plan_add(p, n->program, f, "gradient_norm", 1, buffer(t->sums), word(chunks),
		buffer(n->report));
	plan_add(p, n->program, f, "adamw", chunks, buffer(n->parameters.all),
		buffer(n->gradient.all), buffer(t->mean), buffer(t->square), buffer(t->rates),
		buffer(n->report), real(r->beta1), real(r->beta2), real(EPSILON), real(r->decay),
		word((uint32_t)n->layout.plain));
	return p->failed;
}

static int zero_moments(struct trainer *t, struct failure *f)
{
	uint64_t bytes = t->network.layout.total * sizeof(float);
	float *zeros = calloc(1, bytes);
	int r;

	if (!zeros)
		return fail(f, ENOMEM, "out of host memory");
	r = gpu_write(t->network.gpu, t->mean, 0, zeros, bytes, f);
	if (!r)
		r = gpu_write(t->network.gpu, t->square, 0, zeros, bytes, f);
	free(zeros);
	return r;
}

static int allocate(struct trainer *t, struct failure *f)
{
	struct gpu *g = t->network.gpu;
	uint64_t total = t->network.layout.total;
	size_t rows = shape_rows(&t->network.shape);
	int r = gpu_buffer(g, total * sizeof(float), "mean", &t->mean, f);

	t->tokens = calloc(rows, sizeof *t->tokens);
	t->targets = calloc(rows, sizeof *t->targets);
	if (!t->tokens || !t->targets)
		return fail(f, ENOMEM, "out of host memory");
	if (!r)
		r = gpu_buffer(g, total * sizeof(float), "square", &t->square, f);
	if (!r)
		r = gpu_buffer(g, sizeof(struct rates), "rates", &t->rates, f);
	if (!r)
		r = gpu_buffer(g, total / SHAPE_CHUNK * sizeof(float), "sums", &t->sums, f);
	return r;
}

int trainer_init(struct trainer *t, struct gpu *g, const struct shape *s, const struct recipe *r,
	struct failure *f)
{
	int e;

	memset(t, 0, sizeof *t);
	t->recipe = *r;
	e = network_init(&t->network, g, s, f);
	if (!e)
		e = network_randomize(&t->network, r->seed, f);
	if (!e)
		e = allocate(t, f);
	if (!e)
		e = zero_moments(t, f);
	return e ? e : plan_update(t, f);
}

void trainer_free(struct trainer *t)
{
	plan_free(&t->update);
	gpu_buffer_free(&t->mean);
	gpu_buffer_free(&t->square);
	gpu_buffer_free(&t->rates);
	gpu_buffer_free(&t->sums);
	free(t->tokens);
	free(t->targets);
	network_free(&t->network);
	memset(t, 0, sizeof *t);
}

static float cosine_rate(const struct recipe *r, uint64_t step)
{
	double way;

	if (step <= r->warmup)
		return r->rate * (float)step / (float)r->warmup;
	if (step >= r->cosine)
		return r->final_rate;
	way = (double)(step - r->warmup) / (double)(r->cosine - r->warmup);
	return r->final_rate + (r->rate - r->final_rate) * (float)(0.5 + 0.5 * cos(PI * way));
}

float trainer_rate(const struct recipe *r, uint64_t step)
{
	uint64_t down = r->steps - r->cooldown;

	if (step <= down)
		return cosine_rate(r, step);
	if (step >= r->steps)
		return r->final_rate;
	return r->final_rate + (cosine_rate(r, down) - r->final_rate) *
				       ((float)(r->steps - step) / (float)r->cooldown);
}

// Sequence `b` of a step begins where a hash of both says.
static void draw_batch(struct trainer *t, const struct text *text)
{
	const struct shape *s = &t->network.shape;

	for (uint32_t b = 0; b < s->batch; b++) {
		uint64_t at = network_hash(t->recipe.seed, t->step, b) % (text->n - s->context);

		text_copy(text, at, s->context, t->tokens + b * s->context,
			t->targets + b * s->context);
	}
}

static int write_rates(struct trainer *t, struct step_report *ret, struct failure *f)
{
	const struct recipe *r = &t->recipe;
	double n = (double)t->step + 1;
	struct rates rates = { .rate = trainer_rate(r, t->step + 1),
		.correction1 = (float)(1 / (1 - pow((double)r->beta1, n))),
		.correction2 = (float)(1 / (1 - pow((double)r->beta2, n))),
		.clip = r->clip };

	ret->rate = rates.rate;
	return gpu_write(t->network.gpu, t->rates, 0, &rates, sizeof rates, f);
}

int trainer_step(
	struct trainer *t, const struct text *text, struct step_report *ret, struct failure *f)
{
	struct network *n = &t->network;
	const struct plan *plans[] = { &n->forward, &n->loss, &n->backward, &t->update };
	float report[2];
	int r;

	draw_batch(t, text);
	r = network_set_tokens(n, t->tokens, t->targets, f);
	if (!r)
		r = write_rates(t, ret, f);
	for (int i = 0; i < 4 && !r; i++)
		r = plan_enqueue(plans[i], n->gpu, f);
	if (!r)
		r = gpu_read(n->gpu, n->report, 0, report, sizeof report, f);
	if (r)
		return r;
	t->step++;
	ret->loss = report[0];
	ret->norm = report[1];
	return 0;
}
