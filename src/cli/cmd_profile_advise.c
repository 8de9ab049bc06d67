// SPDX-License-Identifier: Apache-2.0
// The advice is the program's own; a ferryd adds whether its host can follow it now.
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/units.h"
#include "cli/profiles.h"
#include "vgpu/profile_advice.h"

static void print_advice(const struct profile_advice *a)
{
	const struct profile *p = profile_find(a->profile, NULL);
	char size[16];

	size_format(p->framebuffer_bytes, size, sizeof size);
	printf("for %s: %s (%s, %s, %s)\n", a->purpose, p->name, profile_kind_name(p->kind), size,
		p->help);
	for (const char *const *r = a->reasons; *r; r++)
		printf("  - %s\n", *r);
	printf("  otherwise: %s\n", a->instead);
	printf("  to follow it: ferry vm create NAME --profile %s\n", p->name);
	if (a->scheduling)
		printf("                ferry host set vgpu.scheduling=%s\n", a->scheduling);
}

// Whether the host has room for it; nothing where no ferryd answers.
static int print_room(struct cli *c, const char *name)
{
	_cleanup_json_ json_t *all = NULL;
	bool placeable;
	json_t *p;
	size_t i;
	int exit = profiles_get(c, &all, &placeable);

	if (exit || !placeable)
		return exit;
	json_array_foreach(all, i, p)
	{
		json_int_t n = json_int_or(p, "placeable", 0);
		const char *reason = json_string_or(p, "placeable_reason", "");
		if (!strcmp(json_string_or(p, "name", ""), name))
			printf("  this host can place %lld more now%s%s\n", (long long)n,
				*reason ? ": " : "", reason);
	}
	return EXIT_DONE;
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
		return print_room(c, advice->profile);
	}
	return EXIT_DONE;
}
