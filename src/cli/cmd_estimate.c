// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include "base/units.h"
#include "cli/http.h"

static void print_estimate(const json_t *e)
{
	char allocated[16], dirty[16], rate[16];

	size_format((uint64_t)json_int_or(e, "allocated_bytes", 0), allocated, sizeof allocated);
	rate_format((double)json_int_or(e, "dirty_bytes_per_s", 0), dirty, sizeof dirty);
	rate_format((double)json_int_or(e, "rate_bytes_per_s", 0), rate, sizeof rate);
	printf("about %.1f s in all, paused for about %.0f ms\n",
		json_number_value(json_object_get(e, "total_ms")) / 1000,
		json_number_value(json_object_get(e, "stun_ms")));
	printf("%s of GPU memory, written at %s; the link carries %s%s\n", allocated, dirty, rate,
		json_bool_or(e, "rate_measured", false) ? " (measured)" : " (assumed)");
}

int cmd_estimate(struct cli *c, int argc, char **argv)
{
	const char *to = NULL, *mode = NULL;
	const struct cli_option options[] = { { "to", &to, NULL }, { "mode", &mode, NULL }, { 0 } };
	struct cli_args a;
	char url[256];
	json_t *doc = NULL;

	if (cli_parse(c, "estimate", argc, argv, options, 1, 1, &a) < 0)
		return EXIT_USAGE;
	if (!to)
		return cli_usage("estimate", "--to is missing");
	json_t *body = json_pack("{s:s}", "to", to);
	if (mode)
		json_object_set_new(body, "mode", json_string(mode));
	vm_url(a.operands[0], "estimate", url);
	int exit = http_call(c, "POST", url, body, &doc);
	if (exit == 0 && c->json)
		cli_print_json(doc);
	else if (exit == 0)
		print_estimate(doc);
	json_decref(doc);
	return exit;
}
