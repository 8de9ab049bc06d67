// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include "cli/http.h"

int cmd_vm_rm(struct cli *c, int argc, char **argv)
{
	struct cli_args a;
	json_t *doc = NULL;
	char url[256];

	if (cli_parse(c, "vm rm", argc, argv, NULL, 1, 1, &a) < 0)
		return EXIT_USAGE;
	vm_url(a.operands[0], "", url);
	int exit = http_call(c, "DELETE", url, NULL, &doc);
	if (exit == 0 && c->json)
		cli_print_json(doc);
	else if (exit == 0)
		printf("VM '%s' removed\n", a.operands[0]);
	json_decref(doc);
	return exit;
}
