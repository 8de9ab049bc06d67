// SPDX-License-Identifier: Apache-2.0
// `ferry history` and `ferry events`.
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "cli/http.h"
#include "cli/output.h"

static void put_cells(struct table *t, const char *const *texts)
{
	for (; *texts; texts++)
		table_cell(t, "%s", *texts);
}

static void print_history(const json_t *all)
{
	struct table t;
	json_t *m;
	size_t i;

	table_init(&t, 7);
	put_cells(&t, (const char *const[]){
			      "VM", "FROM", "TO", "MODE", "OUTCOME", "STUN", "TOTAL", NULL });
	json_array_foreach((json_t *)all, i, m)
	{
		put_cells(&t, (const char *const[]){ json_string_or(m, "vm", "?"),
				      json_string_or(m, "from", "?"), json_string_or(m, "to", "?"),
				      json_string_or(m, "mode", "?"),
				      json_string_or(m, "outcome", "?"), NULL });
		table_cell(&t, "%.0f ms", json_number_value(json_object_get(m, "stun_ms")));
		table_cell(&t, "%.1f s", json_number_value(json_object_get(m, "total_ms")) / 1000);
	}
	table_print(&t, stdout);
}

static void print_events(const json_t *all)
{
	json_t *event;
	size_t i;

	json_array_foreach((json_t *)all, i, event)
	{
		int64_t ns = json_int_or(event, "wall_ns", 0);
		time_t seconds = (time_t)(ns / 1000000000);
		char when[32], *data = json_dumps(json_object_get(event, "data"), JSON_COMPACT);
		struct tm tm;
		gmtime_r(&seconds, &tm);
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
		printf("%s.%03dZ %s %s %s\n", when, (int)(ns / 1000000 % 1000),
			json_string_or(event, "event", "?"), json_string_or(event, "vm", "-"),
			data ? data : "");
		free(data);
	}
}

static int show(
	struct cli *c, const char *what, int argc, char **argv, void (*print)(const json_t *all))
{
	const char *limit = NULL;
	const struct cli_option options[] = { { "limit", &limit, NULL }, { 0 } };
	struct cli_args a;
	char url[80];
	json_t *doc = NULL;

	if (cli_parse(c, what, argc, argv, options, 0, 0, &a) < 0)
		return EXIT_USAGE;
	if (limit &&
		(!limit[0] || strspn(limit, "0123456789") != strlen(limit) || strlen(limit) > 6))
		return cli_usage(what, "--limit %s is not a number", limit);
	snprintf(url, sizeof url, "%s%s%s", what, limit ? "?limit=" : "", limit ? limit : "");
	int exit = http_call(c, "GET", url, NULL, &doc);
	if (exit == 0 && c->json)
		cli_print_json(doc);
	else if (exit == 0)
		print(doc);
	json_decref(doc);
	return exit;
}

int cmd_history(struct cli *c, int argc, char **argv)
{
	return show(c, "history", argc, argv, print_history);
}

int cmd_events(struct cli *c, int argc, char **argv)
{
	return show(c, "events", argc, argv, print_events);
}
