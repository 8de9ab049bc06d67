// SPDX-License-Identifier: Apache-2.0
// Kernels and the whole pass against reference.c, and what a stream of tokens must be. The tiny
// shape has a context shorter than the stream, so the window slides.
#include <math.h>
#include <string.h>

#include "check.h"
#include "generate.h"
#include "model.h"
#include "reference.h"

#define TOKENS      40
#define CONTEXT     24
#define GOLDEN_HASH 0x573aaee3u
// float32 sums of up to 224 products, against doubles; keys and values are rounded to halves in both.
#define TOLERANCE 2e-3

static const struct shape tiny = { .dim = 64,
	.layers = 2,
	.heads = 4,
	.kv_heads = 1,
	.head_dim = 16,
	.hidden = 224,
	.vocab = 256,
	.context = CONTEXT,
	.rope_theta = 500000.0f,
	.norm_eps = 1e-5f };

static void need(int r, const struct failure *f)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s\n", f->text);
	exit(1);
}

static void load(struct model *m, enum weight_type type, uint64_t seed)
{
	struct failure f = { "" };
	struct shape s = tiny;

	s.weights = type;
	model_init(m, &s, seed, "tiny");
	if (model_load_step(m, 0, 0, &f)) {
		printf("skipped: %s\n", f.text);
		exit(77);
	}
	while (!m->ready)
		need(model_load_step(m, 0, 0, &f), &f);
}

static void stream(struct model *m, const int32_t *prompt, uint32_t n, int32_t out[TOKENS])
{
	struct failure f = { "" };
	struct generate g;
	int got = 0;

	need(generate_begin(&g, &m->forward, prompt, n, TOKENS, &f), &f);
	while (!generate_finished(&g)) {
		int r = generate_step(&g, &out[got], &f);

		need(r, &f);
		got += r;
	}
	generate_end(&g);
	CHECK(got == TOKENS);
}

static double close_to(double a, double b)
{
	return fabs(a - b) <= TOLERANCE * (1 + fabs(b));
}

static void check_floats(struct model *m, cl_mem buffer, const double *want, uint32_t n)
{
	struct failure f = { "" };
	float got[2048];

	need(gpu_read(&m->gpu, buffer, 0, got, n * sizeof *got, &f), &f);
	for (uint32_t i = 0; i < n; i++)
		CHECK(close_to((double)got[i], want[i]));
}

static void put(struct model *m, cl_mem buffer, double *v, uint32_t n, uint32_t salt)
{
	struct failure f = { "" };
	float values[2048];

	for (uint32_t i = 0; i < n; i++) {
		values[i] = (float)sin(i * 1.7 + salt);
		v[i] = (double)values[i];
	}
	need(gpu_write(&m->gpu, buffer, 0, values, n * sizeof *values, &f), &f);
}

static void launch(struct model *m, cl_kernel k, uint32_t items)
{
	struct failure f = { "" };

	need(gpu_launch(&m->gpu, k, items, &f), &f);
}

static void check_swiglu(struct model *m, struct reference *r)
{
	const struct layer_weights *p = &r->w->layers[1];
	double x[64], y[64], both[448], want[224];

	put(m, m->forward.x, x, 64, 1);
	reference_norm(r, p->feed_gain, x, y);
	reference_product(r, &p->gate_up, y, both);
	for (int i = 0; i < 224; i++)
		want[i] = both[2 * i] / (1 + exp(-both[2 * i])) * both[2 * i + 1];
	launch(m, m->forward.layers[1].swiglu, 448 / 4);
	check_floats(m, m->forward.hidden, want, 224);
}

static void check_project(struct model *m, struct reference *r)
{
	double x[64], in[224], want[64];

	put(m, m->forward.x, x, 64, 2);
	put(m, m->forward.hidden, in, 224, 3);
	reference_product(r, &r->w->layers[1].down, in, want);
	for (int i = 0; i < 64; i++)
		want[i] += x[i];
	launch(m, m->forward.layers[1].down, 64 / 4);
	check_floats(m, m->forward.x, want, 64);
}

static void check_qkv(struct model *m, struct reference *r)
{
	const struct layer_weights *p = &r->w->layers[0];
	const int32_t prompt[1] = { 9 };
	double x[64], y[64], want[96];
	struct failure f = { "" };
	_Float16 k[16], v[16];

	need(forward_begin(&m->forward, prompt, 1, &f), &f);
	for (int i = 0; i < 6; i++) // embed sets the position and the rotations: now position 5
		launch(m, m->forward.embed, 1);
	put(m, m->forward.x, x, 64, 4);
	reference_norm(r, p->attention_gain, x, y);
	reference_product(r, &p->qkv, y, want);
	reference_rope(r, 5, want, 80);
	launch(m, m->forward.layers[0].qkv, 96 / 4);
	check_floats(m, m->forward.q, want, 64);
	need(gpu_read(&m->gpu, m->forward.layers[0].kv, 5 * 32, k, 32, &f), &f);
	need(gpu_read(&m->gpu, m->forward.layers[0].kv, (CONTEXT + 5) * 32, v, 32, &f), &f);
	for (int i = 0; i < 16; i++) {
		CHECK(close_to((double)k[i], want[64 + i]));
		CHECK(close_to((double)v[i], want[80 + i]));
	}
}

