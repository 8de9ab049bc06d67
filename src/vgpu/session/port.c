// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/port.h"
#include "vgpu/session/queue.h"
#include "vgpu/session/session.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/socket.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_CHUNK   (256u << 10)
#define READ_AT_ONCE (2u << 20) // of one port before others get their turn

static void on_ready(void *arg, int fd, uint32_t events);

static int take_index(struct vgpu *v, size_t index, struct port *p)
{
	while (index < v->n_ports && v->ports[index])
		index++;
	if (index >= v->n_ports) {
		struct port **ports = realloc(v->ports, (index + 1) * sizeof(struct port *));
		if (!ports)
			return -ENOMEM;
		memset(ports + v->n_ports, 0, (index + 1 - v->n_ports) * sizeof(struct port *));
		v->ports = ports;
		v->n_ports = index + 1;
	}
	v->ports[index] = p;
	p->index = index;
	return 0;
}

int port_new(
	struct vgpu *v, size_t index, int fd, int qemu_fd, struct port **ret, struct ferry_error *e)
{
	struct port *p = calloc(1, sizeof *p);
	int r = fd_set_nonblocking(fd, 1);

	if (p)
		*p = (struct port){ .v = v, .fd = fd, .qemu_fd = qemu_fd, .pass_fd = -1 };
	if (p && r == 0)
		p->watch = loop_fd(v->loop, fd, EPOLLIN, on_ready, p);
	if (!p || r < 0 || !p->watch || take_index(v, index, p) < 0) {
		close(fd);
		if (qemu_fd >= 0)
			close(qemu_fd);
		if (p)
			watch_remove(p->watch);
		free(p);
		return ferry_fail(e, r ? r : ENOMEM, "bad-port", "port %zu cannot be used", index);
	}
	*ret = p;
	return 0;
}

struct port *port_free(struct port *p)
{
	if (!p)
		return NULL;
	if (p->session)
		session_end(p->session);
	watch_remove(p->watch);
	close(p->fd);
	if (p->qemu_fd >= 0)
		close(p->qemu_fd);
	p->v->ports[p->index] = NULL;
	buf_free(&p->in);
	buf_free(&p->out);
	free(p);
	return NULL;
}

// The other side has gone. A VM's port stays, for its state; a local program's goes.
static void disconnect(struct port *p)
{
	p->closed = true;
	watch_remove(p->watch);
	p->watch = NULL;
	if (p->session)
		session_end(p->session);
	p->over = p->qemu_fd < 0;
}

// ---- to the guest

struct buf *port_out(struct port *p)
{
	return &p->out;
}

size_t port_backlog(const struct port *p)
{
	return p->out.len - p->out_at;
}

static void want_out(struct port *p, bool wanted)
{
	if (p->wants_out == wanted || !p->watch)
		return;
	if (watch_set_events(p->watch, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN) == 0)
		p->wants_out = wanted;
}

void port_pass_fd(struct port *p, int fd)
{
	p->pass_fd = fd;
}

// With the descriptor that waits.
static ssize_t send_some(struct port *p)
{
	ssize_t n = socket_send_fds(
		p->fd, p->out.data + p->out_at, port_backlog(p), &p->pass_fd, p->pass_fd >= 0);

	if (n > 0)
		p->pass_fd = -1;
	return n;
}

void port_flush(struct port *p)
{
	while (port_backlog(p) && !p->v->ports_held && !p->closed) {
		ssize_t n = send_some(p);
		if (n < 0)
			break; // full: EPOLLOUT; broken: reading will tell
		p->out_at += (size_t)n;
	}
	if (!port_backlog(p)) {
		buf_reset(&p->out);
		p->out_at = 0;
	} else if (p->out_at > (1u << 20)) {
		buf_consume(&p->out, p->out_at);
		p->out_at = 0;
	}
	want_out(p, port_backlog(p) && !p->v->ports_held);
}

// ---- from the guest

