// SPDX-License-Identifier: Apache-2.0
// ferry-agent: runs programs in the guest for the host. Started by /init, again when it ends.
#include "base/cleanup.h"
#include "base/log.h"
#include "guest/agent/links.h"
#include "guest/agent/port.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define PORT "/dev/virtio-ports/ferry.agent"

struct agent {
	struct loop *loop;
	struct jobs jobs;
	struct agent_port *port;
	const char *path;
};

static void open_port(struct agent *a)
{
	if (a->port)
		return;
	int fd = open(a->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		a->port = agent_port_new(a->loop, fd, &a->jobs);
	else if (errno != ENOENT)
		log_error("cannot open %s: %s", a->path, strerror(errno));
}

static void on_devices(void *arg, int fd, uint32_t events)
{
	if (!agent_links_changed(fd))
		return;
	agent_links_make("/sys/class/virtio-ports", "/dev");
	open_port(arg);
}

int main(int argc, char **argv)
{
	struct agent a = { .path = argc > 1 ? argv[1] : PORT };

	log_init("ferry-agent");
	if (argc > 2 || (argc == 2 && argv[1][0] != '/')) {
		fputs("usage: ferry-agent [PORT]\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	a.loop = loop_new();
	int devices = agent_links_watch();
	if (!a.loop || devices < 0 || !loop_fd(a.loop, devices, EPOLLIN, on_devices, &a)) {
		log_error("cannot start: %s", strerror(devices < 0 ? -devices : ENOMEM));
		return 1;
	}
	jobs_init(&a.jobs, a.loop);
	agent_links_make("/sys/class/virtio-ports", "/dev");
	open_port(&a);
	int r = loop_run(a.loop);
	agent_port_free(a.port);
	jobs_free(&a.jobs);
	loop_free(a.loop);
	return r < 0;
}
