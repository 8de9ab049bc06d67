// SPDX-License-Identifier: Apache-2.0
// `ferry vm set` and `ferry vm get`.
#include <stdio.h>
#include <string.h>
#include "cli/http.h"
#include "cli/output.h"

static const json_t *find(const json_t *settings, const char *key)
{
	json_t *s;
	size_t i;

	json_array_foreach(
		(json_t *)settings, i, s) if (!strcmp(json_string_or(s, "key", ""), key)) return s;
	return NULL;
}

static void print_all(const json_t *settings)
{
	struct table t;
	json_t *s;
	size_t i;

	table_init(&t, 4);
	for (const char *const *h = (const char *const[]){ "KEY", "VALUE", "FROM", "WHAT", NULL };
		*h; h++)
		table_cell(&t, "%s", *h);
	json_array_foreach((json_t *)settings, i, s)
	{
		const char *unit = json_string_or(s, "unit", "");
		bool with_unit = unit[0] && strcmp(unit, "bytes/s");
		table_cell(&t, "%s", json_string_or(s, "key", ""));
		table_cell(&t, "%s%s%s", json_string_or(s, "value", ""), with_unit ? " " : "",
			with_unit ? unit : "");
		table_cell(&t, "%s", json_string_or(s, "from", ""));
		table_cell(&t, "%s", json_string_or(s, "help", ""));
	}
	table_print(&t, stdout);
}

int cmd_vm_set(struct cli *c, int argc, char **argv)
{
	struct cli_args a;
	char url[256], key[80];
	json_t *doc = NULL;

	if (cli_parse(c, "vm set", argc, argv, NULL, 2, 2, &a) < 0)
		return EXIT_USAGE;
	const char *equals = strchr(a.operands[1], '=');
	if (!equals || equals == a.operands[1] || equals - a.operands[1] >= (int)sizeof key)
		return cli_usage("vm set", "'%s' is not KEY=VALUE", a.operands[1]);
	snprintf(key, sizeof key, "%.*s", (int)(equals - a.operands[1]), a.operands[1]);
	json_t *body = json_object();
	json_object_set_new(body, key, equals[1] ? json_string(equals + 1) : json_null());
	vm_url(a.operands[0], "settings", url);
	int exit = http_call(c, "PUT", url, body, &doc);
	if (exit)
		return exit;
	const json_t *s = find(doc, key);
	if (c->json)
		cli_print_json(s);
	else
		printf("%s is %s (from %s)\n", key, json_string_or(s, "value", "?"),
			json_string_or(s, "from", "?"));
	json_decref(doc);
	return EXIT_DONE;
}

int cmd_vm_get(struct cli *c, int argc, char **argv)
{
	struct cli_args a;
	char url[256];
	json_t *doc = NULL;

	if (cli_parse(c, "vm get", argc, argv, NULL, 1, 2, &a) < 0)
		return EXIT_USAGE;
	vm_url(a.operands[0], "settings", url);
	int exit = http_call(c, "GET", url, NULL, &doc);
	if (exit)
		return exit;
	const json_t *one = a.n == 2 ? find(doc, a.operands[1]) : NULL;
	if (a.n == 2 && !one)
		exit = cli_usage("vm get",
			"there is no setting '%s'; `ferry help settings` lists them",
			a.operands[1]);
	else if (c->json)
		cli_print_json(one ? one : doc);
	else if (one)
		puts(json_string_or(one, "value", ""));
	else
		print_all(doc);
	json_decref(doc);
	return exit;
}
