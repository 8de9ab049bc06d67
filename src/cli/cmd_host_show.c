// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include "base/units.h"
#include "cli/http.h"

static void print_host(const json_t *h)
{
	int64_t cap = json_int_or(h, "memory_bytes", 0);
	char memory[16], given[16], all[16];
	const char *name;
	json_t *address;

	size_format((uint64_t)json_int_or(h, "available_bytes", 0), memory, sizeof memory);
	printf("host %s, ferryd %s, QEMU %s (%s)\n", json_string_or(h, "host", "?"),
		json_string_or(h, "version", "?"), json_string_or(h, "qemu_version", "none"),
		json_string_or(h, "machine", "?"));
	size_format((uint64_t)json_int_or(h, "given_bytes", 0), given, sizeof given);
	size_format((uint64_t)cap, all, sizeof all);
	printf("accelerator %s: %s\n", json_string_or(h, "accelerator", "?"),
		json_string_or(h, "accelerator_reason", ""));
	printf("tracker %s, %s of memory free, VMs have %s%s%s\n",
		json_string_or(h, "tracker", "?"), memory, given, cap ? " of at most " : "",
		cap ? all : "");
	json_object_foreach(json_object_get(h, "peers"), name, address)
		printf("peer %s at %s\n", name, json_string_value(address));
}

int cmd_host_show(struct cli *c, int argc, char **argv)
{
	struct cli_args a;
	json_t *doc = NULL;

	if (cli_parse(c, "host show", argc, argv, NULL, 0, 0, &a) < 0)
		return EXIT_USAGE;
	int exit = http_call(c, "GET", "host", NULL, &doc);
	if (exit == 0 && c->json)
		cli_print_json(doc);
	else if (exit == 0)
		print_host(doc);
	json_decref(doc);
	return exit;
}
