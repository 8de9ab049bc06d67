// SPDX-License-Identifier: Apache-2.0
// llm-server: a language model of the Llama architecture in OpenCL. See README.md.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "generate.h"
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
	struct generate g = { 0 };
	int32_t token;
	int n, r;

	if (!prompt)
		return fail(f, ENOMEM, "out of host memory");
	n = vocabulary_encode(o->prompt, strlen(o->prompt), prompt, (int)m->shape.context);
	if (n < 0)
		r = fail(f, EINVAL, "the prompt has more than %u tokens", m->shape.context);
	else
		r = generate_begin(&g, &m->forward, prompt, n ? (uint32_t)n : 1, o->tokens, f);
	while (r >= 0 && !generate_finished(&g)) {
		r = generate_step(&g, &token, f);
		if (r > 0)
			print_token(o, token);
	}
	generate_end(&g);
	free(prompt);
	return r < 0 ? r : 0;
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
	model_init(&m, &o.shape, o.seed, o.size);
	r = run(&m, &o, &f);
	if (r)
		fprintf(stderr, "llm-server: %s\n", f.text);
	model_free(&m);
	return r ? 1 : 0;
}
