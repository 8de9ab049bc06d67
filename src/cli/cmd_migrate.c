// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/display.h"
#include "cli/findings.h"
#include "cli/http.h"

static volatile sig_atomic_t interrupted;

struct state {
	struct cli *c;
	struct display display;
	const char *name;
	int exit; // of the result; -1 before it
	bool cancel_sent;
};

static void on_signal(int signo)
{
	interrupted = 1;
}

// Ctrl-C: the daemon is asked, and the result still comes over the first connection.
static void maybe_cancel(struct state *s)
{
	char url[256];
	json_t *doc = NULL;
	struct cli quiet = *s->c;

	if (!interrupted || s->cancel_sent)
		return;
	s->cancel_sent = true;
	if (!s->c->json)
		display_say(
			&s->display, "asking for the end of the migration; waiting for the result");
	vm_url(s->name, "cancel", url);
	quiet.json = false; // the error, if any, goes to standard error
	http_call(&quiet, "POST", url, json_object(), &doc);
	json_decref(doc);
}

static void on_line(void *arg, json_t *doc)
{
	struct state *s = arg;
	const json_t *progress = json_object_get(doc, "progress");

	if (!progress) {
		s->exit = (int)json_int_or(doc, "exit", EXIT_FAILED);
		json_object_del(
			doc, "exit"); // the status says it; the contract's object has no such field
	}
	if (s->c->json)
		cli_print_json(doc);
	else if (progress)
		display_progress(&s->display, progress);
	else
		display_result(&s->display, doc, s->exit);
	maybe_cancel(s);
}

static void on_tick(void *arg)
{
	maybe_cancel(arg);
}

static int add_number(json_t *body, const char *key, const char *option, const char *text)
{
	char *end;

	if (!text)
		return 0;
	errno = 0;
	long long n = strtoll(text, &end, 10);
	if (errno || end == text || *end || n < 0)
		return cli_usage("migrate", "--%s %s is not a number", option, text);
	json_object_set_new(body, key, json_integer(n));
	return 0;
}

static void add_text(json_t *body, const char *key, const char *text)
{
	if (text)
		json_object_set_new(body, key, json_string(text));
}

static int run(struct cli *c, const char *name, json_t *body)
{
	struct state s = { .c = c, .name = name, .exit = -1 };
	const struct http_stream stream = { on_line, on_tick, &s };
	struct sigaction action = { .sa_handler = on_signal };
	char url[256];

	display_init(&s.display, stdout, isatty(STDOUT_FILENO));
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	vm_url(name, "migrate", url);
	int exit = http_stream(c, "POST", url, body, &stream);
	return exit ? exit : s.exit >= 0 ? s.exit : EXIT_FAILED;
}

int cmd_migrate(struct cli *c, int argc, char **argv)
{
	const char *to = NULL, *mode = NULL, *target = NULL, *limit = NULL, *channels = NULL,
		   *bandwidth = NULL, *dedup = NULL;
	bool verify = false;
	const struct cli_option options[] = { { "to", &to, NULL }, { "mode", &mode, NULL },
		{ "target-stun", &target, NULL }, { "stun-limit", &limit, NULL },
		{ "channels", &channels, NULL }, { "bandwidth", &bandwidth, NULL },
		{ "dedup", &dedup, NULL }, { "verify", NULL, &verify }, { 0 } };
	struct cli_args a;

	if (cli_parse(c, "migrate", argc, argv, options, 1, 1, &a) < 0)
		return EXIT_USAGE;
	if (!to)
		return cli_usage("migrate", "--to is missing");
	json_t *body = json_pack("{s:s, s:b}", "to", to, "verify", verify);
	add_text(body, "mode", mode);
	add_text(body, "bandwidth", bandwidth);
	add_text(body, "dedup", dedup);
	if (add_number(body, "target_stun_ms", "target-stun", target) ||
		add_number(body, "stun_limit_s", "stun-limit", limit) ||
		add_number(body, "channels", "channels", channels)) {
		json_decref(body);
		return EXIT_USAGE;
	}
	return run(c, a.operands[0], body);
}
