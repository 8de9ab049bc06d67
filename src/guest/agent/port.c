// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/port.h"
#include "base/cleanup.h"
#include "base/socket.h"
#include "guest/agent/request.h"

#include <errno.h>
#include <string.h>

// A frame of this size stays whole in virtio_console.
#define WRITE_MAX 32768
// Requests wait while this much of answers has not gone out.
#define OUT_HIGH (256u << 10)

struct agent_port {
	struct loop *loop;
	int fd;
	struct watch *watch;
	struct jobs *jobs;
	struct buf in, out;
	bool skipping; // the rest of a line that was too long
};

// The host went: what was half said is void, on both sides.
static void forget(struct agent_port *p)
{
	buf_reset(&p->in);
	buf_reset(&p->out);
	p->skipping = false;
}

static void take_lines(struct agent_port *p)
{
	uint8_t *end;

	while (p->in.len && (end = memchr(p->in.data, '\n', p->in.len))) {
		size_t n = (size_t)(end - p->in.data);
		if (!p->skipping)
			agent_request(p->jobs, (char *)p->in.data, n, &p->out);
		p->skipping = false;
		buf_consume(&p->in, n + 1);
	}
	if (p->in.len >= AGENT_LINE_MAX) {
		p->skipping = true;
		buf_reset(&p->in);
	}
}

static void write_out(struct agent_port *p)
{
	while (p->out.len) {
		size_t n = p->out.len < WRITE_MAX ? p->out.len : WRITE_MAX;
		ssize_t w = write(p->fd, p->out.data, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && errno != EAGAIN)
			forget(p);
		if (w <= 0)
			return;
		buf_consume(&p->out, (size_t)w);
	}
}

// Reads until nothing is left, the host is away, or answers pile up.
static void read_in(struct agent_port *p)
{
	while (p->out.len < OUT_HIGH) {
		uint8_t *at = buf_reserve(&p->in, 65536);
		ssize_t n = at ? read(p->fd, at, 65536) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			forget(p);
		if (n <= 0)
			return;
		p->in.len += (size_t)n;
		take_lines(p);
		write_out(p);
	}
}

// Edge-triggered: a port whose host is away reports EPOLLHUP without end, but wakes its waiters when
// the host comes, when bytes come, and when it can take more (drivers/char/virtio_console.c).
static void on_port(void *arg, int fd, uint32_t events)
{
	struct agent_port *p = arg;

	write_out(p);
	read_in(p);
}

struct agent_port *agent_port_new(struct loop *l, int fd, struct jobs *jobs)
{
	struct agent_port *p = calloc(1, sizeof *p);

	if (!p) {
		close(fd);
		return NULL;
	}
	*p = (struct agent_port){ .loop = l, .fd = fd, .jobs = jobs };
	fd_set_nonblocking(fd, 1);
	p->watch = loop_fd(l, fd, EPOLLIN | EPOLLOUT | EPOLLET, on_port, p);
	return p->watch ? p : agent_port_free(p);
}

struct agent_port *agent_port_free(struct agent_port *p)
{
	if (!p)
		return NULL;
	watch_remove(p->watch);
	close(p->fd);
	buf_free(&p->in);
	buf_free(&p->out);
	free(p);
	return NULL;
}
