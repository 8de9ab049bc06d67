// SPDX-License-Identifier: Apache-2.0
// `ferry check`, and how findings look.
#include <stdio.h>
#include <string.h>
#include "base/units.h"
#include "cli/findings.h"
#include "cli/http.h"

void findings_print(const json_t *findings, FILE *out)
{
	json_t *f;
	size_t i;

	json_array_foreach((json_t *)findings, i, f)
	{
		bool refuse = strcmp(json_string_or(f, "severity", ""), "warn") != 0;
		fprintf(out, "%s %s: %s\n", refuse ? "REFUSED" : "warning",
			json_string_or(f, "code", "?"), json_string_or(f, "cause", ""));
		if (json_string_or(f, "remedy", "")[0])
			fprintf(out, "  -> %s\n", json_string_or(f, "remedy", ""));
	}
}

static void print_report(const char *name, const char *to, const json_t *doc)
{
	const json_t *facts = json_object_get(doc, "facts");
	char memory[16];

	findings_print(json_object_get(doc, "findings"), stdout);
	if (!json_bool_or(doc, "ok", false))
		return;
	size_format((uint64_t)json_int_or(facts, "available_bytes", 0), memory, sizeof memory);
	printf("VM '%s' can move to host %s (QEMU %s, %s, %s free)\n", name, to,
		json_string_or(facts, "qemu_version", "?"), json_string_or(facts, "accel", "?"),
		memory);
}

int cmd_check(struct cli *c, int argc, char **argv)
{
	const char *to = NULL;
	const struct cli_option options[] = { { "to", &to, NULL }, { 0 } };
	struct cli_args a;
	char url[256];
	json_t *doc = NULL;

	if (cli_parse(c, "check", argc, argv, options, 1, 1, &a) < 0)
		return EXIT_USAGE;
	if (!to)
		return cli_usage("check", "--to is missing");
	vm_url(a.operands[0], "check", url);
	int exit = http_call(c, "POST", url, json_pack("{s:s}", "to", to), &doc);
	if (exit)
		return exit;
	exit = (int)json_int_or(doc, "exit", EXIT_FAILED);
	if (c->json)
		cli_print_json(doc);
	else
		print_report(a.operands[0], to, doc);
	json_decref(doc);
	return exit;
}
