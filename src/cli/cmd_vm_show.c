// SPDX-License-Identifier: Apache-2.0
// `ferry vm show` and `ferry vm log`.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/units.h"
#include "cli/http.h"
#include "cli/output.h"

static void row(struct table *t, const char *key, const char *value)
{
	table_cell(t, "%s", key);
	table_cell(t, "%s", value && value[0] ? value : "-");
}

static void print_vm(const json_t *vm)
{
	struct table t;
	char text[120], size[16], huge[16];
	int64_t lost = 0;
	json_t *g;
	size_t i;

	table_init(&t, 2);
	row(&t, "name", json_string_or(vm, "name", ""));
	row(&t, "state", json_string_or(vm, "state", ""));
	snprintf(text, sizeof text, "%lld", (long long)json_int_or(vm, "epoch", 0));
	row(&t, "epoch", text);
	row(&t, "owner", json_string_or(vm, "owner", ""));
	snprintf(text, sizeof text, "%s x %lld", json_string_or(vm, "profile", "?"),
		(long long)json_int_or(vm, "vgpus", 0));
	row(&t, "profile", text);
	size_format((uint64_t)json_int_or(vm, "memory_bytes", 0), size, sizeof size);
	snprintf(text, sizeof text, "%s, %lld vCPU", size, (long long)json_int_or(vm, "vcpus", 0));
	row(&t, "memory", text);
	row(&t, "address", json_string_or(vm, "ip", ""));
	row(&t, "disk", json_string_or(vm, "disk", ""));
	row(&t, "overlay", json_string_or(vm, "overlay", ""));
	snprintf(text, sizeof text, "%lld", (long long)json_int_or(vm, "qemu_pid", 0));
	row(&t, "QEMU", json_int_or(vm, "qemu_pid", 0) ? text : "");
	json_array_foreach(json_object_get(vm, "vgpu_processes"), i, g)
	{
		char key[40];
		snprintf(key, sizeof key, "ferry-vgpu %zu", i);
		size_format((uint64_t)json_int_or(g, "allocated_bytes", 0), size, sizeof size);
		size_format((uint64_t)json_int_or(g, "huge_bytes", 0), huge, sizeof huge);
		snprintf(text, sizeof text,
			"%lld, tracker %s, %s in use by %lld programs, %s in huge pages",
			(long long)json_int_or(g, "pid", 0), json_string_or(g, "tracker", "?"),
			size, (long long)json_int_or(g, "sessions", 0), huge);
		bool away = json_bool_or(g, "away", false);
		row(&t, key,
			away                       ? "ended by itself, is being replaced"
			: json_int_or(g, "pid", 0) ? text
						   : "");
		lost += json_int_or(g, "lost", 0);
	}
	snprintf(text, sizeof text, "%lld", (long long)lost);
	if (lost)
		row(&t, "vGPUs lost", text);
	row(&t, "log", json_string_or(vm, "log", ""));
	table_print(&t, stdout);
}

static int get_vm(struct cli *c, const char *command, int argc, char **argv, json_t **ret)
{
	struct cli_args a;
	char url[256];

	if (cli_parse(c, command, argc, argv, NULL, 1, 1, &a) < 0)
		return EXIT_USAGE;
	vm_url(a.operands[0], "", url);
	return http_call(c, "GET", url, NULL, ret);
}

int cmd_vm_show(struct cli *c, int argc, char **argv)
{
	json_t *vm = NULL;
	int exit = get_vm(c, "vm show", argc, argv, &vm);

	if (exit)
		return exit;
	if (c->json)
		cli_print_json(vm);
	else
		print_vm(vm);
	json_decref(vm);
	return EXIT_DONE;
}

static int print_log(struct cli *c, const char *path)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	char line[2048];
	FILE *f = fopen(path, "re");

	if (!f) {
		ferry_fail(&e, errno, "file", "cannot read %s: %m", path);
		return cli_error(c, &e, EXIT_FAILED);
	}
	while (fgets(line, sizeof line, f)) {
		if (c->json) {
			line[strcspn(line, "\n")] = 0;
			_cleanup_json_ json_t *doc = json_pack("{s:s}", "line", line);
			cli_print_json(doc);
		} else {
			fputs(line, stdout);
		}
	}
	fclose(f);
	return EXIT_DONE;
}

int cmd_vm_log(struct cli *c, int argc, char **argv)
{
	json_t *vm = NULL;
	int exit = get_vm(c, "vm log", argc, argv, &vm);

	if (exit)
		return exit;
	exit = print_log(c, json_string_or(vm, "log", ""));
	json_decref(vm);
	return exit;
}
