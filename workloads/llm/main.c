// SPDX-License-Identifier: Apache-2.0
// llm-server: a language model of the Llama architecture in OpenCL. See README.md.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "chat.h"
#include "model.h"
#include "needs.h"
#include "options.h"
#include "server.h"

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

static void print_token(const struct model *m, const struct options *o, int32_t token)
{
	struct bytes text = { 0 };

	tokenizer_text(m->tokenizer, token, &text);
	if (o->ids)
		printf("%d\n", token);
	else if (m->file.gguf)
		fwrite(text.data, 1, text.len, stdout);
	else
		printf("%d\t%.*s\n", token, (int)text.len - 1, text.data + 1);
	fflush(stdout);
	bytes_free(&text);
}

static int encode_prompt(
	struct model *m, const char *text, int32_t *ids, uint32_t *n, struct failure *f)
{
	uint32_t max = m->shape.context;
	int r = chat_begin(m->tokenizer, ids, n, max);

	if (!r)
		r = tokenizer_encode(m->tokenizer, text, strlen(text), true, ids, n, max);
	if (!*n)
		*n = 1; // an empty prompt is token 0
	return r ? fail(f, r, "the prompt has more than %u tokens", max) : 0;
}

static int print_tokens(struct model *m, const struct options *o, struct failure *f)
{
	int32_t *prompt = calloc(m->shape.context, sizeof *prompt);
	struct scheduled_token got[MAX_SEQUENCES];
	const struct sampling greedy = { 0 };
	unsigned sequence;
	uint32_t n = 0;
	int r;

	if (!prompt)
		return fail(f, ENOMEM, "out of host memory");
	r = encode_prompt(m, o->prompt, prompt, &n, f);
	if (!r)
		r = scheduler_start(&m->scheduler, prompt, n, o->tokens, &greedy, &sequence, f);
	free(prompt);
	while (r >= 0) {
		r = scheduler_step(&m->scheduler, got, f);
		if (r <= 0)
			continue;
		print_token(m, o, got[0].token);
		if (got[0].last || tokenizer_ends(m->tokenizer, got[0].token))
			return 0;
	}
	return r;
}

static int run(struct model *m, const struct options *o, struct failure *f)
{
	int r;

	if (o->needs)
		return needs_print(m, f);
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
	if (o.model)
		r = model_init_file(&m, o.model, o.shape.context, o.shape.cache_slots, &f);
	else
		r = model_init(&m, &o.shape, o.type, o.seed, o.size, &f);
	if (!r)
		r = run(&m, &o, &f);
	if (r)
		fprintf(stderr, "llm-server: %s\n", f.text);
	model_free(&m);
	return r ? 1 : 0;
}
