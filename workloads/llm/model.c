// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <stdio.h>
#include <string.h>

#include "rope.h"

#define ROPE_BASE 500000.0f // Llama 3's

int model_init(struct model *m, const struct shape *s, enum weight_type type, uint64_t seed,
	const char *size_text, struct failure *f)
{
	// Llama 3.1: Dubey et al. 2024, and the configuration published with the weights.
	const struct rope_llama3 scaling = { .factor = 8, .low = 1, .high = 4, .original = 8192 };

	memset(m, 0, sizeof *m);
	m->shape = *s;
	m->type = type;
	m->seed = seed;
	rope_frequencies(ROPE_BASE, s->head_dim / 2, m->frequencies);
	rope_scale_llama3(&scaling, s->head_dim / 2, m->frequencies);
	snprintf(m->name, sizeof m->name, "synthetic-%.32s-%s-seed%llu", size_text,
		weight_type_name(type), (unsigned long long)seed);
	return tokenizer_open_synthetic(&m->tokenizer, f);
}

// "Tiny Stories" of "general.name", or the file's name.
static void name_model(struct model *m, const char *path)
{
	struct gguf_string name = { "", 0 };
	const char *base = strrchr(path, '/');
	size_t n = 0;

	base = base ? base + 1 : path;
	gguf_text(&m->gguf, "general.name", false, &name, NULL);
	if (!name.len)
		name = (struct gguf_string){ base, strlen(base) };
	for (; n < name.len && n + 1 < sizeof m->name; n++) {
		char c = name.at[n];

		m->name[n] = c > ' ' && c <= '~' && c != '"' && c != '\\' ? c : '-';
	}
	m->name[n] = 0;
}

int model_init_file(
	struct model *m, const char *path, uint32_t context, uint32_t cache, struct failure *f)
{
	struct gguf_error e;
	int r;

	memset(m, 0, sizeof *m);
	r = gguf_open(&m->gguf, path, &e);
	if (r)
		return fail(f, r, "%s", e.text);
	r = llama_file_read(&m->file, &m->gguf, context, cache, f);
	if (!r)
		r = tokenizer_open(&m->tokenizer, &m->gguf, m->file.shape.vocab, f);
	if (r) {
		llama_file_free(&m->file);
		gguf_close(&m->gguf);
		return r;
	}
	m->shape = m->file.shape;
	memcpy(m->frequencies, m->file.frequencies, sizeof m->frequencies);
	name_model(m, path);
	return 0;
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
	uint64_t max = m->gpu.max_buffer;
	int r = m->file.gguf ? weights_plan(&m->weights, &m->shape, &m->file.plan, max, f)
			     : weights_plan_uniform(&m->weights, &m->shape, m->type, max, f);

	if (!r)
		r = programs_build(&m->programs, &m->gpu, &m->shape, m->weights.uses, f);
	snprintf(m->progress, sizeof m->progress, "kernels compiled");
	return r;
}

static int step_allocate(struct model *m, struct failure *f)
{
	const struct shape *s = &m->shape;
	int r = weights_alloc(&m->weights, &m->gpu, f);

	snprintf(m->progress, sizeof m->progress,
		"model: %u layers, width %u, %u heads, %u KV heads, feed-forward %u; weights %.1f "
		"MiB in %u buffers, KV cache %.1f MiB",
		s->layers, s->dim, s->heads, s->kv_heads, s->hidden,
		(double)m->weights.bytes / (1 << 20), m->weights.n_arenas,
		(double)shape_kv_bytes(s) / (1 << 20));
	if (!r)
		r = weights_set_frequencies(&m->weights, &m->gpu, m->frequencies, f);
	if (!r)
		r = forward_init(&m->forward, &m->gpu, &m->weights, &m->programs, f);
	return r ? r : scheduler_init(&m->scheduler, &m->forward, f);
}

static int step_fill(struct model *m, unsigned part, struct failure *f)
{
	snprintf(m->progress, sizeof m->progress, "weights: part %u of %u", part + 1,
		weights_parts(&m->weights));
	if (m->file.gguf)
		return llama_file_upload(&m->file, &m->weights, &m->gpu, part, f);
	return weights_synthesize(&m->weights, &m->gpu, &m->programs, m->seed, part, f);
}

// The first passes make the driver compile what it compiles late.
static int step_first_pass(struct model *m, struct failure *f)
{
	const struct sampling greedy = { 0 };
	struct scheduled_token tokens[MAX_SEQUENCES];
	const int32_t prompt = 0;
	unsigned sequence;
	int r = scheduler_start(&m->scheduler, &prompt, 1, 1, &greedy, &sequence, f);

	while (!r)
		r = scheduler_step(&m->scheduler, tokens, f);
	if (r > 0)
		scheduler_end(&m->scheduler, sequence);
	m->scheduler.prompt_tokens_computed = 0;
	snprintf(m->progress, sizeof m->progress, "first pass done, %u launches a token",
		forward_launches(&m->forward));
	m->ready = r > 0;
	return r < 0 ? r : 0;
}

int model_load_step(struct model *m, unsigned platform, unsigned device, struct failure *f)
{
	const unsigned fill = 3;
	unsigned step = m->step++;

	if (step == 0)
		return step_open(m, platform, device, f);
	if (step == 1)
		return step_compile(m, f);
	if (step == 2)
		return step_allocate(m, f);
	if (step - fill < weights_parts(&m->weights))
		return step_fill(m, step - fill, f);
	return step_first_pass(m, f);
}

void model_free(struct model *m)
{
	scheduler_free(&m->scheduler);
	forward_free(&m->forward);
	weights_free(&m->weights);
	programs_free(&m->programs);
	gpu_close(&m->gpu);
	tokenizer_close(m->tokenizer);
	llama_file_free(&m->file);
	gguf_close(&m->gguf);
	memset(m, 0, sizeof *m);
}
