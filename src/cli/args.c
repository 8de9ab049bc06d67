// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"
#include "base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Levenshtein's distance, for words of at most 31 bytes; 99 for longer ones.
static int distance(const char *a, const char *b)
{
	int row[33], n = (int)strlen(b);

	if (strlen(a) > 31 || n > 31)
		return 99;
	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 1; a[i - 1]; i++) {
		int diagonal = row[0];
		row[0] = i;
		for (int j = 1; j <= n; j++) {
			int change = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			int shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
			row[j] = change < shorter + 1 ? change : shorter + 1;
		}
	}
	return row[n];
}

const char *cli_nearest(const char *typed)
{
	const char *best = NULL;
	int least = 3; // further away is no typing error

	for (size_t i = 0; i < cli_command_count; i++) {
		int d = distance(typed, cli_commands[i].words);
		if (d < least) {
			least = d;
			best = cli_commands[i].words;
		}
	}
	return best;
}

static const char *nearest_option(const char *typed, const struct cli_option *options)
{
	const char *best = NULL;
	int least = 4;

	for (; options && options->name; options++) {
		int d = distance(typed, options->name);
		if (d < least) {
			least = d;
			best = options->name;
		}
	}
	return best;
}

static const struct cli_command *by_words(const char *words)
{
	for (size_t i = 0; i < cli_command_count; i++)
		if (!strcmp(cli_commands[i].words, words))
			return &cli_commands[i];
	return NULL;
}

int cli_usage(const char *command, const char *fmt, ...)
{
	const struct cli_command *c = by_words(command);
	va_list ap;

	fputs("ferry: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (c)
		fprintf(stderr, "usage: ferry %s %s\n", c->words, c->usage);
	return EXIT_USAGE;
}

static const struct cli_option *find_option(
	const struct cli_option *options, const char *name, size_t n)
{
	for (; options && options->name; options++)
		if (strlen(options->name) == n && !strncmp(options->name, name, n))
			return options;
	return NULL;
}

// One "--name", "--name=value" or "--name value". Returns how many words it took, or -EXIT_USAGE.
static int take_option(const char *command, char **argv, const struct cli_option *options,
	const struct cli_option *common)
{
	const char *name = argv[0] + 2, *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	const struct cli_option *o = find_option(options, name, n);

	if (!o)
		o = find_option(common, name, n);
	if (!o) {
		char typed[64];
		snprintf(typed, sizeof typed, "%.*s", (int)n, name);
		const char *near = nearest_option(typed, options);
		return -cli_usage(command, "there is no option --%s%s%s%s", typed,
			near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
	}
	if (o->flag) {
		if (equals)
			return -cli_usage(command, "--%s takes no value", o->name);
		*o->flag = true;
		return 1;
	}
	if (!equals && !argv[1])
		return -cli_usage(command, "--%s needs a value", o->name);
	const char *value = equals ? equals + 1 : argv[1];
	if (o->many && o->many->n == (int)ARRAY_SIZE(o->many->words))
		return -cli_usage(command, "--%s is there too often", o->name);
	if (o->many)
		o->many->words[o->many->n++] = value;
	else
		*o->text = value;
	return equals ? 1 : 2;
}

static int take_operand(const char *command, const char *word, int max, struct cli_args *a)
{
	if (word[0] == '-' && word[1])
		return -cli_usage(command, "there is no option %s", word);
	if (!word[0])
		return -cli_usage(command, "an empty word is no name");
	if (a->n == max)
		return -cli_usage(command, "'%s' is too much", word);
	a->operands[a->n++] = word;
	return 1;
}

int cli_parse(struct cli *c, const char *command, int argc, char **argv,
	const struct cli_option *options, int min, int max, struct cli_args *ret)
{
	bool help = false;
	const struct cli_option common[] = { { "json", NULL, &c->json },
		{ "socket", &c->socket, NULL }, { "help", NULL, &help }, { 0 } };

	*ret = (struct cli_args){ 0 };
	for (int i = 0, n; i < argc && !help; i += n) {
		if (!strcmp(argv[i], "--")) {
			ret->rest = argv + i + 1;
			break;
		}
		n = !strncmp(argv[i], "--", 2) ? take_option(command, argv + i, options, common)
					       : take_operand(command, argv[i], max, ret);
		if (n < 0)
			return n;
	}
	if (help) {
		char words[40], *list[3] = { 0 }, *save = NULL;
		int n = 0;
		snprintf(words, sizeof words, "%s", command);
		for (char *w = strtok_r(words, " ", &save); w && n < 3;
			w = strtok_r(NULL, " ", &save))
			list[n++] = w;
		exit(cli_help(n, list));
	}
	if (ret->n < min)
		return -cli_usage(command, "something is missing");
	return ret->n;
}
