// SPDX-License-Identifier: Apache-2.0
#include "vm/qmp.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// One line of QEMU's is at most this long (query-qmp-schema is below 300 KiB in QEMU 10).
#define QMP_LINE_CAP (8u << 20)
#define QMP_OUT_CAP  (8u << 20)
// QEMU stops reading its socket, out-of-band commands too, when 8 commands are queued
// (QMP_REQ_QUEUE_LEN_MAX in monitor/qmp.c). Ours wait here instead.
#define QMP_IN_BAND_MAX 6

struct command {
	struct command *next;
	uint64_t id;
	char name[48];
	char *line; // encoded; NULL once sent
	int pass;   // a descriptor that goes with the line; -1: none
	bool oob;
	bool reported; // the callback was called (time-out); the answer is still to come
	int64_t deadline_ns;
	qmp_reply_fn fn;
	void *arg;
};

struct qmp {
	struct loop *loop;
	struct qmp_handlers handlers;
	void *arg;
	int fd; // -1 once closed
	struct watch *watch;
	struct watch *timer;
	struct buf in, out;
	int out_fd;               // goes with the next byte out; -1: none
	struct command *commands; // in the order of their ids
	uint64_t next_id;
	unsigned in_band; // sent and not answered
	bool greeted, ready, oob;
	char version[32];
	unsigned busy; // depth of our own callbacks on the stack
	bool freed;    // qmp_free() was called inside one of them
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void free_command(struct command *c)
{
	close_fd(&c->pass);
	free(c->line);
	free(c);
}

static void destroy(struct qmp *q)
{
	while (q->commands) {
		struct command *c = q->commands;
		q->commands = c->next;
		free_command(c);
	}
	close_fd(&q->out_fd);
	buf_free(&q->in);
	buf_free(&q->out);
	free(q);
}

static void disconnect(struct qmp *q)
{
	q->watch = watch_remove(q->watch);
	q->timer = watch_remove(q->timer);
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	q->ready = false;
}

struct qmp *qmp_free(struct qmp *q)
{
	if (!q)
		return NULL;
	disconnect(q);
	q->freed = true;
	if (!q->busy)
		destroy(q);
	return NULL;
}

// Calls into the owner happen between enter() and leave(); leave() says whether `q` still lives.
static void enter(struct qmp *q)
{
	q->busy++;
}

static bool leave(struct qmp *q)
{
	if (--q->busy == 0 && q->freed) {
		destroy(q);
		return false;
	}
	return !q->freed;
}

static void report(struct command *c, const json_t *ret, const struct ferry_error *e)
{
	if (c->reported)
		return;
	c->reported = true;
	if (c->fn)
		c->fn(c->arg, ret, e);
	else if (e)
		log_warn("%s: %s", c->name, e->message);
}

static void unlink_command(struct qmp *q, struct command *c)
{
	struct command **p = &q->commands;

	while (*p && *p != c)
		p = &(*p)->next;
	if (*p)
		*p = c->next;
	if (!c->line && !c->oob)
		q->in_band--;
	free_command(c);
}

// Every command fails, then the owner hears that the connection is gone.
static void fail_all(struct qmp *q, const struct ferry_error *e)
{
	disconnect(q);
	enter(q);
	while (q->commands && !q->freed) {
		struct command *c = q->commands;
		q->commands = c->next;
		report(c, NULL, e);
		free_command(c);
	}
	if (!q->freed && q->handlers.closed)
		q->handlers.closed(q->arg, e);
	leave(q);
}

static void lost(struct qmp *q, int err, const char *why)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	ferry_fail(&e, err, "qemu-gone", "the connection to qemu's monitor ended: %s", why);
	fail_all(q, &e);
}

// Moves commands that may go now into the out buffer; one with a descriptor waits until that is empty.
static void submit(struct qmp *q)
{
	for (struct command *c = q->commands; c && q->ready; c = c->next) {
		if (!c->line || (!c->oob && q->in_band >= QMP_IN_BAND_MAX))
			continue;
		if (c->pass >= 0 && q->out.len)
			return;
		if (c->pass >= 0) {
			q->out_fd = c->pass;
			c->pass = -1;
		}
		buf_put(&q->out, c->line, strlen(c->line));
		buf_put(&q->out, "\n", 1);
		free(take_ptr(c->line));
		if (!c->oob)
			q->in_band++;
	}
}

// With the descriptor that waits.
static ssize_t send_some(struct qmp *q)
{
	ssize_t n = socket_send_fds(q->fd, q->out.data, q->out.len, &q->out_fd, q->out_fd >= 0);

	if (n > 0)
		close_fd(&q->out_fd);
	return n;
}

