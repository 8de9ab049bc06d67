// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include "base/cleanup.h"
#include "base/units.h"
#include "cli/output.h"
#include "cli/profiles.h"

static void add_row(struct table *t, const json_t *p)
{
	int64_t bytes = json_int_or(p, "framebuffer_bytes", 0);
	const json_t *placeable = json_object_get(p, "placeable");
	char size[16] = "-", left[24] = "?";

	if (bytes)
		size_format((uint64_t)bytes, size, sizeof size);
	if (placeable)
		snprintf(left, sizeof left, "%lld", (long long)json_integer_value(placeable));
	table_cell(t, "%s", json_string_or(p, "name", "?"));
	table_cell(t, "%s", size);
	table_cell(t, "%s", json_string_or(p, "kind", "?"));
	table_cell(t, "%lld %%", (long long)json_int_or(p, "share_percent", 0));
	table_cell(t, "%s", left);
	table_cell(t, "%s", json_string_or(p, "placeable_reason", json_string_or(p, "help", "")));
}

static void print_profiles(const json_t *all)
{
	struct table t;
	json_t *p;
	size_t i;

	table_init(&t, 6);
	for (const char *const *h = (const char *const[]){ "PROFILE", "FRAMEBUFFER", "KIND",
		     "SHARE", "PLACEABLE", "WHAT", NULL };
		*h; h++)
		table_cell(&t, "%s", *h);
	json_array_foreach((json_t *)all, i, p) add_row(&t, p);
	table_print(&t, stdout);
	puts("SHARE of a time-sliced profile is the most it gets with vgpu.scheduling=fixed-share; "
	     "of a "
	     "partitioned one\nits part of the compute units.");
}

int cmd_profile_list(struct cli *c, int argc, char **argv)
{
	_cleanup_json_ json_t *all = NULL;
	struct cli_args a;

	if (cli_parse(c, "profile list", argc, argv, NULL, 0, 0, &a) < 0)
		return EXIT_USAGE;
	bool placeable;
	int exit = profiles_get(c, &all, &placeable);
	if (exit)
		return exit;
	if (c->json) {
		cli_print_json(all);
		return EXIT_DONE;
	}
	print_profiles(all);
	if (!placeable)
		fputs("PLACEABLE is not known: no ferryd answers here\n", stderr);
	return EXIT_DONE;
}
