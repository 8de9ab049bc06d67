// SPDX-License-Identifier: Apache-2.0
// ferry-relay: carries QEMU's migration stream between QEMU and the other host.
#include "base/cleanup.h"
#include "base/log.h"
#include "relay/relay.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char usage[] = "usage: ferry-relay --control PATH --role source|destination "
			    "--stream PATH [--bandwidth BYTES_PER_S]\n";

static int parse(int argc, char **argv, struct relay_options *o)
{
	static const struct option options[] = { { "control", required_argument, NULL, 'c' },
		{ "role", required_argument, NULL, 'r' },
		{ "stream", required_argument, NULL, 's' },
		{ "bandwidth", required_argument, NULL, 'b' }, { 0 } };
	const char *role = "";
	char *end = "";
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			o->control = optarg;
		else if (c == 'r')
			role = optarg;
		else if (c == 's')
			o->stream = optarg;
		else if (c == 'b' && *optarg >= '0' && *optarg <= '9')
			o->bandwidth = strtoull(optarg, &end, 10);
		else
			return -EINVAL;
	}
	o->role = strcmp(role, "source") ? RELAY_DESTINATION : RELAY_SOURCE;
	if (o->role == RELAY_DESTINATION && strcmp(role, "destination"))
		return -EINVAL;
	return !o->control || !o->stream || *end || optind < argc ? -EINVAL : 0;
}

static void on_signal(void *arg, int signo)
{
	*(bool *)arg = true;
}

int main(int argc, char **argv)
{
	struct relay_options o = { 0 };
	struct ferry_error e = FERRY_ERROR_INIT;
	bool ended = false;

	log_init("ferry-relay");
	if (parse(argc, argv, &o) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	struct loop *l = loop_new();
	if (!l || !loop_signal(l, SIGTERM, on_signal, &ended) ||
		!loop_signal(l, SIGINT, on_signal, &ended)) {
		log_error("cannot start: %s", strerror(errno));
		return 1;
	}
	struct relay *r = relay_new(l, &o, &e);
	if (!r)
		log_error("%s", e.message);
	while (r && !ended && !relay_done(r) && loop_once(l, -1) == 0)
		;
	relay_free(r);
	loop_free(l);
	return r ? 0 : 1;
}