// Sends what may go and the socket takes now. False: the connection is gone, and perhaps `q` with it.
static bool flush(struct qmp *q)
{
	while (submit(q), q->out.len) {
		ssize_t n = send_some(q);
		if (n < 0 && n != -EAGAIN) {
			lost(q, ENOTCONN, strerror((int)-n));
			return false;
		}
		if (n < 0)
			break;
		buf_consume(&q->out, (size_t)n);
	}
	watch_set_events(q->watch, q->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return true;
}

static void arm_timer(struct qmp *q)
{
	int64_t first = -1;

	for (struct command *c = q->commands; c; c = c->next)
		if (!c->reported && (first < 0 || c->deadline_ns < first))
			first = c->deadline_ns;
	if (q->timer)
		watch_set_timer(q->timer, first);
}

static struct command *expired(struct qmp *q, int64_t now)
{
	struct command *c = q->commands;

	while (c && (c->reported || c->deadline_ns > now))
		c = c->next;
	return c;
}

// Tells the owners of commands that took too long. What was sent stays listed until it is answered,
// since it holds a place in QEMU's queue; what was not sent never will be.
static void on_timer(void *arg)
{
	struct qmp *q = arg;
	int64_t now = clock_now_ns();
	struct command *c;

	enter(q);
	while (!q->freed && (c = expired(q, now))) {
		struct ferry_error e = FERRY_ERROR_INIT;
		ferry_fail(
			&e, ETIMEDOUT, "qemu-timeout", "qemu did not answer %s in time", c->name);
		report(c, NULL, &e);
		if (!q->freed && c->line)
			unlink_command(q, c);
	}
	if (leave(q))
		arm_timer(q);
}

static void on_answer(struct qmp *q, const json_t *doc)
{
	const json_t *id = json_object_get(doc, "id"), *why = json_object_get(doc, "error");
	struct ferry_error e = FERRY_ERROR_INIT;
	struct command *c = q->commands;

	while (c && (!json_is_integer(id) || (json_int_t)c->id != json_integer_value(id)))
		c = c->next;
	if (!c || c->line) {
		log_warn("qemu answered a command that was not asked");
		return;
	}
	if (why)
		ferry_fail(&e, EREMOTEIO, "qemu", "qemu: %s: %s",
			json_string_or(why, "class", "unknown class"),
			json_string_or(why, "desc", "no description"));
	report(c, why ? NULL : json_object_get(doc, "return"), why ? &e : NULL);
	if (!q->freed)
		unlink_command(q, c);
}

// When QEMU saw an event, CLOCK_REALTIME; now, where it does not say so believably.
static int64_t event_time(const json_t *doc)
{
	const json_t *at = json_object_get(doc, "timestamp");
	int64_t sec = json_int_or(at, "seconds", -1), usec = json_int_or(at, "microseconds", -1);

	if (sec < 0 || sec > UINT32_MAX || usec < 0 || usec >= 1000000)
		return clock_wall_ns();
	return sec * NSEC_PER_SEC + usec * NSEC_PER_USEC;
}

static void on_event(struct qmp *q, const json_t *doc)
{

	if (q->handlers.event)
		q->handlers.event(q->arg, json_string_or(doc, "event", ""),
			json_object_get(doc, "data"), event_time(doc));
}

static void on_negotiated(struct qmp *q, const json_t *doc)
{
	if (!json_object_get(doc, "return")) {
		lost(q, EPROTO, "it refused qmp_capabilities");
		return;
	}
	q->ready = true;
	if (q->handlers.ready)
		q->handlers.ready(q->arg);
}

static void on_greeting(struct qmp *q, const json_t *doc)
{
	const json_t *hello = json_object_get(doc, "QMP"), *cap;
	const json_t *v = json_object_get(json_object_get(hello, "version"), "qemu");
	size_t i;

	if (!json_is_object(hello)) {
		lost(q, EPROTO, "it did not greet as QMP");
		return;
	}
	json_array_foreach(json_object_get(hello, "capabilities"), i,
		cap) if (json_is_string(cap) && !strcmp(json_string_value(cap), "oob")) q->oob =
		true;
	snprintf(q->version, sizeof q->version, "%d.%d.%d", (int)json_int_or(v, "major", 0),
		(int)json_int_or(v, "minor", 0), (int)json_int_or(v, "micro", 0));
	q->greeted = true;
	const char *line = q->oob ? "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":["
				    "\"oob\"]},\"id\":0}\n"
				  : "{\"execute\":\"qmp_capabilities\",\"id\":0}\n";
	buf_put(&q->out, line, strlen(line));
}

static void on_message(struct qmp *q, const json_t *doc)
{
	if (!q->greeted)
		on_greeting(q, doc);
	else if (json_object_get(doc, "event"))
		on_event(q, doc);
	else if (!q->ready)
		on_negotiated(q, doc);
	else
		on_answer(q, doc);
}

// Handles the whole lines that are in. False: the connection or `q` is gone.
static bool read_lines(struct qmp *q)
{
	uint8_t *end;

	while (q->fd >= 0 && q->in.len && (end = memchr(q->in.data, '\n', q->in.len))) {
		size_t n = (size_t)(end - q->in.data) + 1;
		struct ferry_error e = FERRY_ERROR_INIT;
		_cleanup_json_ json_t *doc = json_parse((char *)q->in.data, n, "qemu's line", &e);
		buf_consume(&q->in, n);
		enter(q);
		if (!doc)
			lost(q, EPROTO, e.message);
		else
			on_message(q, doc);
		if (!leave(q))
			return false;
	}
	return q->fd >= 0;
}

// Reads once. 1: bytes came; 0: nothing now; -1: the connection is gone.
static int receive(struct qmp *q)
{
	uint8_t *at = buf_reserve(&q->in, 65536);

	if (!at) {
		lost(q, EMSGSIZE, "a line is too long");
		return -1;
	}
	ssize_t n = recv(q->fd, at, 65536, MSG_DONTWAIT);
	if (n > 0) {
		q->in.len += (size_t)n;
		return 1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	lost(q, ENOTCONN, n ? strerror(errno) : "qemu closed it");
	return -1;
}

static void on_socket(void *arg, int fd, uint32_t events)
{
	struct qmp *q = arg;
	int r = 0;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = receive(q);
	if (r < 0 || (r > 0 && !read_lines(q)))
		return;
	if (flush(q))
		arm_timer(q);
}

struct qmp *qmp_new(struct loop *l, int fd, const struct qmp_handlers *handlers, void *arg,
	struct ferry_error *e)
{
	struct qmp *q = calloc(1, sizeof *q);

	if (!q) {
		close(fd);
		ferry_fail(e, ENOMEM, "no-memory", "no memory for a monitor connection");
		return NULL;
	}
	*q = (struct qmp){ .loop = l,
		.handlers = *handlers,
		.arg = arg,
		.fd = fd,
		.out_fd = -1,
		.next_id = 1,
		.in.limit = QMP_LINE_CAP,
		.out.limit = QMP_OUT_CAP };
	q->watch = loop_fd(l, fd, EPOLLIN, on_socket, q);
	q->timer = loop_timer(l, -1, on_timer, q);
	if (!q->watch || !q->timer || fd_set_nonblocking(fd, 1) < 0) {
		ferry_fail(e, ENOMEM, "no-memory", "cannot watch the monitor's socket");
		return qmp_free(q);
	}
	return q;
}

struct qmp *qmp_connect(struct loop *l, const char *path, const struct qmp_handlers *handlers,
	void *arg, struct ferry_error *e)
{
	int fd = unix_connect(path, e);

	return fd < 0 ? NULL : qmp_new(l, fd, handlers, arg, e);
}

bool qmp_ready(const struct qmp *q)
{
	return q->ready;
}

bool qmp_has_oob(const struct qmp *q)
{
	return q->oob;
}

const char *qmp_version(const struct qmp *q)
{
	return q->version;
}

static char *encode(uint64_t id, const char *command, json_t *args, bool oob)
{
	json_t *taken = args ? args : json_object(); // s:o consumes it, also on failure
	_cleanup_json_ json_t *doc = json_pack("{s:s, s:o, s:I}", oob ? "exec-oob" : "execute",
		command, "arguments", taken, "id", (json_int_t)id);

	return doc ? json_dumps(doc, JSON_COMPACT) : NULL;
}

static int add_command(struct qmp *q, const char *command, json_t *args, bool oob, int fd,
	int timeout_ms, qmp_reply_fn fn, void *arg)
{
	if (q->fd < 0) {
		json_decref(args);
		return -ENOTCONN;
	}
	struct command *c = calloc(1, sizeof *c), **p = &q->commands;
	char *line = encode(q->next_id, command, args, oob);
	int pass = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;

	if (!c || !line || (fd >= 0 && pass < 0)) {
		close_fd(&pass);
		free(c);
		free(line);
		return -EINVAL;
	}
	int64_t limit_ms = timeout_ms > 0 ? timeout_ms : QMP_TIMEOUT_MS;
	*c = (struct command){ .id = q->next_id++,
		.line = line,
		.pass = pass,
		.oob = oob,
		.fn = fn,
		.arg = arg,
		.deadline_ns = clock_now_ns() + limit_ms * NSEC_PER_MSEC };
	snprintf(c->name, sizeof c->name, "%s", command);
	while (*p)
		p = &(*p)->next;
	*p = c;
	submit(q);
	// The socket is written from the loop, so that no callback runs inside this call.
	watch_set_events(q->watch, EPOLLIN | EPOLLOUT);
	arm_timer(q);
	return 0;
}

int qmp_exec(struct qmp *q, const char *command, json_t *args, int timeout_ms, qmp_reply_fn fn,
	void *arg)
{
	return add_command(q, command, args, false, -1, timeout_ms, fn, arg);
}

int qmp_exec_fd(
	struct qmp *q, const char *command, json_t *args, int fd, qmp_reply_fn fn, void *arg)
{
	return add_command(q, command, args, false, fd, 0, fn, arg);
}

int qmp_exec_oob(struct qmp *q, const char *command, json_t *args, int timeout_ms, qmp_reply_fn fn,
	void *arg)
{
	if (q->ready && !q->oob) {
		json_decref(args);
		return -EOPNOTSUPP;
	}
	return add_command(q, command, args, true, -1, timeout_ms, fn, arg);
}
