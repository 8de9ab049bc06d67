// SPDX-License-Identifier: Apache-2.0
// Several sequences at once: each must get the tokens that it gets alone, bit for bit, however the
// others come and go; room, reuse and sampling.
#include <errno.h>
#include <string.h>

#include "check.h"
#include "testmodel.h"

#define CONTEXT 64
#define CACHE   160
#define VOCAB   256
#define MANY    6

static const struct sampling greedy = { 0 };
static struct model model;
static struct scheduler *s = &model.scheduler;

static const struct shape tiny = { .dim = 64,
	.layers = 2,
	.heads = 4,
	.kv_heads = 1,
	.head_dim = 16,
	.hidden = 224,
	.vocab = VOCAB,
	.context = CONTEXT,
	.cache_slots = CACHE,
	.norm_eps = 1e-5f };

static unsigned start(
	const int32_t *prompt, uint32_t n, uint32_t wanted, const struct sampling *how)
{
	struct failure f = { "" };
	unsigned sequence;

	need(scheduler_start(s, prompt, n, wanted, how, &sequence, &f), &f);
	return sequence;
}

// Runs until all that run have ended; out[sequence] gets their tokens.
static void run(int32_t out[MAX_SEQUENCES][CONTEXT * 2], unsigned n[MAX_SEQUENCES])
{
	struct scheduled_token got[MAX_SEQUENCES];
	struct failure f = { "" };

	while (scheduler_busy(s)) {
		int r = scheduler_step(s, got, &f);

		need(r, &f);
		for (int i = 0; i < r; i++) {
			out[got[i].sequence][n[got[i].sequence]++] = got[i].token;
			if (got[i].last)
				scheduler_end(s, got[i].sequence);
		}
	}
}

static void alone(const int32_t *prompt, uint32_t n, uint32_t wanted, const struct sampling *how,
	int32_t *out)
{
	static int32_t all[MAX_SEQUENCES][CONTEXT * 2];
	unsigned count[MAX_SEQUENCES] = { 0 };
	unsigned sequence = start(prompt, n, wanted, how);

	run(all, count);
	CHECK(count[sequence] == wanted);
	memcpy(out, all[sequence], wanted * sizeof *out);
}

static void make_prompt(int32_t *prompt, uint32_t n, uint32_t salt)
{
	for (uint32_t i = 0; i < n; i++)
		prompt[i] = (int32_t)((i * 37 + salt * 101 + 1) % VOCAB);
}

static void test_together_as_alone(void)
{
	static int32_t together[MAX_SEQUENCES][CONTEXT * 2];
	int32_t prompts[MANY][21], want[MANY][10];
	unsigned count[MAX_SEQUENCES] = { 0 }, place[MANY];

	for (uint32_t i = 0; i < MANY; i++) {
		make_prompt(prompts[i], 3 * i + 2, i);
		alone(prompts[i], 3 * i + 2, 10, &greedy, want[i]);
	}
	model_free(&model); // nothing warm: every prompt is computed in company
	testmodel_load(&model, &tiny, WEIGHT_Q8_0, 3);
	for (uint32_t i = 0; i < MANY; i++)
		place[i] = start(prompts[i], 3 * i + 2, 10, &greedy);
	run(together, count);
	for (uint32_t i = 0; i < MANY; i++) {
		CHECK(count[place[i]] == 10);
		CHECK(!memcmp(together[place[i]], want[i], sizeof want[i]));
	}
}

static void test_room(void)
{
	int32_t prompt[CONTEXT + 1] = { 0 };
	struct failure f = { "" };
	unsigned a, b, c;

	CHECK(scheduler_start(s, prompt, 0, 1, &greedy, &a, &f) == -EINVAL);
	CHECK(scheduler_start(s, prompt, CONTEXT + 1, 1, &greedy, &a, &f) == -EINVAL);
	prompt[1] = VOCAB;
	CHECK(scheduler_start(s, prompt, 2, 1, &greedy, &a, &f) == -EINVAL);
	prompt[1] = 0;
	a = start(prompt, 1, 1000, &greedy); // a whole context, 4 of 10 pages
	b = start(prompt, 2, 1000, &greedy);
	c = start(prompt, 3, 29, &greedy); // the last 2
	CHECK(a != b && b != c && s->n_free == 0);
	CHECK(scheduler_start(s, prompt, 1, 1, &greedy, &a, &f) == -EAGAIN);
	scheduler_end(s, c);
	c = start(prompt, 1, 1, &greedy);
	scheduler_end(s, a);
	scheduler_end(s, b);
	scheduler_end(s, c);
	CHECK(s->n_free == s->n_pages); // none of them had computed anything
}

