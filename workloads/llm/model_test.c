// SPDX-License-Identifier: Apache-2.0
// Kernels and the whole pass against reference.c, for each type of weights, and what a stream of
// tokens must be. The tiny shape has a context shorter than the stream, so the window slides; its
// heads together are wider than the stream, and its vocabulary is no multiple of a tile.
#include <math.h>
#include <string.h>

#include "check.h"
#include "reference.h"
#include "testmodel.h"

#define TOKENS      40
#define CONTEXT     32
#define CACHE       96
#define VOCAB       250
#define Q_DIM       96
#define KV_DIM      32
#define GOLDEN_HASH 0xce1fece5u
// float32 sums of up to 224 products, against doubles; keys and values are rounded to halves in both. What
// quantised weights are multiplied with is rounded to 16 bits a block (kernels/activation.cl), which adds
// at most 1 / 65534 of the block's largest number to each factor: a hundredth of this.
#define TOLERANCE      2e-3
#define PACK_TOLERANCE 16 // of 32767: the numbers that are packed come from float32 sums too

static const struct shape tiny = { .dim = 64,
	.layers = 2,
	.heads = 6,
	.kv_heads = 2,
	.head_dim = 16,
	.hidden = 224,
	.vocab = VOCAB,
	.context = CONTEXT,
	.cache_slots = CACHE,
	.norm_eps = 1e-5f };

static void stream(struct model *m, const int32_t *prompt, uint32_t n, int32_t out[TOKENS])
{
	const struct sampling greedy = { 0 };
	struct scheduled_token got[MAX_SEQUENCES];
	struct failure f = { "" };
	unsigned sequence, taken = 0;

	need(scheduler_start(&m->scheduler, prompt, n, TOKENS, &greedy, &sequence, &f), &f);
	while (taken < TOKENS) {
		int r = scheduler_step(&m->scheduler, got, &f);

		need(r, &f);
		if (!r)
			continue;
		CHECK(r == 1 && got[0].sequence == sequence);
		out[taken++] = got[0].token;
		CHECK(got[0].last == (taken == TOKENS));
	}
	scheduler_end(&m->scheduler, sequence);
}

static double close_to(double a, double b)
{
	return fabs(a - b) <= TOLERANCE * (1 + fabs(b));
}

static void check_floats(struct model *m, cl_mem buffer, const double *want, uint32_t n)
{
	struct failure f = { "" };
	float got[4096];

	CHECK(n <= 4096);
	need(gpu_read(&m->gpu, buffer, 0, got, n * sizeof *got, &f), &f);
	for (uint32_t i = 0; i < n; i++)
		CHECK(close_to((double)got[i], want[i]));
}

static void put(struct model *m, cl_mem buffer, double *v, uint32_t n, uint32_t salt)
{
	struct failure f = { "" };
	float values[4096];

	CHECK(n <= 4096);
	for (uint32_t i = 0; i < n; i++) {
		values[i] = (float)sin(i * 1.7 + salt);
		v[i] = (double)values[i];
	}
	need(gpu_write(&m->gpu, buffer, 0, values, n * sizeof *values, &f), &f);
}

// What a matrix of type `type` is multiplied with, packed as kernels/activation.cl does it.
static void put_activation(
	struct model *m, enum weight_type type, cl_mem buffer, double *v, uint32_t n, uint32_t salt)
{
	static int32_t blocks[4096 / TILE_COLS][BLOCK_INTS];
	struct failure f = { "" };

	if (!weight_is_quantised(type)) {
		put(m, buffer, v, n, salt);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		v[i] = sin(i * 1.7 + salt);
	for (uint32_t b = 0; b < n / TILE_COLS; b++)
		reference_pack(v + b * TILE_COLS, blocks[b]);
	need(gpu_write(&m->gpu, buffer, 0, blocks, n / TILE_COLS * sizeof *blocks, &f), &f);
}

static void check_activation(
	struct model *m, enum weight_type type, cl_mem buffer, const double *want, uint32_t n)
{
	static int32_t blocks[4096 / TILE_COLS][BLOCK_INTS], packed[BLOCK_INTS];
	struct failure f = { "" };