static void check_attention(struct model *m, struct reference *r)
{
	static _Float16 kv[2 * CONTEXT * 16];
	const int32_t step[4] = { 20, 0, 0, 19 }; // twenty slots: one block of sixteen and a rest
	struct failure f = { "" };
	double q[64], want[64];

	for (int i = 0; i < CONTEXT * 16; i++) {
		kv[i] = (_Float16)(float)(3 * cos(i * 0.37));
		kv[CONTEXT * 16 + i] = (_Float16)(float)sin(i * 0.11);
		r->keys[i] = (double)kv[i];
		r->values[i] = (double)kv[CONTEXT * 16 + i];
	}
	put(m, m->forward.q, q, 64, 5);
	need(gpu_write(&m->gpu, m->forward.layers[0].kv, 0, kv, sizeof kv, &f), &f);
	need(gpu_write(&m->gpu, m->forward.step, 0, step, sizeof step, &f), &f);
	reference_attention(r, 0, 0, 19, q, want);
	launch(m, m->forward.layers[0].attention, 4);
	check_floats(m, m->forward.heads, want, 64);
}

static void check_argmax(struct model *m)
{
	struct failure f = { "" };
	float logits[256] = { 0 };
	int32_t got;

	logits[77] = logits[200] = 3; // of equals, the lowest
	logits[255] = 2;
	need(gpu_write(&m->gpu, m->forward.logit, 0, logits, sizeof logits, &f), &f);
	launch(m, m->forward.argmax, 1);
	need(gpu_read(&m->gpu, m->forward.step, 8, &got, 4, &f), &f);
	CHECK(got == 77);
}

static void check_stream(struct model *m, struct reference *r)
{
	const int32_t prompt[3] = { 5, 99, 250 };
	int32_t tokens[TOKENS], again[TOKENS];
	double logits[256];

	stream(m, prompt, 3, tokens);
	for (uint32_t p = 0; p < 3; p++)
		reference_token(r, prompt[p], p, logits);
	for (uint32_t i = 0; i < TOKENS; i++) {
		double best = logits[0];

		for (uint32_t t = 1; t < 256; t++)
			best = fmax(best, logits[t]);
		CHECK(best - logits[tokens[i]] <= TOLERANCE * 4);
		if (i + 1 < TOKENS)
			reference_token(r, tokens[i], 3 + i, logits);
	}
	check_floats(m, m->forward.logit, logits, 256);
	stream(m, prompt, 3, again);
	CHECK(!memcmp(tokens, again, sizeof tokens));
}

static void test_against_reference(enum weight_type type)
{
	struct failure f = { "" };
	struct reference r;
	struct model m;

	load(&m, type, 7);
	need(reference_init(&r, &m.gpu, &m.weights, 64, &f), &f);
	check_swiglu(&m, &r);
	check_project(&m, &r);
	check_qkv(&m, &r);
	check_attention(&m, &r);
	check_argmax(&m);
	check_stream(&m, &r);
	reference_free(&r);
	model_free(&m);
}

// int8 weights are pure integer work: the same bytes on every device, today and later.
static void test_weights_are_the_same_bytes_for_ever(void)
{
	static unsigned char bytes[256 * 64]; // the embedding
	struct failure f = { "" };
	uint32_t hash = 2166136261u; // FNV-1a
	struct model m;

	load(&m, WEIGHT_INT8, 0x123456789abcdefull);
	need(gpu_read(&m.gpu, m.weights.arenas[0], 0, bytes, sizeof bytes, &f), &f);
	for (size_t i = 0; i < sizeof bytes; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	if (hash != GOLDEN_HASH)
		fprintf(stderr, "hash is 0x%08x\n", hash);
	CHECK(hash == GOLDEN_HASH);
	model_free(&m);
}

static void test_seeds_differ(void)
{
	const int32_t prompt = 1;
	int32_t a[TOKENS], b[TOKENS];
	struct model m;

	load(&m, WEIGHT_INT8, 1);
	stream(&m, &prompt, 1, a);
	model_free(&m);
	load(&m, WEIGHT_INT8, 2);
	stream(&m, &prompt, 1, b);
	model_free(&m);
	CHECK(memcmp(a, b, sizeof a));
}

static void test_bad_prompts_are_refused(void)
{
	const int32_t outside = 256, many[CONTEXT + 1] = { 0 };
	struct failure f = { "" };
	struct generate g;
	struct model m;

	load(&m, WEIGHT_INT8, 1);
	CHECK(generate_begin(&g, &m.forward, &outside, 1, 1, &f) < 0);
	CHECK(generate_begin(&g, &m.forward, many, CONTEXT + 1, 1, &f) < 0);
	CHECK(generate_begin(&g, &m.forward, many, 0, 1, &f) < 0);
	model_free(&m);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	if (!strcmp(argv[1], "f16")) {
		test_against_reference(WEIGHT_F16);
		return 0;
	}
	test_against_reference(WEIGHT_INT8);
	RUN(test_weights_are_the_same_bytes_for_ever);
	RUN(test_seeds_differ);
	RUN(test_bad_prompts_are_refused);
	return 0;
}
