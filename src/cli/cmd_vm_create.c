// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "cli/http.h"

// ferryd has another working directory: paths go to it absolute.
static int add_path(json_t *body, const char *key, const char *path)
{
	char full[PATH_MAX];

	if (!path)
		return 0;
	if (!realpath(path, full))
		return cli_usage("vm create", "--%s %s: %s", key, path, strerror(errno));
	json_object_set_new(body, key, json_string(full));
	return 0;
}

static int add_number(json_t *body, const char *key, const char *text)
{
	char *end;

	if (!text)
		return 0;
	long long n = strtoll(text, &end, 10);
	if (end == text || *end)
		return cli_usage("vm create", "--%s %s is not a number", key, text);
	json_object_set_new(body, key, json_integer(n));
	return 0;
}

int cmd_vm_create(struct cli *c, int argc, char **argv)
{
	const char *profile = NULL, *vgpus = NULL, *memory = NULL, *vcpus = NULL, *overlay = NULL,
		   *disk = NULL, *ports = NULL;
	struct cli_words devices = { 0 };
	const struct cli_option options[] = { { "profile", &profile, NULL },
		{ "vgpus", &vgpus, NULL }, { "ports", &ports, NULL }, { "memory", &memory, NULL },
		{ "vcpus", &vcpus, NULL }, { "overlay", &overlay, NULL }, { "disk", &disk, NULL },
		{ "device", .many = &devices }, { 0 } };
	struct cli_args a;
	json_t *vm = NULL;

	if (cli_parse(c, "vm create", argc, argv, options, 1, 1, &a) < 0)
		return EXIT_USAGE;
	if (!profile)
		return cli_usage("vm create", "--profile is missing");
	json_t *body = json_pack("{s:s, s:s}", "name", a.operands[0], "profile", profile);
	if (memory)
		json_object_set_new(body, "memory", json_string(memory));
	for (int i = 0; i < devices.n; i++) {
		if (!i)
			json_object_set_new(body, "devices", json_array());
		json_array_append_new(
			json_object_get(body, "devices"), json_string(devices.words[i]));
	}
	if (add_number(body, "vgpus", vgpus) || add_number(body, "ports", ports) ||
		add_number(body, "vcpus", vcpus) || add_path(body, "overlay", overlay) ||
		add_path(body, "disk", disk)) {
		json_decref(body);
		return EXIT_USAGE;
	}
	int exit = http_call(c, "POST", "vms", body, &vm);
	if (exit)
		return exit;
	if (c->json)
		cli_print_json(vm);
	else
		printf("VM '%s' created on host %s\n", a.operands[0],
			json_string_or(vm, "host", "?"));
	json_decref(vm);
	return EXIT_DONE;
}
