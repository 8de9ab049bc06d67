// SPDX-License-Identifier: Apache-2.0
#include "pages/page_huge.h"
#include "vgpu/control/describe.h"
#include "vgpu/control/control_private.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VERSION 1 // of the control protocol

// ---- answers

void control_answer(struct control *c, int64_t id, json_t *ok)
{
	if (c->link && id >= 0)
		link_answer(c->link, id, ok);
	else
		json_decref(ok);
}

void control_refuse(struct control *c, int64_t id, const struct ferry_error *e)
{
	if (c->link && id >= 0)
		link_refuse(c->link, id, e);
}

void control_event(struct control *c, const char *event, json_t *message)
{
	if (c->link)
		link_event(c->link, event, message);
	else
		json_decref(message);
}

// ---- states

static const char *const state_names[CONTROL_STATES] = {
	[CONTROL_ACTIVE] = "active",
	[CONTROL_GATED] = "gated",
	[CONTROL_INCOMING] = "incoming",
	[CONTROL_RECEIVED] = "received",
	[CONTROL_FROZEN] = "frozen",
};

const char *control_state_name(enum control_state s)
{
	return state_names[s];
}

void control_set_state(struct control *c, enum control_state to, const char *why)
{
	if (c->state == to)
		return;
	log_info("%s -> %s (%s; %zu sessions)", state_names[c->state], state_names[to], why,
		c->v->n_sessions);
	c->state = to;
}

// ---- operations that only look

static void on_hello(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	control_answer(c, id,
		json_pack("{s:i, s:s, s:s, s:s, s:i, s:I, s:I, s:o, s:i}", "version", VERSION,
			"state", state_names[c->state], "tracker", c->tracker->name,
			"tracker_reason", c->tracker_reason, "page_bytes", (int)PAGE_BYTES,
			"memory_bytes", (json_int_t)c->v->memory_bytes, "space_bytes",
			(json_int_t)(page_space_pages(c->v->space) * PAGE_BYTES), "device",
			describe_device(c->v->be), "ports", (int)c->o->ports));
}

static void on_status(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	const struct vgpu *v = c->v;

	control_answer(c, id,
		json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "state", state_names[c->state],
			"allocated_bytes", (json_int_t)page_space_allocated_bytes(v->space),
			"huge_bytes", (json_int_t)page_huge_bytes(v->space), "svm_bytes",
			(json_int_t)v->svm_bytes, "sessions", (json_int_t)v->n_sessions, "pending",
			(json_int_t)(v->n_commands - v->in_flight), "in_flight",
			(json_int_t)v->in_flight));
}

static void on_quit(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	control_answer(c, id, NULL);
	loop_stop(c->v->loop);
}

// ---- dispatch

#define IN(s)  (1u << (s))
#define ALWAYS (IN(CONTROL_STATES) - 1)
#define SOURCE (IN(CONTROL_ACTIVE) | IN(CONTROL_GATED) | IN(CONTROL_FROZEN))

static const struct {
	const char *op;
	unsigned states; // in which it is legal
	control_op_fn fn;
} ops[] = {
	{ "hello", ALWAYS, on_hello },
	{ "status", ALWAYS, on_status },
	{ "quit", ALWAYS, on_quit },
	{ "fault", ALWAYS, control_on_fault },
	{ "sample", IN(CONTROL_ACTIVE), control_sample },
	{ "move.begin", IN(CONTROL_ACTIVE), control_move_begin },
	{ "move.round", IN(CONTROL_ACTIVE) | IN(CONTROL_GATED), control_move_round },
	{ "move.rate", IN(CONTROL_ACTIVE) | IN(CONTROL_GATED), control_move_rate },
	{ "ports.closed", IN(CONTROL_ACTIVE), control_ports_closed },
	{ "gate.close", IN(CONTROL_ACTIVE) | IN(CONTROL_GATED), control_gate_close },
	{ "ports.drain", IN(CONTROL_GATED), control_ports_drain },
	{ "ports.take-back", IN(CONTROL_GATED), control_ports_take_back },
	{ "move.final", IN(CONTROL_GATED), control_move_final },
	// From frozen too: a destination that never ran gives the copy back.
	{ "move.abort", SOURCE, control_move_abort },
	{ "gate.open", SOURCE, control_gate_open },
	{ "freeze", IN(CONTROL_GATED) | IN(CONTROL_FROZEN), control_freeze },
	{ "move.receive", IN(CONTROL_INCOMING), control_move_receive },
	{ "own", IN(CONTROL_RECEIVED), control_own },
	{ "root", IN(CONTROL_GATED) | IN(CONTROL_RECEIVED) | IN(CONTROL_FROZEN), control_root },
};

