// SPDX-License-Identifier: Apache-2.0
#include "base/cores.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int cores_hold(struct cores *c, unsigned core)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "ferry-vgpu/processor/%u", core);
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (core >= CPU_SETSIZE || CPU_ISSET(core, &c->set))
		return -EINVAL;
	if (fd < 0 || bind(fd, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) < 0)
		return -errno;
	CPU_SET(core, &c->set);
	c->fds[c->n++] = take_fd(fd);
	return 0;
}

int cores_take(struct cores *c, unsigned count, const cpu_set_t *of)
{
	const cpu_set_t before = c->set;
	unsigned got = 0;

	for (unsigned core = CPU_SETSIZE; core-- && got < count;)
		if (CPU_ISSET(core, of) && cores_hold(c, core) == 0)
			got++;
	if (got == count)
		return 0;
	while (got--)
		close(c->fds[--c->n]);
	c->set = before;
	return -EBUSY;
}

int cores_allowed(cpu_set_t *ret_mine, cpu_set_t *ret_all)
{
	cpu_set_t all;

	if (sched_getaffinity(0, sizeof *ret_mine, ret_mine) < 0)
		return -errno;
	memset(&all, 0xff, sizeof all);
	// The kernel takes away what the cpuset has not; it refuses only what leaves none.
	if (sched_setaffinity(0, sizeof all, &all) < 0 ||
		sched_getaffinity(0, sizeof *ret_all, ret_all) < 0 ||
		sched_setaffinity(0, sizeof *ret_mine, ret_mine) < 0)
		return -errno;
	return 0;
}

void cores_release(struct cores *c)
{
	while (c->n)
		close(c->fds[--c->n]);
	CPU_ZERO(&c->set);
}
