// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { SIZE, COUNT, REAL, TEXT };

struct option_row {
	const char *name;
	enum kind kind; // SIZE is a uint32_t, COUNT a uint64_t, REAL a float, TEXT a string
	size_t at;      // in struct options
	double min, max;
	const char *help;
};

#define AT(field) offsetof(struct options, field)

static const struct option_row rows[] = {
	{ "text", TEXT, AT(text), 0, 0,
		"tokens to learn from (tokenizer.py encode); none: a made-up text" },
	{ "vocab", SIZE, AT(shape.vocab), 32, 65536, "tokens in the vocabulary" },
	{ "dim", SIZE, AT(shape.dim), 32, 4096, "width of the network" },
	{ "layers", SIZE, AT(shape.layers), 1, SHAPE_MAX_LAYERS, "layers" },
	{ "heads", SIZE, AT(shape.heads), 1, 128, "query heads" },
	{ "kv-heads", SIZE, AT(shape.kv_heads), 1, 128, "key and value heads" },
	{ "hidden", SIZE, AT(shape.hidden), 32, 16384, "width of the feed-forward" },
	{ "context", SIZE, AT(shape.context), 32, 4096, "tokens in a sequence" },
	{ "batch", SIZE, AT(shape.batch), 1, 256, "sequences in a step" },
	{ "seed", COUNT, AT(recipe.seed), 0, 1e18, "seed of weights and batches" },
	{ "steps", COUNT, AT(recipe.steps), 1, 1e9, "steps of the run" },
	{ "warmup", COUNT, AT(recipe.warmup), 1, 1e9, "steps until the full learning rate" },
	{ "cosine", COUNT, AT(recipe.cosine), 0, 1e9,
		"the step at which the rate's cosine ends (default: the last)" },
	{ "cooldown", COUNT, AT(recipe.cooldown), 0, 1e9,
		"last steps, in which the rate falls in a line" },
	{ "rate", REAL, AT(recipe.rate), 0, 1, "highest learning rate" },
	{ "final-rate", REAL, AT(recipe.final_rate), 0, 1,
		"learning rate at the end of the cosine" },
	{ "decay", REAL, AT(recipe.decay), 0, 1, "weight decay" },
	{ "clip", REAL, AT(recipe.clip), 1e-6, 1e6, "highest norm of the gradient" },
	{ "checkpoint", TEXT, AT(checkpoint), 0, 0,
		"file to write the run to, and to go on from if it is there" },
	{ "every", COUNT, AT(every), 1, 1e9, "steps between checkpoints" },
	{ "stop-at", COUNT, AT(stop_at), 0, 1e9, "stop after this step of the schedule" },
	{ "idle-us", COUNT, AT(idle_us), 0, 1e7, "microseconds to rest after each step" },
	{ "evaluate", TEXT, AT(evaluate), 0, 0, "do not train: nats per token of these tokens" },
	{ "sample", COUNT, AT(sample), 0, 4095,
		"do not train: ids of as many tokens, a line for each sequence" },
	{ "temperature", REAL, AT(temperature), 0, 10, "of the sampling; 0 takes the likeliest" },
	{ "export", TEXT, AT(export), 0, 0, "do not train: write this GGUF file" },
	{ "vocabulary", TEXT, AT(vocabulary), 0, 0,
		"the vocabulary for --export (tokenizer.py learn)" },
	{ "name", TEXT, AT(name), 0, 0, "the model's name in it" },
	{ "type", TEXT, AT(type), 0, 0, "of the matrices in it: q8_0, f16 or f32" },
	{ "platform", COUNT, AT(platform), 0, 63, "OpenCL platform, counted from 0" },
	{ "device", COUNT, AT(device), 0, 63, "OpenCL device of that platform" },
};

#define N_ROWS (sizeof rows / sizeof *rows)

static const struct options defaults = { .shape = { .dim = 128,
						 .layers = 6,
						 .heads = 4,
						 .kv_heads = 2,
						 .hidden = 384,
						 .vocab = 2048,
						 .context = 256,
						 .batch = 8 },
	.recipe = RECIPE_DEFAULT,
	.every = 100,
	.stop_at = UINT64_MAX,
	.temperature = 0.8f,
	.name = "ferry-llama",
	.type = "q8_0" };

