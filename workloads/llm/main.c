// SPDX-License-Identifier: Apache-2.0
// llm-server: a language model of the Llama architecture in OpenCL. See README.md.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "model.h"
#include "options.h"
#include "server.h"
#include "vocabulary.h"

static int load(struct model *m, const struct options *o, struct failure *f)
{
	while (!m->ready) {
		int r = model_load_step(m, o->platform, o->device, f);

		if (r)
			return r;
		fprintf(stderr, "%s\n", m->progress);
	}
	return 0;
}

static void print_token(const struct options *o, int32_t token)
{
	char word[WORD_MAX];

	vocabulary_word(token, word);
	if (o->ids)
		printf("%d\n", token);
	else
		printf("%d\t%s\n", token, word + 1);
	fflush(stdout);
}

static int print_tokens(struct model *m, const struct options *o, struct failure *f)
{
	int32_t *prompt = calloc(m->shape.context, sizeof *prompt);
	struct scheduled_token got[MAX_SEQUENCES];
	const struct sampling greedy = { 0 };
	unsigned sequence;
	int n, r;

	if (!prompt)
		return fail(f, ENOMEM, "out of host memory");
	n = vocabulary_encode(o->prompt, strlen(o->prompt), prompt, (int)m->shape.context);
	if (n < 0)
		r = fail(f, EINVAL, "the prompt has more than %u tokens", m->shape.context);
	else
		r = scheduler_start(&m->scheduler, prompt, n ? (uint32_t)n : 1, o->tokens, &greedy,
			&sequence, f);
	free(prompt);
	while (r >= 0) {
		r = scheduler_step(&m->scheduler, got, f);
		if (r <= 0)
			continue;
		print_token(o, got[0].token);
		if (got[0].last)
			return 0;
	}
	return r;
}

static int run(struct model *m, const struct options *o, struct failure *f)
{
	int r;

	if (!o->bench && !o->tokens)
		return server_run(m, o, f);
	r = load(m, o, f);
	if (r)
		return r;
	return o->bench ? bench_run(m, o->bench, f) : print_tokens(m, o, f);
}

int main(int argc, char **argv)
{
	struct failure f = { "unknown error" };
	struct options o;
	struct model m;
	int r = options_parse(&o, argc, argv);

	if (r >= 0)
		return r;
	model_init(&m, &o.shape, o.type, o.seed, o.size);
	r = run(&m, &o, &f);
	if (r)
		fprintf(stderr, "llm-server: %s\n", f.text);
	model_free(&m);
	return r ? 1 : 0;
}
