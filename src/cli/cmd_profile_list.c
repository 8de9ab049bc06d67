// SPDX-License-Identifier: Apache-2.0
// The table is the program's own; only what the host can still place is ferryd's to say.
#include <stdio.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/socket.h"
#include "base/units.h"
#include "cli/http.h"
#include "cli/output.h"
#include "vgpu/profile.h"

static json_t *own_table(void)
{
	json_t *all = json_array();

	for (size_t i = 0; i < profile_count; i++)
		json_array_append_new(all, profile_to_json(&profiles[i]));
	return all;
}

static bool daemon_listens(const struct cli *c)
{
	_cleanup_fd_ int fd = unix_connect(c->socket, NULL);

	return fd >= 0;
}

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
}

int cmd_profile_list(struct cli *c, int argc, char **argv)
{
	_cleanup_json_ json_t *all = NULL;
	struct cli_args a;

	if (cli_parse(c, "profile list", argc, argv, NULL, 0, 0, &a) < 0)
		return EXIT_USAGE;
	bool host = daemon_listens(c);
	int exit = host ? http_call(c, "GET", "profiles", NULL, &all) : EXIT_DONE;
	if (exit)
		return exit;
	if (!host)
		all = own_table();
	if (c->json) {
		cli_print_json(all);
		return EXIT_DONE;
	}
	print_profiles(all);
	if (!host)
		fputs("PLACEABLE is not known: no ferryd answers here\n", stderr);
	return EXIT_DONE;
}
