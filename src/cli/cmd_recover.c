// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>
#include "cli/http.h"

int cmd_recover(struct cli *c, int argc, char **argv)
{
	const char *decision = NULL;
	const struct cli_option options[] = { { "decision", &decision, NULL }, { 0 } };
	struct cli_args a;
	char url[256];
	json_t *doc = NULL;

	if (cli_parse(c, "recover", argc, argv, options, 1, 1, &a) < 0)
		return EXIT_USAGE;
	if (!decision || (strcmp(decision, "run-here") && strcmp(decision, "give-up")))
		return cli_usage(
			"recover", "--decision run-here or --decision give-up must be said");
	vm_url(a.operands[0], "recover", url);
	int exit = http_call(c, "POST", url, json_pack("{s:s}", "decision", decision), &doc);
	if (exit == 0 && c->json)
		cli_print_json(doc);
	else if (exit == 0)
		printf("VM '%s' is %s\n", a.operands[0],
			json_string_or(doc, "state", "gone from here"));
	json_decref(doc);
	return exit;
}