static void close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void on_request(
	void *arg, struct link *k, int64_t id, const char *op, json_t *args, int *fds, size_t n_fds)
{
	struct control *c = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		if (strcmp(ops[i].op, op))
			continue;
		if (ops[i].states & IN(c->state)) {
			ops[i].fn(c, id, args, fds, n_fds);
			close_fds(fds, n_fds); // those that were not taken
			return;
		}
		ferry_fail(&e, EINVAL, "bad-state", "%s in state %s", op, state_names[c->state]);
	}
	close_fds(fds, n_fds);
	if (!e.err)
		ferry_fail(&e, EOPNOTSUPP, "unknown-op", "ferry-vgpu knows no %s", op);
	link_refuse(k, id, &e);
}

// Nobody waits for these answers any more; what was asked for goes on.
static void forget_asks(struct control *c)
{
	c->gate_ask = c->move_ask = c->sample_ask = c->receive_ask = c->scan_ask = -1;
}

static void on_closed(void *arg, struct link *k, const struct ferry_error *why)
{
	struct control *c = arg;

	forget_asks(c);
	c->link = link_free(k);
}

static const struct link_ops link_ops = { .request = on_request, .closed = on_closed };

static void on_connection(void *arg, int fd, uint32_t events)
{
	struct control *c = arg;
	int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (got < 0)
		return;
	forget_asks(c);
	link_free(c->link);
	c->link = link_new(c->v->loop, got, &link_ops, c);
}

// ---- life

static int begin(struct control *c, struct ferry_error *e)
{
	int r = tracker_choose(c->o->tracker, &c->tracker, c->tracker_reason, e);

	if (r < 0)
		return r;
	log_info("tracker %s: %s", c->tracker->name, c->tracker_reason);
	if (listen(c->listen_fd, UNIX_BACKLOG) < 0)
		return ferry_fail(e, errno, "socket", "cannot listen on %s: %m", c->o->control);
	c->watch = loop_fd(c->v->loop, c->listen_fd, EPOLLIN, on_connection, c);
	return c->watch ? 0 : ferry_fail(e, ENOMEM, "no-memory", "no memory to listen");
}

int control_files_open(const struct options *o, struct control_files *ret, struct ferry_error *e)
{
	_cleanup_fd_ int log = -1;

	*ret = (struct control_files){ -1, -1 };
	if (o->vm_log) {
		log = open(o->vm_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (log < 0)
			return ferry_fail(e, errno, "bad-log", "%s: %m", o->vm_log);
	}
	int fd = o->control ? unix_bind(o->control, e) : -1;
	if (o->control && fd < 0)
		return fd;
	*ret = (struct control_files){ fd, take_fd(log) };
	return 0;
}

int control_new(struct vgpu *v, const struct options *o, struct control_files *files,
	struct control **ret, struct ferry_error *e)
{
	struct control *c = calloc(1, sizeof *c);

	if (!c)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for the control socket");
	*c = (struct control){
		.v = v, .o = o, .listen_fd = files->socket, .vm_log = files->vm_log
	};
	*files = (struct control_files){ -1, -1 };
	forget_asks(c);
	int r = begin(c, e);
	if (r < 0) {
		control_free(c);
		return r;
	}
	if (o->incoming) {
		c->state = CONTROL_INCOMING;
		gate_close(v, NULL, NULL);
		v->ports_held = true;
		vgpu_warm_up(v);
	}
	*ret = c;
	return 0;
}

struct control *control_free(struct control *c)
{
	if (!c)
		return NULL;
	link_free(c->link);
	c->link = NULL;
	control_end_move(c);
	move_dest_close(c->dest);
	move_sample_end(c->sample);
	move_root_end(c->scan);
	c->v->restored = NULL;
	watch_remove(c->watch);
	if (c->listen_fd >= 0) {
		close(c->listen_fd);
		unlink(c->o->control);
	}
	if (c->vm_log >= 0)
		close(c->vm_log);
	free(c);
	return NULL;
}
