// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/base64.h"
#include "cli/http.h"

struct state {
	struct cli *c;
	int exit; // the program's; -1 while it runs
};

static void put(FILE *to, const char *text)
{
	char bytes[65536];
	ssize_t n = base64_decode(text, strlen(text), bytes, sizeof bytes);

	if (n > 0 && fwrite(bytes, 1, (size_t)n, to) == (size_t)n)
		fflush(to);
}

static void on_line(void *arg, json_t *doc)
{
	struct state *s = arg;
	const char *out = json_string_or(doc, "stdout", NULL);
	const char *err = json_string_or(doc, "stderr", NULL);

	s->exit = (int)json_int_or(doc, "exit", s->exit);
	if (s->c->json)
		cli_print_json(doc);
	else if (out)
		put(stdout, out);
	else if (err)
		put(stderr, err);
}

// "JOB:OUT:ERR", as the error says it when a program's VM cannot be reached: what ferryd wants to know.
static json_t *read_attach(const char *text)
{
	unsigned long long out, err;
	char job[17];
	int end = 0;

	if (sscanf(text, "%16[0-9a-f]:%19llu:%19llu%n", job, &out, &err, &end) != 3 || text[end])
		return NULL;
	return json_pack("{s:{s:s, s:I, s:I}}", "attach", "job", job, "out", (json_int_t)out, "err",
		(json_int_t)err);
}

static json_t *read_words(char **words, bool detach)
{
	json_t *argv = json_array();

	for (char **w = words; *w; w++)
		if (json_array_append_new(argv, json_string(*w)) < 0) {
			json_decref(argv);
			return NULL;
		}
	return json_pack("{s:o, s:b}", "argv", argv, "detach", detach);
}

int cmd_vm_exec(struct cli *c, int argc, char **argv)
{
	const char *attach = NULL;
	bool detach = false;
	const struct cli_option options[] = { { "attach", &attach, NULL },
		{ "detach", NULL, &detach }, { 0 } };
	struct state s = { c, -1 };
	const struct http_stream stream = { .line = on_line, .arg = &s };
	struct cli_args a;
	char url[256];

	if (cli_parse(c, "vm exec", argc, argv, options, 1, 1, &a) < 0)
		return EXIT_USAGE;
	bool program = a.rest && a.rest[0];
	if (program == (attach != NULL))
		return cli_usage("vm exec", attach ? "--attach and a program exclude each other"
						   : "the program is missing: -- CMD...");
	json_t *body = attach ? read_attach(attach) : read_words(a.rest, detach);
	if (!body)
		return cli_usage("vm exec",
			attach ? "--attach wants JOB:OUT:ERR" : "an argument is not UTF-8");
	vm_url(a.operands[0], "exec", url);
	int exit = http_stream(c, "POST", url, body, &stream);
	return exit ? exit : s.exit >= 0 ? s.exit : EXIT_FAILED;
}
