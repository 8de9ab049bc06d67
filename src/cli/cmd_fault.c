// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>
#include "cli/http.h"

static void print_faults(const json_t *all)
{
	json_t *f;
	size_t i;

	json_array_foreach((json_t *)all, i, f) printf("%s:%s%s\n", json_string_or(f, "name", "?"),
		json_string_or(f, "action", "-"), json_bool_or(f, "held", false) ? " (held)" : "");
}

int cmd_fault(struct cli *c, int argc, char **argv)
{
	struct cli_args a;
	json_t *doc = NULL;
	char url[128] = "faults";
	int exit;

	if (cli_parse(c, "fault", argc, argv, NULL, 1, 2, &a) < 0)
		return EXIT_USAGE;
	if (!strcmp(a.operands[0], "list") && a.n == 1) {
		exit = http_call(c, "GET", url, NULL, &doc);
	} else if (!strcmp(a.operands[0], "clear")) {
		if (a.n == 2 && strspn(a.operands[1], "abcdefghijklmnopqrstuvwxyz-.") ==
					strlen(a.operands[1]))
			snprintf(url, sizeof url, "faults?name=%.60s", a.operands[1]);
		else if (a.n == 2)
			return cli_usage("fault", "there is no fault point '%s'", a.operands[1]);
		exit = http_call(c, "DELETE", url, NULL, &doc);
	} else if (!strcmp(a.operands[0], "set") && a.n == 2) {
		exit = http_call(c, "POST", url, json_pack("{s:s}", "fault", a.operands[1]), &doc);
	} else {
		return cli_usage("fault", "'%s' is not set, list or clear", a.operands[0]);
	}
	if (exit == 0 && c->json)
		cli_print_json(doc);
	else if (exit == 0)
		print_faults(doc);
	json_decref(doc);
	return exit;
}
