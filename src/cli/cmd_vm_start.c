// SPDX-License-Identifier: Apache-2.0
// `ferry vm start` and `ferry vm stop`: steps while they happen, then the VM.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/http.h"

static void on_line(void *arg, json_t *doc)
{
	const struct cli *c = arg;
	const json_t *progress = json_object_get(doc, "progress");
	const char *ip = json_string_or(doc, "ip", "");

	if (c->json)
		cli_print_json(doc);
	else if (progress)
		printf("%s\n", json_string_or(progress, "step", ""));
	else
		printf("VM '%s' is %s%s%s\n", json_string_or(doc, "name", "?"),
			json_string_or(doc, "state", "?"), ip[0] ? ", address " : "", ip);
	fflush(stdout);
}

static int run(struct cli *c, const char *name, const char *what, json_t *body)
{
	const struct http_stream s = { .line = on_line, .arg = c };
	char url[256];

	vm_url(name, what, url);
	return http_stream(c, "POST", url, body, &s);
}

int cmd_vm_start(struct cli *c, int argc, char **argv)
{
	struct cli_args a;

	if (cli_parse(c, "vm start", argc, argv, NULL, 1, 1, &a) < 0)
		return EXIT_USAGE;
	return run(c, a.operands[0], "start", json_object());
}

int cmd_vm_stop(struct cli *c, int argc, char **argv)
{
	const char *timeout = NULL;
	const struct cli_option options[] = { { "timeout", &timeout, NULL }, { 0 } };
	struct cli_args a;
	char *end = NULL;

	if (cli_parse(c, "vm stop", argc, argv, options, 1, 1, &a) < 0)
		return EXIT_USAGE;
	json_t *body = json_object();
	if (timeout) {
		long long s = strtoll(timeout, &end, 10);
		if (end == timeout || *end || s < 0 || s > 600) {
			json_decref(body);
			return cli_usage(
				"vm stop", "--timeout %s is not a number from 0 to 600", timeout);
		}
		json_object_set_new(body, "timeout_ms", json_integer(s * 1000));
	}
	return run(c, a.operands[0], "stop", body);
}
