// SPDX-License-Identifier: Apache-2.0
// A real model's logits after each token of a text, on the device and by reference.c:
//   llm-real-test FILE TEXT
// prints the largest difference and what both give for the text, in nats a token.
#include <math.h>
#include <string.h>

#include "chat.h"
#include "check.h"
#include "reference.h"
#include "testmodel.h"

#define CONTEXT 256
#define TOLERANCE                                                                                  \
	5e-3 // of 1 + |logit|: what model_test.c allows a layer or two, through all layers

struct text {
	int32_t ids[CONTEXT];
	uint32_t n;
};

static void read_text(const struct model *m, const char *text, struct text *t)
{
	struct failure f = { "" };

	need(chat_begin(m->tokenizer, t->ids, &t->n, CONTEXT), &f);
	need(tokenizer_encode(m->tokenizer, text, strlen(text), true, t->ids, &t->n, CONTEXT), &f);
	CHECK(t->n > 1);
}

// One sequence has the first pages.
static void put_pages(struct model *m)
{
	int32_t pages[CONTEXT / SHAPE_PAGE];
	struct failure f = { "" };
	uint32_t n = m->shape.context / SHAPE_PAGE;

	for (uint32_t i = 0; i < n; i++)
		pages[i] = (int32_t)i;
	need(forward_set_pages(&m->forward, 0, pages, n, &f), &f);
}

static void device_token(struct model *m, int32_t token, uint32_t position, float *logits)
{
	struct pass_record p = {
		.rows = 1, .outputs = 1, .token = { token }, .position = { (int32_t)position }
	};
	struct failure f = { "" };

	need(forward_pass(&m->forward, &p, &f), &f);
	need(forward_read_logits(&m->forward, 0, logits, &f), &f);
	need(gpu_finish(&m->gpu, &f), &f);
}

static double nats(const double *logits, uint32_t n, int32_t token)
{
	double most = logits[0], sum;

	for (uint32_t i = 1; i < n; i++)
		most = fmax(most, logits[i]);
	sum = exp(logits[0] - most);
	for (uint32_t i = 1; i < n; i++)
		sum += exp(logits[i] - most);
	return log(sum) + most - logits[token];
}

static void compare(struct model *m, struct reference *r, const struct text *t)
{
	uint32_t vocab = m->shape.vocab;
	float *got = calloc(vocab, sizeof *got);
	double *wide = calloc(vocab, sizeof *wide), *want = calloc(vocab, sizeof *want);
	double farthest = 0, device = 0, reference = 0;

	CHECK(got && wide && want);
	for (uint32_t p = 0; p + 1 < t->n; p++) {
		device_token(m, t->ids[p], p, got);
		reference_token(r, t->ids[p], p, want);
		for (uint32_t i = 0; i < vocab; i++) {
			wide[i] = (double)got[i];
			farthest = fmax(farthest, fabs(wide[i] - want[i]));
			CHECK(fabs(wide[i] - want[i]) <= TOLERANCE * (1 + fabs(want[i])));
		}
		device += nats(wide, vocab, t->ids[p + 1]);
		reference += nats(want, vocab, t->ids[p + 1]);
	}
	printf("%u tokens: logits at most %.6f apart; %.6f nats a token, %.6f by the reference\n",
		t->n - 1, farthest, device / (t->n - 1), reference / (t->n - 1));
	free(got);
	free(wide);
	free(want);
}

int main(int argc, char **argv)
{
	struct failure f = { "" };
	struct text text = { .n = 0 };
	struct reference r;
	struct model m;

	CHECK(argc == 3);
	need(model_init_file(&m, argv[1], CONTEXT, 0, &f), &f);
	testmodel_ready(&m);
	read_text(&m, argv[2], &text);
	CHECK(text.n <= m.shape.context);
	put_pages(&m);
	need(reference_init(&r, &m.gpu, &m.weights, m.frequencies, text.n, &f), &f);
	compare(&m, &r, &text);
	reference_free(&r);
	model_free(&m);
	return 0;
}
