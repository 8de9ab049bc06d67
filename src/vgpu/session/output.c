// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/output.h"
#include "vgpu/gate/command.h"
#include "vgpu/session/port.h"
#include "vgpu/session/program.h"
#include "vgpu/session/session.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 16384

struct output {
	struct vgpu *v;
	int fd; // the pipe's end that is read
	struct watch *watch;
	bool dropping; // the guest does not read, and was told that something is missing
};

static void on_readable(void *arg, int fd, uint32_t events)
{
	struct output *o = arg;

	output_collect(o->v);
	ports_pump(o->v);
}

int output_new(struct vgpu *v, struct output **ret, struct ferry_error *e)
{
	struct output *o = calloc(1, sizeof *o);
	int pair[2];

	if (!o)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for the kernels' output");
	*o = (struct output){ .v = v, .fd = -1 };
	if (pipe2(pair, O_CLOEXEC) < 0) {
		free(o);
		return ferry_fail(e, errno, "no-pipe", "no pipe for the kernels' output");
	}
	o->fd = pair[0];
	int r = dup2(pair[1], STDOUT_FILENO) < 0 || fcntl(o->fd, F_SETFL, O_NONBLOCK) < 0 ? -errno
											  : 0;
	close(pair[1]);
	o->watch = r == 0 ? loop_fd(v->loop, o->fd, EPOLLIN, on_readable, o) : NULL;
	if (!o->watch) {
		output_free(o);
		return ferry_fail(e, EIO, "no-pipe", "the kernels' output cannot be read");
	}
	v->output = o;
	*ret = o;
	return 0;
}

void output_free(struct output *o)
{
	if (!o)
		return;
	watch_remove(o->watch);
	close(o->fd);
	free(o);
}

static void send_text(struct session *s, const char *text, size_t n)
{
	struct p_output m = { { (const uint8_t *)text, n } };

	p_put_output(port_out(s->port), 0, 0, &m);
}

// A guest that does not read must not hold its kernels up, nor fill our memory.
static void deliver(struct output *o, const char *text, size_t n)
{
	static const char lost[] = "\n[output of kernels was lost here]\n";
	struct session *s = o->v->printing.session;

	if (!s || !s->port) {
		log_debug("%zu bytes were printed for nobody", n);
		return;
	}
	if (port_backlog(s->port) < VGPU_BACKLOG) {
		o->dropping = false;
		send_text(s, text, n);
	} else if (!o->dropping) {
		o->dropping = true;
		send_text(s, lost, sizeof lost - 1);
	}
}

void output_collect(struct vgpu *v)
{
	struct output *o = v->output;
	char piece[PIECE];
	ssize_t n;

	while (o && (n = read(o->fd, piece, sizeof piece)) > 0)
		deliver(o, piece, (size_t)n);
}

// ---- turns

static bool prints(const struct command *c)
{
	return c->op == p_op_launch && c->u.launch.kernel &&
	       program_prints(c->u.launch.kernel->program);
}

bool printing_may_begin(const struct command *c)
{
	struct session *s = c->queue->o.session;
	struct printing *p = &s->v->printing;
	bool turn =
		p->launches ? p->session == s && !p->wanted : !(p->others_first && p->last == s);

	if (!s->v->output || !prints(c) || turn)
		return true;
	if (p->launches && p->session != s)
		p->wanted = true;
	return false;
}

void printing_begin(struct command *c)
{
	struct printing *p = &c->queue->v->printing;

	if (!c->queue->v->output || !prints(c))
		return;
	c->printing = true;
	p->session = c->queue->o.session;
	p->others_first = false;
	p->launches++;
}

void printing_end(struct command *c)
{
	struct vgpu *v = c->queue->v;
	struct printing *p = &v->printing;

	if (!c->printing)
		return;
	c->printing = false;
	if (--p->launches)
		return;
	p->last = p->session;
	p->session = NULL;
	p->others_first = p->wanted;
	p->wanted = false;
	v->recheck = true;
}