static size_t unread(const struct port *p)
{
	return p->in.len - p->in_at;
}

static bool is_hello(const uint8_t *frame)
{
	struct rd r = rd_make(frame, PROTO_HEADER);
	uint32_t length = rd_u32(&r);

	return rd_u16(&r) == p_op_hello && length >= PROTO_HEADER && length <= PROTO_FRAME_MAX;
}

// Drops what comes before a hello: its frame's op and magic.
static bool find_hello(struct port *p)
{
	const uint64_t magic = htole64(PROTO_HELLO_MAGIC);
	const size_t head = PROTO_HEADER + sizeof magic;

	while (unread(p) >= head) {
		const uint8_t *from = p->in.data + p->in_at;
		const uint8_t *at =
			memmem(from + PROTO_HEADER, unread(p) - PROTO_HEADER, &magic, sizeof magic);
		p->in_at = at ? (size_t)(at - p->in.data) - PROTO_HEADER : p->in.len - head + 1;
		if (at && is_hello(at - PROTO_HEADER)) {
			p->searching = false;
			return true;
		}
		p->in_at += at != NULL;
	}
	return false;
}

// A local program that has no session gets what was said to it, and its end.
static void hang_up(struct port *p)
{
	if (p->qemu_fd >= 0)
		return;
	port_flush(p);
	disconnect(p);
}

static void hello(struct port *p, const struct p_frame *f)
{
	struct p_hello m;

	if (p->session)
		session_end(p->session);
	if (p_get_hello(f, &m) < 0 || m.magic != PROTO_HELLO_MAGIC) {
		log_warn("port %zu: a malformed hello", p->index);
		p->searching = true;
		return;
	}
	if (session_new(p, &m, f->flags & P_SHARE, &p->session) < 0)
		log_warn("port %zu: no memory for a session", p->index);
	else if (!p->session)
		hang_up(p);
}

static void breach(struct port *p, const char *why)
{
	struct session *s = p->session;

	log_warn("port %zu: process %s (pid %u) broke the protocol: %s", p->index,
		s ? s->process : "?", s ? s->pid : 0, why);
	if (s) {
		session_failed(s, 0, CL_DEVICE_NOT_AVAILABLE);
		session_end(s);
	}
	p->searching = true;
	hang_up(p);
}

static void frame(struct port *p, const struct p_frame *f)
{
	if (f->op == p_op_hello)
		hello(p, f);
	else if (session_frame(p->session, f) < 0)
		breach(p, p->session->breach);
}

// What a process sends before its hello: the one before is gone (protocol.h). A port without a session
// waits for a hello anyway.
static void look_for_end(struct port *p)
{
	static const uint8_t zeros[4];

	if (p->session && p->qemu_fd >= 0 && unread(p) >= sizeof zeros &&
		!memcmp(p->in.data + p->in_at, zeros, sizeof zeros))
		session_end(p->session);
	if (!p->session)
		p->searching = true;
}

static void compact(struct port *p)
{
	if (p->in_at == p->in.len)
		buf_reset(&p->in);
	else
		buf_consume(&p->in, p->in_at);
	p->in_at = 0;
}

// More of its messages would make more answers than anybody reads, or than there is memory for.
static bool must_wait(const struct port *p)
{
	return port_backlog(p) >= VGPU_BACKLOG || (p->session && session_is_busy(p->session));
}

void port_parse(struct port *p)
{
	struct p_frame f;
	int r = 1;

	while (r > 0 && !p->closed && !p->v->gate_closed && !must_wait(p)) {
		look_for_end(p);
		if (p->searching && !find_hello(p))
			break;
		r = p_frame_next(p->in.data + p->in_at, unread(p), &f);
		if (r > 0) {
			p->in_at += f.length;
			frame(p, &f);
		} else if (r < 0) {
			breach(p, "a frame of an impossible length");
			r = 1;
		}
	}
	p->stalled = r > 0 && unread(p) && must_wait(p);
	compact(p);
	if (unread(p) > PORT_UNREAD_MAX)
		breach(p, "more bytes than its credit");
}