static double number_of(const struct option_row *row, const void *at)
{
	if (row->kind == SIZE)
		return *(const uint32_t *)at;
	return row->kind == COUNT ? (double)*(const uint64_t *)at : (double)*(const float *)at;
}

// Nothing where it is 0, none of the values that can be given, or said by the help.
static void print_default(const struct option_row *row)
{
	const char *at = (const char *)&defaults + row->at;
	const char *text = row->kind == TEXT ? *(const char *const *)(const void *)at : NULL;
	double v = row->kind == TEXT ? -1 : number_of(row, at);

	if (text)
		printf(" (default %s)", text);
	else if (v > 0 && v <= row->max && !strstr(row->help, "default"))
		printf(" (default %g)", v);
}

static int help(void)
{
	printf("usage: llm-train [options]\n"
	       "Trains a language model of the Llama architecture and prints the loss of each "
	       "step.\n"
	       "What looks at a checkpoint, or goes on from it, needs the options that it was made "
	       "with.\n\n");
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct option_row *row = &rows[i];

		printf("  --%-12s %-4s  %s", row->name, row->kind == TEXT ? "TEXT" : "N",
			row->help);
		print_default(row);
		putchar('\n');
	}
	return 0;
}

static int bad(const struct option_row *row, const char *value)
{
	fprintf(stderr, "llm-train: bad value for --%s: \"%s\" (%g to %g)\n", row->name, value,
		row->min, row->max);
	return 2;
}

static int take(struct options *o, const struct option_row *row, const char *value)
{
	void *to = (char *)o + row->at;
	char *end;
	double v;

	if (row->kind == TEXT) {
		*(const char **)to = value;
		return -1;
	}
	errno = 0;
	v = strtod(value, &end);
	if (end == value || *end || errno || !(v >= row->min && v <= row->max))
		return bad(row, value);
	if (row->kind != REAL && v != (double)(uint64_t)v)
		return bad(row, value);
	if (row->kind == SIZE)
		*(uint32_t *)to = (uint32_t)v;
	else if (row->kind == COUNT)
		*(uint64_t *)to = (uint64_t)v;
	else
		*(float *)to = (float)v;
	return -1;
}

static int check(const struct options *o)
{
	const char *problem = NULL;

	if ((o->evaluate || o->sample || o->export) && !o->checkpoint)
		problem = "--evaluate, --sample and --export need --checkpoint";
	else if (o->export && !o->vocabulary)
		problem = "--export needs --vocabulary";
	else if (strcmp(o->type, "q8_0") && strcmp(o->type, "f16") && strcmp(o->type, "f32"))
		problem = "--type is q8_0, f16 or f32";
	else if (o->sample > o->shape.context)
		problem = "--sample: no more than the context";
	else if (o->recipe.cooldown > o->recipe.steps)
		problem = "--cooldown: no more than the steps";
	if (problem)
		fprintf(stderr, "llm-train: %s\n", problem);
	return problem ? 2 : -1;
}

int options_parse(struct options *o, int argc, char **argv)
{
	struct option names[N_ROWS + 2] = { 0 };
	int option;

	for (size_t i = 0; i < N_ROWS; i++)
		names[i] = (struct option){ rows[i].name, required_argument, NULL, (int)i };
	names[N_ROWS] = (struct option){ "help", no_argument, NULL, N_ROWS };
	*o = defaults;
	o->recipe.cosine = 0;
	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		int r = option == (int)N_ROWS ? help()
			: option == '?'       ? 2
					      : take(o, &rows[option], optarg);

		if (r >= 0)
			return r;
	}
	if (optind < argc) {
		fprintf(stderr, "llm-train: unexpected argument \"%s\" (see --help)\n",
			argv[optind]);
		return 2;
	}
	if (!o->recipe.cosine)
		o->recipe.cosine = o->recipe.steps;
	return check(o);
}
