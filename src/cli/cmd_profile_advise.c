// SPDX-License-Identifier: Apache-2.0
// The table is the program's own: it needs no ferryd.
#include <stdio.h>
#include "cli/cli.h"
#include "vgpu/profile_advice.h"

static void print_advice(const struct profile_advice *a)
{
	const struct profile *p = profile_find(a->profile, NULL);

	printf("for %s: %s (%s, %s)", a->purpose, p->name, profile_kind_name(p->kind), p->help);
	if (a->scheduling)
		printf(", vgpu.scheduling=%s", a->scheduling);
	putchar('\n');
	for (const char *const *r = a->reasons; *r; r++)
		printf("  - %s\n", *r);
	printf("  otherwise: %s\n", a->instead);
}

int cmd_profile_advise(struct cli *c, int argc, char **argv)
{
	const char *purpose = NULL;
	const struct cli_option options[] = { { "for", &purpose, NULL }, { 0 } };
	struct ferry_error e = FERRY_ERROR_INIT;
	struct cli_args a;

	if (cli_parse(c, "profile advise", argc, argv, options, 0, 0, &a) < 0)
		return EXIT_USAGE;
	if (!purpose)
		return cli_usage("profile advise", "--for is missing");
	const struct profile_advice *advice = profile_advice_find(purpose, &e);
	if (!advice)
		return cli_error(c, &e, EXIT_USAGE);
	if (c->json) {
		_cleanup_json_ json_t *doc = profile_advice_to_json(advice);
		cli_print_json(doc);
	} else {
		print_advice(advice);
	}
	return EXIT_DONE;
}