// One recv(2): bytes, 0 at the end, -EAGAIN when there is no more.
static ssize_t receive(struct port *p)
{
	uint8_t *to = buf_reserve(&p->in, READ_CHUNK);

	if (!to)
		return -ENOMEM;
	ssize_t n = recv(p->fd, to, READ_CHUNK, 0);
	if (n < 0)
		return -errno;
	p->in.len += (size_t)n;
	return n;
}

// A turn of one port: reads and acts on what was read.
static void take_turn(struct port *p)
{
	size_t total = 0;
	ssize_t n = 0;

	while (total < READ_AT_ONCE && (n = receive(p)) > 0) {
		total += (size_t)n;
		port_parse(p);
		if (p->closed || n < (ssize_t)READ_CHUNK)
			break;
	}
	if (!p->closed && (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR)))
		disconnect(p);
}

static void on_ready(void *arg, int fd, uint32_t events)
{
	struct port *p = arg;
	struct vgpu *v = p->v;

	take_turn(p);
	ports_pump(v);
}

// What it did not read is dropped too: the next process looks for the answer to its own hello, and
// we look for that hello: the last frame of a process that was killed may lack its end.
static void end_gone(struct port *p)
{
	log_debug("port %zu: process %s (pid %u) has closed it", p->index, p->session->process,
		p->session->pid);
	session_end(p->session);
	buf_reset(&p->out);
	p->out_at = 0;
	want_out(p, false);
	p->searching = true;
	port_parse(p);
}

uint64_t port_closed(struct port *p, uint64_t session)
{
	take_turn(p);
	if (session && p->session && p->session->o.serial == session)
		end_gone(p);
	ports_pump(p->v);
	return p->session ? p->session->o.serial : 0;
}

// Writes; what waited for less to be unsent goes on.
static void pump(struct port *p)
{
	if (port_backlog(p))
		port_flush(p);
	if (p->starved && port_backlog(p) < VGPU_ANSWER_AHEAD / 2) {
		p->starved = false;
		p->v->recheck = true;
	}
	if (p->stalled && port_backlog(p) < VGPU_BACKLOG / 2)
		port_parse(p);
}

void ports_pump(struct vgpu *v)
{
	do {
		queues_kick(v);
		for (size_t i = 0; i < v->n_ports; i++) {
			if (v->ports[i] && v->ports[i]->over)
				port_free(v->ports[i]);
			else if (v->ports[i])
				pump(v->ports[i]);
		}
	} while ((v->recheck || v->dirty) && !v->gate_closed);
}

// ---- at a switch

ssize_t port_drain(struct port *p)
{
	size_t total = 0;
	ssize_t n;

	if (p->closed)
		return 0;
	while ((n = receive(p)) > 0)
		total += (size_t)n;
	return n == 0 || n == -EAGAIN ? (ssize_t)total : n;
}

ssize_t port_take_back(struct port *p)
{
	_cleanup_buf_ struct buf taken = { 0 };
	ssize_t n;

	if (p->qemu_fd < 0)
		return 0;
	do {
		uint8_t *to = buf_reserve(&taken, READ_CHUNK);
		if (!to)
			return -ENOMEM;
		n = recv(p->qemu_fd, to, READ_CHUNK, MSG_DONTWAIT);
		if (n > 0)
			taken.len += (size_t)n;
	} while (n > 0);
	if (n < 0 && errno != EAGAIN)
		return -errno;
	ssize_t bytes = (ssize_t)taken.len;
	buf_put(&taken, p->out.data + p->out_at, port_backlog(p));
	if (taken.failed)
		return -ENOMEM;
	buf_free(&p->out);
	p->out = taken;
	p->out_at = 0;
	taken = (struct buf){ 0 };
	return bytes;
}
