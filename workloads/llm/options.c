// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vocabulary.h"

static const char help[] =
	"usage: llm-server [options]\n"
	"Serves a language model of the Llama architecture on an OpenCL device, over HTTP as "
	"OpenAI's\n"
	"clients speak it. Without --model or --synthetic: a made-up model of 64M.\n"
	"\n"
	"  --model FILE        a GGUF file of the Llama architecture\n"
	"  --synthetic SIZE    in place of a file: made-up weights of about SIZE bytes (1G, 64M), "
	"made-up\n"
	"                      words\n"
	"  --seed N            with --synthetic: seed of the weights (default 1)\n"
	"  --shape NAME        with --synthetic: the widths of llama-3.1-8b or llama-3.1-70b, with "
	"as many\n"
	"                      layers as fit SIZE\n"
	"  --weights TYPE      with --synthetic: q8_0 (default), q4_0, f16 or f32\n"
	"  --context N         tokens that a request can look back on, a sliding window (default "
	"2048, or\n"
	"                      the file's if that is less)\n"
	"  --cache N           tokens in the KV cache, for all requests (default: two contexts)\n"
	"  --platform N        OpenCL platform, counted from 0 (default 0)\n"
	"  --device N          OpenCL device of that platform (default 0)\n"
	"  --listen ADDR:PORT  where to serve (default 0.0.0.0:8000; port 0: any)\n"
	"  --pace N            tokens a second for each request at most (default: as fast as it "
	"goes)\n"
	"  --tokens N          do not serve: print N tokens and exit\n"
	"  --prompt TEXT       the prompt for --tokens\n"
	"  --ids               with --tokens: only token ids, one a line\n"
	"  --bench N           do not serve: generate N tokens and print the speed\n"
	"  --needs             do not serve: check the model and print what it takes of a device,\n"
	"                      as JSON\n"
	"  --help              this text\n";

enum {
	MODEL = 1,
	SYNTHETIC,
	SEED,
	SHAPE,
	WEIGHTS,
	CONTEXT,
	CACHE,
	PLATFORM,
	DEVICE,
	LISTEN,
	PACE,
	TOKENS,
	PROMPT,
	IDS,
	BENCH,
	NEEDS,
	HELP
};

static const struct option long_options[] = {
	{ "model", required_argument, NULL, MODEL },
	{ "synthetic", required_argument, NULL, SYNTHETIC },
	{ "seed", required_argument, NULL, SEED },
	{ "shape", required_argument, NULL, SHAPE },
	{ "weights", required_argument, NULL, WEIGHTS },
	{ "context", required_argument, NULL, CONTEXT },
	{ "cache", required_argument, NULL, CACHE },
	{ "platform", required_argument, NULL, PLATFORM },
	{ "device", required_argument, NULL, DEVICE },
	{ "listen", required_argument, NULL, LISTEN },
	{ "pace", required_argument, NULL, PACE },
	{ "tokens", required_argument, NULL, TOKENS },
	{ "prompt", required_argument, NULL, PROMPT },
	{ "ids", no_argument, NULL, IDS },
	{ "bench", required_argument, NULL, BENCH },
	{ "needs", no_argument, NULL, NEEDS },
	{ "help", no_argument, NULL, HELP },
	{ 0 },
};

static int bad(const char *what, const char *value)
{
	fprintf(stderr, "llm-server: bad value for --%s: \"%s\" (see --help)\n", what, value);
	return 2;
}

static int number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || v < min || v > max)
		return bad(name, text);
	*ret = v;
	return -1;
}

static int number32(const char *name, const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t v = 0;
	int r = number(name, text, min, max, &v);

	if (r < 0)
		*ret = (uint32_t)v;
	return r;
}

static int weight_type(const char *text, enum weight_type *ret)
{
	for (unsigned t = 0; t < WEIGHT_TYPES; t++) {
		if (!strcmp(text, weight_type_name(t))) {
			*ret = t;
			return -1;
		}
	}
	return bad("weights", text);
}

static int take(struct options *o, int option, const char *value)
{
	switch (option) {
	case MODEL:
		o->model = value;
		return -1;
	case SYNTHETIC:
		o->size = value;
		return -1;
	case SEED:
		return number("seed", value, 0, UINT64_MAX, &o->seed);
	case SHAPE:
		o->preset = value;
		return -1;
	case WEIGHTS:
		return weight_type(value, &o->type);
	case CONTEXT:
		return number32("context", value, 16, 1 << 20, &o->shape.context);
	case CACHE:
		return number32("cache", value, 16, 1 << 24, &o->shape.cache_slots);
	case PLATFORM:
		return number32("platform", value, 0, 63, &o->platform);
	case DEVICE:
		return number32("device", value, 0, 63, &o->device);
	case LISTEN:
		o->listen = value;
		return -1;
	case PACE:
		return number32("pace", value, 1, 1000000, &o->pace);
	case TOKENS:
		return number32("tokens", value, 1, 1000000, &o->tokens);
	case PROMPT:
		o->prompt = value;
		return -1;
	case IDS:
		o->ids = true;
		return -1;
	case BENCH:
		return number32("bench", value, 1, 1000000, &o->bench);
	case NEEDS:
		o->needs = true;
		return -1;
	case HELP:
		fputs(help, stdout);
		return 0;
	default:
		return 2; // getopt has said what is wrong
	}
}

static uint32_t whole_pages(uint32_t tokens)
{
	return (tokens + SHAPE_PAGE - 1) / SHAPE_PAGE * SHAPE_PAGE;
}

static int pick_shape(struct options *o)
{
	struct shape *s = &o->shape;
	struct failure f;
	uint64_t bytes;
	int r;

	if (size_parse(o->size, &bytes))
		return bad("synthetic", o->size);
	s->vocab = VOCABULARY_SIZE;
	s->norm_eps = 1e-5f;
	s->context = whole_pages(s->context);
	s->cache_slots = whole_pages(s->cache_slots);
	if (o->model)
		return -1; // the file says the rest
	s->cache_slots = s->cache_slots ? s->cache_slots : 2 * s->context;
	r = o->preset ? shape_preset(o->preset, bytes, o->type, s, &f)
		      : shape_pick(bytes, o->type, s, &f);
	if (r) {
		fprintf(stderr, "llm-server: %s\n", f.text);
		return 2;
	}
	return -1;
}

int options_parse(struct options *o, int argc, char **argv)
{
	int option;

	*o = (struct options){ .listen = "0.0.0.0:8000",
		.size = "64M",
		.seed = 1,
		.prompt = "",
		.type = WEIGHT_Q8_0,
		.shape.context = 2048 };
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		int r = take(o, option, optarg);

		if (r >= 0)
			return r;
	}
	if (optind < argc) {
		fprintf(stderr,
			"llm-server: unexpected argument \"%s\" (a model's file is given with "
			"--model; see --help)\n",
			argv[optind]);
		return 2;
	}
	return pick_shape(o);
}
