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

int cmd_vm_exec(struct cli *c, int argc, char **argv)
{
	bool detach = false;
	const struct cli_option options[] = { { "detach", NULL, &detach }, { 0 } };
	struct state s = { c, -1 };
	const struct http_stream stream = { .line = on_line, .arg = &s };
	struct cli_args a;
	char url[256];

	if (cli_parse(c, "vm exec", argc, argv, options, 1, 1, &a) < 0)
		return EXIT_USAGE;
	if (!a.rest || !a.rest[0])
		return cli_usage("vm exec", "the program is missing: -- CMD...");
	json_t *words = json_array();
	for (char **w = a.rest; *w; w++)
		if (json_array_append_new(words, json_string(*w)) < 0) {
			json_decref(words);
			return cli_usage("vm exec", "an argument is not UTF-8");
		}
	vm_url(a.operands[0], "exec", url);
	json_t *body = json_pack("{s:o, s:b}", "argv", words, "detach", detach);
	int exit = http_stream(c, "POST", url, body, &stream);
	return exit ? exit : s.exit >= 0 ? s.exit : EXIT_FAILED;
}
