// SPDX-License-Identifier: Apache-2.0
// ferryd: the daemon of a host. It may be killed and started again at any time: VMs, their vGPUs
// and relays run on without it, and are found again.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "host/host.h"

static const char usage[] =
	"usage: ferryd --config FILE\n"
	"\n"
	"Runs the VMs of this host, answers `ferry` on STATE/ferryd.sock and other hosts on the\n"
	"configured address. FILE is JSON: host, state, listen, peers, guest, image, programs, "
	"faults,\n"
	"bandwidth, vgpu, env, settings. FERRY_LOG=debug|info|warn|error.\n";

static void on_signal(void *arg, int signo)
{
	log_info("signal %d: ending; VMs run on", signo);
	loop_stop(arg);
}

// One daemon per state folder: the lock lives as long as the process.
static int lock_state(struct ferry_error *e)
{
	int fd = open("ferryd.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return ferry_fail(e, errno, "file", "cannot open ferryd.lock: %m");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return ferry_fail(e, errno, "busy", "another ferryd uses this state folder");
	return 0;
}

static int enter_state(const struct config *c, struct ferry_error *e)
{
	int r = dir_make(c->state, e);

	if (r < 0)
		return r;
	if (chdir(c->state) < 0)
		return ferry_fail(e, errno, "file", "cannot enter %s: %m", c->state);
	return lock_state(e);
}

static int run(const struct config *c, struct ferry_error *e)
{
	struct loop *l = loop_new();
	struct host h;

	if (!l)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for the event loop");
	signal(SIGPIPE, SIG_IGN);
	loop_signal(l, SIGTERM, on_signal, l);
	loop_signal(l, SIGINT, on_signal, l);
	int r = host_open(&h, l, c, e);
	if (r == 0) {
		log_info("host %s is ready, listening on %s", c->host,
			c->listen[0] ? c->listen : "nothing");
		r = loop_run(l);
		host_close(&h);
		if (r < 0)
			ferry_fail(e, r, "loop", "the event loop failed: %s", strerror(-r));
	}
	loop_free(l);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	struct ferry_error e = FERRY_ERROR_INIT;
	const char *path = NULL;
	struct config c;
	int o;

	log_init("ferryd");
	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (o == 'c') {
			path = optarg;
		} else {
			fputs(usage, o == 'h' ? stdout : stderr);
			return o == 'h' ? 0 : 2;
		}
	}
	if (!path || optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	int r = config_load(path, &c, &e);
	if (r == 0) {
		r = enter_state(&c, &e);
		if (r == 0)
			r = run(&c, &e);
		config_free(&c);
	}
	if (r < 0)
		log_error("%s", e.message);
	return r < 0;
}
