// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include "cli/http.h"

int cmd_cancel(struct cli *c, int argc, char **argv)
{
	struct cli_args a;
	char url[256];
	json_t *doc = NULL;

	if (cli_parse(c, "cancel", argc, argv, NULL, 1, 1, &a) < 0)
		return EXIT_USAGE;
	vm_url(a.operands[0], "cancel", url);
	int exit = http_call(c, "POST", url, json_object(), &doc);
	if (exit == 0 && c->json)
		cli_print_json(doc);
	else if (exit == 0)
		printf("asked for the end of the migration of VM '%s'\n", a.operands[0]);
	json_decref(doc);
	return exit;
}
