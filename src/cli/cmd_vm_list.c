// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"
#include "cli/http.h"
#include "cli/output.h"

static void print_table(const json_t *vms)
{
	struct table t;
	json_t *vm;
	size_t i;

	table_init(&t, 7);
	for (const char *const *h = (const char *const[]){ "NAME", "STATE", "OWNER", "EPOCH",
		     "PROFILE", "MEMORY", "ADDRESS", NULL };
		*h; h++)
		table_cell(&t, "%s", *h);
	json_array_foreach(vms, i, vm)
	{
		char memory[16];
		const char *ip = json_string_or(vm, "ip", "");
		size_format((uint64_t)json_int_or(vm, "memory_bytes", 0), memory, sizeof memory);
		table_cell(&t, "%s", json_string_or(vm, "name", "?"));
		table_cell(&t, "%s%s", json_string_or(vm, "state", "?"),
			json_bool_or(vm, "migrating", false) ? " (migrating)" : "");
		table_cell(&t, "%s", json_string_or(vm, "owner", "?"));
		table_cell(&t, "%lld", (long long)json_int_or(vm, "epoch", 0));
		table_cell(&t, "%s", json_string_or(vm, "profile", "?"));
		table_cell(&t, "%s", memory);
		table_cell(&t, "%s", ip[0] ? ip : "-");
	}
	table_print(&t, stdout);
}

int cmd_vm_list(struct cli *c, int argc, char **argv)
{
	struct cli_args a;
	json_t *vms = NULL;

	if (cli_parse(c, "vm list", argc, argv, NULL, 0, 0, &a) < 0)
		return EXIT_USAGE;
	int exit = http_call(c, "GET", "vms", NULL, &vms);
	if (exit)
		return exit;
	if (c->json)
		cli_print_json(vms);
	else if (!json_array_size(vms))
		puts("no VMs; `ferry vm create` makes one");
	else
		print_table(vms);
	json_decref(vms);
	return EXIT_DONE;
}