static void test_long_streams_slide(void)
{
	int32_t prompt[5], a[100], b[100];

	make_prompt(prompt, 5, 9);
	alone(prompt, 5, 100, &greedy, a);
	alone(prompt, 5, 100, &greedy, b);
	CHECK(!memcmp(a, b, sizeof a));
	CHECK(scheduler_cached(s, SEQUENCE_RUNNING) == 0);
}

// A conversation goes on: the same tokens as without reuse, and only the new ones are computed.
static void test_warm_prefix(void)
{
	int32_t prompt[48], want[10], got[10];
	uint64_t computed, reused;

	make_prompt(prompt, 20, 5);
	alone(prompt, 20, 10, &greedy, prompt + 20);
	make_prompt(prompt + 30, 4, 6);
	computed = s->prompt_tokens_computed;
	reused = s->prompt_tokens_reused;
	alone(prompt, 34, 10, &greedy, got);
	CHECK(s->prompt_tokens_reused - reused >= 29);
	CHECK(s->prompt_tokens_computed - computed <= 5);
	model_free(&model);
	testmodel_load(&model, &tiny, WEIGHT_Q8_0, 3);
	alone(prompt, 34, 10, &greedy, want);
	CHECK(s->prompt_tokens_reused == 0 && s->prompt_tokens_computed == 34);
	CHECK(!memcmp(want, got, sizeof want));
	// The same once more: all but the last token of the prompt is there.
	computed = s->prompt_tokens_computed;
	alone(prompt, 34, 10, &greedy, got);
	CHECK(s->prompt_tokens_computed - computed == 1 && !memcmp(want, got, sizeof want));
}

static void test_a_cancelled_sequence_leaves_the_others_alone(void)
{
	static int32_t all[MAX_SEQUENCES][CONTEXT * 2];
	int32_t prompt[6], other[6], want[20];
	unsigned count[MAX_SEQUENCES] = { 0 }, a, b, c;
	struct scheduled_token got[MAX_SEQUENCES];
	struct failure f = { "" };

	make_prompt(prompt, 6, 1);
	make_prompt(other, 6, 2);
	alone(prompt, 6, 20, &greedy, want);
	a = start(other, 6, 50, &greedy);
	b = start(prompt, 6, 20, &greedy);
	for (int i = 0; i < 3; i++) {
		int r = scheduler_step(s, got, &f);

		need(r, &f);
		for (int j = 0; j < r; j++)
			all[got[j].sequence][count[got[j].sequence]++] = got[j].token;
	}
	scheduler_end(s, a); // passes of it are in flight
	c = start(other, 1, 4, &greedy);
	CHECK(c != b);
	count[c] = 0;
	run(all, count);
	CHECK(count[b] == 20 && !memcmp(all[b], want, sizeof want));
	CHECK(count[c] == 4);
}

static void test_pause(void)
{
	static int32_t all[MAX_SEQUENCES][CONTEXT * 2];
	int32_t prompt[4], want[12];
	unsigned count[MAX_SEQUENCES] = { 0 }, a;

	make_prompt(prompt, 4, 3);
	alone(prompt, 4, 12, &greedy, want);
	a = start(prompt, 4, 12, &greedy);
	scheduler_pause(s, a, true);
	CHECK(!scheduler_busy(s));
	scheduler_pause(s, a, false);
	run(all, count);
	CHECK(count[a] == 12 && !memcmp(all[a], want, sizeof want));
}

static void test_sampling(void)
{
	const struct sampling hot = { .temperature = 1, .top_p = 1, .seed = 1 };
	struct sampling other = hot, narrow = hot;
	int32_t prompt[4], a[60], b[60], g[60];

	make_prompt(prompt, 4, 4);
	alone(prompt, 4, 60, &hot, a);
	alone(prompt, 4, 60, &hot, b);
	CHECK(!memcmp(a, b, sizeof a));
	other.seed = 2;
	alone(prompt, 4, 60, &other, b);
	CHECK(memcmp(a, b, sizeof a));
	narrow.top_p = 1e-6f; // only the most probable token
	alone(prompt, 4, 60, &narrow, b);
	alone(prompt, 4, 60, &greedy, g);
	CHECK(!memcmp(b, g, sizeof g));
}

int main(void)
{
	testmodel_load(&model, &tiny, WEIGHT_Q8_0, 3);
	RUN(test_together_as_alone);
	RUN(test_room);
	RUN(test_long_streams_slide);
	RUN(test_warm_prefix);
	RUN(test_a_cancelled_sequence_leaves_the_others_alone);
	RUN(test_pause);
	RUN(test_sampling);
	model_free(&model);
	return 0;
}