	if (!weight_is_quantised(type)) {
		check_floats(m, buffer, want, n);
		return;
	}
	need(gpu_read(&m->gpu, buffer, 0, blocks, n / TILE_COLS * sizeof *blocks, &f), &f);
	for (uint32_t b = 0; b < n / TILE_COLS; b++) {
		const int16_t *got = (const int16_t *)blocks[b];
		int32_t sum = 0;
		float scale;

		reference_pack(want + b * TILE_COLS, packed);
		memcpy(&scale, &blocks[b][BLOCK_SCALE], sizeof scale);
		for (uint32_t i = 0; i < TILE_COLS; i++) {
			CHECK(close_to(got[i] * (double)scale, want[b * TILE_COLS + i]));
			CHECK(abs(got[i] - ((const int16_t *)packed)[i]) <= PACK_TOLERANCE);
			sum += got[i];
		}
		CHECK(blocks[b][BLOCK_SUM] == sum);
	}
}

static void launch(struct model *m, cl_kernel k, uint32_t items)
{
	struct failure f = { "" };

	need(gpu_launch(&m->gpu, k, items, &f), &f);
}

// A record of `rows` rows: row i is token 9 + i at position 5 + i of sequence i % 2.
static void put_record(struct model *m, int32_t rows)
{
	struct pass_record c = { .rows = rows, .outputs = 2, .output = { rows - 1, 0 } };
	struct failure f = { "" };

	for (int32_t i = 0; i < rows; i++) {
		c.token[i] = 9 + i;
		c.position[i] = 5 + i;
		c.sequence[i] = i % 2;
	}
	need(gpu_write(&m->gpu, m->forward.record, 0, &c, sizeof c, &f), &f);
}

// The pages of sequences 0 and 1, in no order.
static const int32_t pages[2][CONTEXT / SHAPE_PAGE] = { { 4, 1 }, { 0, 5 } };

static void put_tables(struct model *m)
{
	struct failure f = { "" };

	for (unsigned i = 0; i < 2; i++)
		need(forward_set_pages(&m->forward, i, pages[i], CONTEXT / SHAPE_PAGE, &f), &f);
}

static uint32_t slot_of(unsigned sequence, uint32_t position)
{
	return (uint32_t)pages[sequence][position / SHAPE_PAGE] * SHAPE_PAGE +
	       position % SHAPE_PAGE;
}

// Six rows are one quad and two alone.
#define SOME_ROWS 6

static void check_embed(struct model *m, struct reference *r)
{
	double want[SOME_ROWS * 64];

	put_record(m, SOME_ROWS);
	for (uint32_t i = 0; i < SOME_ROWS; i++)
		reference_embedding(r, (int32_t)(9 + i), want + i * 64);
	launch(m, m->forward.embed, SOME_ROWS);
	check_floats(m, m->forward.x, want, SOME_ROWS * 64);
}

static void check_norms(struct model *m, struct reference *r)
{
	const struct layer_weights *p = &r->w->layers[1];
	double x[SOME_ROWS * 64], want[SOME_ROWS * 64];

	put(m, m->forward.x, x, SOME_ROWS * 64, 1);
	for (int i = 0; i < SOME_ROWS; i++)
		reference_norm(r, p->feed_gain, x + i * 64, want + i * 64);
	launch(m, m->forward.layers[1].feed_norm, SOME_ROWS);
	check_activation(m, m->type, m->forward.normed, want, SOME_ROWS * 64);
	reference_norm(r, r->w->final_gain, x + (SOME_ROWS - 1) * 64, want);
	reference_norm(r, r->w->final_gain, x, want + 64);
	launch(m, m->forward.final_norm, 2);
	check_activation(m, m->type, m->forward.normed, want, 2 * 64);
}

static void check_swiglu(struct model *m, struct reference *r)
{
	double y[SOME_ROWS * 64], both[448], want[SOME_ROWS * 224];

	put_activation(m, m->type, m->forward.normed, y, SOME_ROWS * 64, 2);
	for (int t = 0; t < SOME_ROWS; t++) {
		reference_product(r, &r->w->layers[1].gate_up, y + t * 64, both);
		for (int i = 0; i < 224; i++)
			want[t * 224 + i] = both[2 * i] / (1 + exp(-both[2 * i])) * both[2 * i + 1];
	}
	launch(m, m->forward.layers[1].swiglu, 224 / 32);
	check_activation(m, m->type, m->forward.hidden, want, SOME_ROWS * 224);
}

static void check_project(struct model *m, struct reference *r)
{
	double x[SOME_ROWS * 64], in[SOME_ROWS * 224], want[SOME_ROWS * 64];

	put(m, m->forward.x, x, SOME_ROWS * 64, 3);
	put_activation(m, m->type, m->forward.hidden, in, SOME_ROWS * 224, 4);
	for (int t = 0; t < SOME_ROWS; t++)
		reference_product(r, &r->w->layers[1].down, in + t * 224, want + t * 64);
	for (int i = 0; i < SOME_ROWS * 64; i++)
		want[i] += x[i];
	launch(m, m->forward.layers[1].down, 64 / TILE_ROWS);
	check_floats(m, m->forward.x, want, SOME_ROWS * 64);
}

static void check_qkv(struct model *m, struct reference *r)
{
	double x[SOME_ROWS * 64], all[SOME_ROWS][Q_DIM + 2 * KV_DIM], queries[SOME_ROWS * Q_DIM];
	_Float16 kv[2 * CACHE * KV_DIM];
	struct failure f = { "" };

	launch(m, m->forward.embed, SOME_ROWS); // sets the rotations
	put_activation(m, m->type, m->forward.normed, x, SOME_ROWS * 64, 5);
	for (uint32_t t = 0; t < SOME_ROWS; t++) {
		reference_product(r, &r->w->layers[0].qkv, x + t * 64, all[t]);
		reference_rope(r, 5 + t, all[t], Q_DIM + KV_DIM);
		memcpy(queries + t * Q_DIM, all[t], Q_DIM * sizeof *queries);
	}
	launch(m, m->forward.layers[0].qkv, (Q_DIM + 2 * KV_DIM) / TILE_ROWS);
	check_floats(m, m->forward.q, queries, SOME_ROWS * Q_DIM);
	need(gpu_read(&m->gpu, m->forward.layers[0].kv, 0, kv, sizeof kv, &f), &f);
	for (uint32_t t = 0; t < SOME_ROWS; t++) {
		const _Float16 *k = kv + slot_of(t % 2, 5 + t) * KV_DIM;

		for (int i = 0; i < KV_DIM; i++) {
			CHECK(close_to((double)k[i], all[t][Q_DIM + i]));
			CHECK(close_to((double)k[CACHE * KV_DIM + i], all[t][Q_DIM + KV_DIM + i]));
		}
	}
}

// Row 0 is sequence 0 at position 19: a page and a rest. Row 1 is sequence 1 at position 1000: the
// ring has wrapped and all of its slots are filled.
static void check_attention(struct model *m, struct reference *r)
{
	static _Float16 kv[2 * CACHE * KV_DIM];
	struct pass_record c = { .rows = 2, .position = { 19, 1000 }, .sequence = { 0, 1 } };
	const uint32_t filled[2] = { 20, CONTEXT };
	struct failure f = { "" };
	double q[2 * Q_DIM], want[2 * Q_DIM];

	for (int i = 0; i < CACHE * KV_DIM; i++) {
		kv[i] = (_Float16)(float)(3 * cos(i * 0.37));
		kv[CACHE * KV_DIM + i] = (_Float16)(float)sin(i * 0.11);
	}
	put(m, m->forward.q, q, 2 * Q_DIM, 6);
	need(gpu_write(&m->gpu, m->forward.layers[0].kv, 0, kv, sizeof kv, &f), &f);
	need(gpu_write(&m->gpu, m->forward.record, 0, &c, sizeof c, &f), &f);
	for (unsigned s = 0; s < 2; s++) {
		for (uint32_t t = 0; t < filled[s] * KV_DIM; t++) {
			uint32_t at = slot_of(s, t / KV_DIM) * KV_DIM + t % KV_DIM;

			r->keys[t] = (double)kv[at];
			r->values[t] = (double)kv[CACHE * KV_DIM + at];
		}
		reference_attention(r, 0, 0, filled[s] - 1, q + s * Q_DIM, want + s * Q_DIM);
	}
	launch(m, m->forward.layers[0].attention, 2 * 6 / 2); // two heads of 16 each
	check_activation(m, m->type, m->forward.heads, want, 2 * Q_DIM);
}

static void check_logits(struct model *m, struct reference *r)
{
	double x[2 * 64], want[VOCAB];
	struct failure f = { "" };
	float got[2][256];

	put_record(m, SOME_ROWS);
	put_activation(m, m->type, m->forward.normed, x, 2 * 64, 7);
	launch(m, m->forward.logits, 256 / TILE_ROWS);
	need(gpu_read(&m->gpu, m->forward.logit, 0, got, sizeof got, &f), &f);
	for (int o = 0; o < 2; o++) {
		reference_product_rows(r, &r->w->logits, VOCAB, x + o * 64, want);
		for (int i = 0; i < VOCAB; i++)
			CHECK(close_to((double)got[o][i], want[i]));
		for (int i = VOCAB; i < 256; i++)
			CHECK(got[o][i] == -INFINITY);
	}
}

static void check_argmax(struct model *m)
{
	struct failure f = { "" };
	float logits[512] = { 0 };
	int32_t got[2];

	logits[77] = logits[200] = 3; // of equals, the lowest
	logits[249] = 2;
	logits[256 + 249] = 1;
	put_record(m, SOME_ROWS); // output 0 is row 5, sequence 1
	need(gpu_write(&m->gpu, m->forward.logit, 0, logits, sizeof logits, &f), &f);
	launch(m, m->forward.argmax, 2);
	need(gpu_read(&m->gpu, m->forward.sampled, 0, got, sizeof got, &f), &f);
	CHECK(got[1] == 77 && got[0] == 249);
}

static void check_stream(struct model *m, struct reference *r)
{
	const int32_t prompt[3] = { 5, 99, 240 };
	int32_t tokens[TOKENS], again[TOKENS];
	double logits[VOCAB];

	stream(m, prompt, 3, tokens);
	for (uint32_t p = 0; p < 3; p++)
		reference_token(r, prompt[p], p, logits);
	for (uint32_t i = 0; i < TOKENS; i++) {
		double best = logits[0];

		for (uint32_t t = 1; t < VOCAB; t++)
			best = fmax(best, logits[t]);
		CHECK(best - logits[tokens[i]] <= TOLERANCE * 4);
		if (i + 1 < TOKENS)
			reference_token(r, tokens[i], 3 + i, logits);
	}
	check_floats(m, m->forward.logit, logits, VOCAB);
	stream(m, prompt, 3, again);
	CHECK(!memcmp(tokens, again, sizeof tokens));
}

static void test_against_reference(enum weight_type type)
{
	struct failure f = { "" };
	struct reference r;
	struct model m;

	testmodel_load(&m, &tiny, type, 7);
	need(reference_init(&r, &m.gpu, &m.weights, m.frequencies, 64, &f), &f);
	put_tables(&m);
	check_embed(&m, &r);
	check_norms(&m, &r);
	check_swiglu(&m, &r);
	check_project(&m, &r);
	check_qkv(&m, &r);
	check_attention(&m, &r);
	check_logits(&m, &r);
	check_argmax(&m);
	check_stream(&m, &r);
	reference_free(&r);
	model_free(&m);
}

// q8_0 weights are integers and one rounding: the same bytes on every device, today and later.
static void test_weights_are_the_same_bytes_for_ever(void)
{
	static unsigned char bytes[256 / 16 * 2 * 544]; // the embedding
	struct failure f = { "" };
	uint32_t hash = 2166136261u; // FNV-1a
	struct model m;

	testmodel_load(&m, &tiny, WEIGHT_Q8_0, 0x123456789abcdefull);
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

	testmodel_load(&m, &tiny, WEIGHT_Q8_0, 1);
	stream(&m, &prompt, 1, a);
	model_free(&m);
	testmodel_load(&m, &tiny, WEIGHT_Q8_0, 2);
	stream(&m, &prompt, 1, b);
	model_free(&m);
	CHECK(memcmp(a, b, sizeof a));
}

int main(int argc, char **argv)
{
	for (unsigned t = 0; t < WEIGHT_TYPES; t++)
		if (argc == 2 && !strcmp(argv[1], weight_type_name(t))) {
			test_against_reference(t);
			printf("ok %s\n", argv[1]);
			return 0;
		}
	RUN(test_weights_are_the_same_bytes_for_ever);
	RUN(test_seeds_differ);
	return 0;
}
