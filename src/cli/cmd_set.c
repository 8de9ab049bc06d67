// SPDX-License-Identifier: Apache-2.0
// `ferry vm set` and `ferry vm get`, and the same of a host: `ferry host set`, `ferry host get`.
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

static int set(struct cli *c, const char *command, const char *url, const char *pair)
{
	const char *equals = strchr(pair, '=');
	char key[80];
	json_t *doc = NULL;

	if (!equals || equals == pair || equals - pair >= (int)sizeof key)
		return cli_usage(command, "'%s' is not KEY=VALUE", pair);
	snprintf(key, sizeof key, "%.*s", (int)(equals - pair), pair);
	json_t *body = json_object();
	json_object_set_new(body, key, equals[1] ? json_string(equals + 1) : json_null());
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

// `key` may be NULL: all.
static int get(struct cli *c, const char *command, const char *url, const char *key)
{
	json_t *doc = NULL;
	int exit = http_call(c, "GET", url, NULL, &doc);

	if (exit)
		return exit;
	const json_t *one = key ? find(doc, key) : NULL;
	if (key && !one)
		exit = cli_usage(
			command, "there is no setting '%s'; `ferry help settings` lists them", key);
	else if (c->json)
		cli_print_json(one ? one : doc);
	else if (one)
		puts(json_string_or(one, "value", ""));
	else
		print_all(doc);
	json_decref(doc);
	return exit;
}

int cmd_vm_set(struct cli *c, int argc, char **argv)
{
	struct cli_args a;
	char url[256];

	if (cli_parse(c, "vm set", argc, argv, NULL, 2, 2, &a) < 0)
		return EXIT_USAGE;
	vm_url(a.operands[0], "settings", url);
	return set(c, "vm set", url, a.operands[1]);
}

int cmd_vm_get(struct cli *c, int argc, char **argv)
{
	struct cli_args a;
	char url[256];

	if (cli_parse(c, "vm get", argc, argv, NULL, 1, 2, &a) < 0)
		return EXIT_USAGE;
	vm_url(a.operands[0], "settings", url);
	return get(c, "vm get", url, a.n == 2 ? a.operands[1] : NULL);
}

int cmd_host_set(struct cli *c, int argc, char **argv)
{
	struct cli_args a;

	if (cli_parse(c, "host set", argc, argv, NULL, 1, 1, &a) < 0)
		return EXIT_USAGE;
	return set(c, "host set", "settings", a.operands[0]);
}

int cmd_host_get(struct cli *c, int argc, char **argv)
{
	struct cli_args a;

	if (cli_parse(c, "host get", argc, argv, NULL, 0, 1, &a) < 0)
		return EXIT_USAGE;
	return get(c, "host get", "settings", a.n == 1 ? a.operands[0] : NULL);
}
