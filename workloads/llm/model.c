// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <stdio.h>
#include <string.h>

#include "generate.h"

#define FIXED_STEPS 3 // before the weights' parts

void model_init(struct model *m, const struct shape *s, uint64_t seed, const char *size_text)
{
	memset(m, 0, sizeof *m);
	m->shape = *s;
	m->seed = seed;
	snprintf(m->name, sizeof m->name, "synthetic-%.16s-%s-seed%llu", size_text,
		s->weights == WEIGHT_INT8 ? "int8" : "f16", (unsigned long long)seed);
}

static int step_open(struct model *m, unsigned platform, unsigned device, struct failure *f)
{
	int r = gpu_open(&m->gpu, platform, device, f);

	snprintf(m->progress, sizeof m->progress, "device: %s, buffers up to %llu MiB", m->gpu.name,
		(unsigned long long)m->gpu.max_buffer >> 20);
	return r;
}

static int step_compile(struct model *m, struct failure *f)
{
	const struct shape *s = &m->shape;
	char options[512];

	snprintf(options, sizeof options,
		"-cl-std=CL1.2 -DDIM=%u -DHEAD_DIM=%u -DHEADS=%u -DKV_HEADS=%u "
		"-DHIDDEN=%u -DVOCAB=%u -DCONTEXT=%u -DNORM_EPS=%.9ef -D%s%s",
		s->dim, s->head_dim, s->heads, s->kv_heads, s->hidden, s->vocab, s->context,
		(double)s->norm_eps, s->weights == WEIGHT_INT8 ? "WEIGHTS_INT8" : "WEIGHTS_F16",
		m->gpu.cpu ? " -DCPU_DEVICE" : "");
	snprintf(m->progress, sizeof m->progress, "kernels compiled");
	return program_build(&m->gpu, options, &m->program, f);
}

static int step_allocate(struct model *m, struct failure *f)
{
	const struct shape *s = &m->shape;
	int r = weights_alloc(&m->weights, &m->gpu, s, f);

	snprintf(m->progress, sizeof m->progress,
		"model: %u layers, width %u, %u heads, %u KV heads, feed-forward %u; weights %.1f "
		"MiB "
		"in %u buffers, KV cache %.1f MiB",
		s->layers, s->dim, s->heads, s->kv_heads, s->hidden,
		(double)shape_weight_bytes(s) / (1 << 20), m->weights.n_arenas,
		(double)shape_kv_bytes(s) / (1 << 20));
	return r ? r : forward_init(&m->forward, &m->gpu, &m->weights, m->program, f);
}

static int step_fill(struct model *m, unsigned part, struct failure *f)
{
	snprintf(m->progress, sizeof m->progress, "weights: part %u of %u", part + 1,
		weights_parts(&m->weights));
	return weights_synthesize(&m->weights, &m->gpu, m->program, m->seed, part, f);
}

// The first pass makes the driver compile what it compiles late.
static int step_first_pass(struct model *m, struct failure *f)
{
	const int32_t prompt = 0;
	struct generate g;
	int32_t token;
	int r = generate_begin(&g, &m->forward, &prompt, 1, 1, f);

	if (!r)
		r = generate_step(&g, &token, f);
	generate_end(&g);
	snprintf(m->progress, sizeof m->progress, "first pass done, %u launches a token",
		forward_launches(&m->forward));
	m->ready = r >= 0;
	return r < 0 ? r : 0;
}

int model_load_step(struct model *m, unsigned platform, unsigned device, struct failure *f)
{
	unsigned step = m->step++;

	if (step == 0)
		return step_open(m, platform, device, f);
	if (step == 1)
		return step_compile(m, f);
	if (step == 2)
		return step_allocate(m, f);
	if (step - FIXED_STEPS < weights_parts(&m->weights))
		return step_fill(m, step - FIXED_STEPS, f);
	return step_first_pass(m, f);
}

void model_free(struct model *m)
{
	forward_free(&m->forward);
	weights_free(&m->weights);
	if (m->program)
		clReleaseProgram(m->program);
	gpu_close(&m->gpu);
	memset(m, 0, sizeof *m);
}
