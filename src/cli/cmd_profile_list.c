// SPDX-License-Identifier: Apache-2.0
// The table is the program's own: it needs no ferryd.
#include "base/units.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "vgpu/profile.h"

int cmd_profile_list(struct cli *c, int argc, char **argv)
{
	struct cli_args a;
	struct table t;

	if (cli_parse(c, "profile list", argc, argv, NULL, 0, 0, &a) < 0)
		return EXIT_USAGE;
	if (c->json) {
		_cleanup_json_ json_t *all = json_array();
		for (size_t i = 0; i < profile_count; i++)
			json_array_append_new(all, profile_to_json(&profiles[i]));
		cli_print_json(all);
		return EXIT_DONE;
	}
	table_init(&t, 5);
	for (const char *const *h = (const char *const[]){ "PROFILE", "FRAMEBUFFER", "KIND",
		     "SHARE", "WHAT", NULL };
		*h; h++)
		table_cell(&t, "%s", *h);
	for (size_t i = 0; i < profile_count; i++) {
		char size[16] = "-";
		if (profiles[i].framebuffer_bytes)
			size_format(profiles[i].framebuffer_bytes, size, sizeof size);
		table_cell(&t, "%s", profiles[i].name);
		table_cell(&t, "%s", size);
		table_cell(&t, "%s", profiles[i].kind);
		table_cell(&t, "%u %%", profiles[i].share_percent);
		table_cell(&t, "%s", profiles[i].help);
	}
	table_print(&t, stdout);
	return EXIT_DONE;
}
