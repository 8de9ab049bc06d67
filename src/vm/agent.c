// SPDX-License-Identifier: Apache-2.0
#include "vm/agent.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/socket.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define LINE_MAX_BYTES (256u << 10)          // above what an agent may answer
#define RETRY_NS       (100 * NSEC_PER_MSEC) // between attempts to connect
#define HUNG_RETRY_NS  (10 * NSEC_PER_SEC)
#define RESEND_NS      (1 * NSEC_PER_SEC) // a busy guest may need this long to answer

struct request {
	struct request *next;
	int64_t id;
	char *line;
	int64_t sent_ns; // 0: not on this connection
	int64_t deadline_ns;
	agent_reply_fn fn;
	void *arg;
};

struct agent {
	struct loop *loop;
	char path[PATH_MAX]; // "": nowhere
	int fd;
	struct watch *watch, *timer;
	struct buf in, out;
	struct request *requests; // in the order of their ids
	int64_t next_id;
	int64_t connect_at_ns; // not before: what just closed on us is not tried again at once
	unsigned busy;
	bool freed;
};

static void work(struct agent *a);
static void on_timer(void *arg);

struct agent *agent_new(struct loop *l)
{
	struct agent *a = calloc(1, sizeof *a);
	uint32_t start = 0;

	if (!a)
		return NULL;
	*a = (struct agent){ .loop = l, .fd = -1, .in.limit = LINE_MAX_BYTES };
	// An agent remembers ids of a daemon before this one, and late answers to it may come.
	if (getrandom(&start, sizeof start, 0) != sizeof start)
		start = (uint32_t)clock_wall_ns();
	a->next_id = (int64_t)start << 16 | 1;
	a->timer = loop_timer(l, -1, on_timer, a);
	return a->timer ? a : agent_free(a);
}

static void drop_request(struct agent *a, struct request *r)
{
	struct request **p = &a->requests;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	free(r->line);
	free(r);
}

// Everything that is still open has to be sent again.
static void disconnect(struct agent *a)
{
	a->watch = watch_remove(a->watch);
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	buf_reset(&a->in);
	buf_reset(&a->out);
	for (struct request *r = a->requests; r; r = r->next)
		r->sent_ns = 0;
}

static void destroy(struct agent *a)
{
	while (a->requests)
		drop_request(a, a->requests);
	buf_free(&a->in);
	buf_free(&a->out);
	free(a);
}

struct agent *agent_free(struct agent *a)
{
	if (!a)
		return NULL;
	disconnect(a);
	a->timer = watch_remove(a->timer);
	a->freed = true;
	if (!a->busy)
		destroy(a);
	return NULL;
}

// Answers a request and forgets it. False: the client was freed by the callback.
static bool answer(
	struct agent *a, struct request *r, const json_t *doc, const struct ferry_error *e)
{
	agent_reply_fn fn = r->fn;
	void *arg = r->arg;

	drop_request(a, r);
	a->busy++;
	if (fn)
		fn(arg, doc, e);
	if (--a->busy == 0 && a->freed) {
		destroy(a);
		return false;
	}
	return !a->freed;
}

// One line from the guest: hostile, and after a reconnection perhaps half of one.
static bool on_line(struct agent *a, const char *line, size_t n)
{
	_cleanup_json_ json_t *doc = json_parse(line, n, "the agent's line", NULL);
	const json_t *why = json_object_get(doc, "error");
	int64_t id = json_int_or(doc, "id", -1);
	struct request *r = a->requests;
	struct ferry_error e = FERRY_ERROR_INIT;

	while (r && r->id != id)
		r = r->next;
	if (!r)
		return true;
	if (why) {
		ferry_error_from_json(&e, why);
		if (!e.err)
			ferry_fail(&e, EREMOTEIO, "agent", "the agent refused");
	}
	return answer(a, r, why ? NULL : doc, why ? &e : NULL);
}

// False: the connection or the client is gone.
static bool read_lines(struct agent *a)
{
	uint8_t *end;

	while (a->in.len && (end = memchr(a->in.data, '\n', a->in.len))) {
		size_t n = (size_t)(end - a->in.data);
		_cleanup_free_ char *line = malloc(n + 1);
		if (line)
			memcpy(line, a->in.data, n);
		buf_consume(&a->in, n + 1);
		if (line && !on_line(a, line, n))
			return false;
	}
	return a->fd >= 0;
}

// False: the connection or the client is gone.
static bool receive(struct agent *a)
{
	uint8_t *at = buf_reserve(&a->in, 32768);
	ssize_t n = at ? recv(a->fd, at, 32768, MSG_DONTWAIT) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		disconnect(a);
		a->connect_at_ns = clock_now_ns() + RETRY_NS;
		return false;
	}
	a->in.len += (size_t)n;
	return read_lines(a);
}

static void flush(struct agent *a)
{
	while (a->out.len) {
		ssize_t n = send(a->fd, a->out.data, a->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			disconnect(a);
			return;
		}
		if (n < 0)
			break;
		buf_consume(&a->out, (size_t)n);
	}
	watch_set_events(a->watch, a->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void on_socket(void *arg, int fd, uint32_t events)
{
	struct agent *a = arg;

	a->busy++;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(a);
	if (--a->busy == 0 && a->freed)
		destroy(a);
	else if (!a->freed)
		work(a);
}

static void connect_now(struct agent *a, int64_t now)
{
	if (!a->path[0] || a->fd >= 0 || now < a->connect_at_ns)
		return;
	a->fd = unix_connect(a->path, NULL);
	if (a->fd == -EAGAIN) // QEMU hangs, and finding that out took a second
		a->connect_at_ns = now + HUNG_RETRY_NS;
	if (a->fd < 0)
		return;
	a->watch = loop_fd(a->loop, a->fd, EPOLLIN, on_socket, a);
	if (!a->watch)
		disconnect(a);
	else
		buf_put(&a->out, "\n",
			1); // ends what an earlier connection may have left half said
}

// Queues what was not sent on this connection, or so long ago that it may be lost.
static void queue_requests(struct agent *a, int64_t now)
{
	bool stuck = a->out.len > 0; // what did not even leave is not lost

	for (struct request *r = a->requests; r; r = r->next) {
		if (r->sent_ns && now - r->sent_ns < RESEND_NS)
			continue;
		if (!r->sent_ns || !stuck)
			buf_put(&a->out, r->line, strlen(r->line));
		r->sent_ns = now;
	}
}

static int64_t next_time(const struct agent *a, int64_t now)
{
	int64_t at = a->fd < 0 ? now + RETRY_NS : INT64_MAX;

	for (const struct request *r = a->requests; r; r = r->next) {
		int64_t resend = r->sent_ns ? r->sent_ns + RESEND_NS : now;
		if (a->fd >= 0 && resend < at)
			at = resend;
		if (r->deadline_ns < at)
			at = r->deadline_ns;
	}
	return at;
}

// Connects and sends as needed, and arms the timer for what comes next.
static void work(struct agent *a)
{
	int64_t now = clock_now_ns();

	if (!a->requests) {
		watch_set_timer(a->timer, -1);
		return;
	}
	connect_now(a, now);
	if (a->fd >= 0) {
		queue_requests(a, now);
		flush(a);
	}
	watch_set_timer(a->timer, next_time(a, now));
}

static void on_timer(void *arg)
{
	struct agent *a = arg;
	struct request *r = a->requests, *next;
	int64_t now = clock_now_ns();

	a->busy++;
	for (; r && !a->freed; r = next) {
		struct ferry_error e = FERRY_ERROR_INIT;
		next = r->next;
		if (r->deadline_ns > now)
			continue;
		ferry_fail(&e, ETIMEDOUT, "agent-silent", "the guest's agent does not answer");
		answer(a, r, NULL, &e);
		next = a->requests; // the callback may have changed the list
	}
	if (--a->busy == 0 && a->freed)
		destroy(a);
	else if (!a->freed)
		work(a);
}

int agent_set_path(struct agent *a, const char *path)
{
	if (path && strlen(path) >= sizeof a->path)
		return -ENAMETOOLONG;
	disconnect(a);
	strcpy(a->path, path ? path : "");
	a->connect_at_ns = 0;
	if (a->requests)
		watch_set_timer(a->timer, clock_now_ns());
	return 0;
}

static char *encode(json_t *args, int64_t id, const char *op)
{
	_cleanup_json_ json_t *doc = args ? args : json_object();
	char *text = NULL;

	if (json_object_set_new(doc, "id", json_integer(id)) < 0 ||
		json_object_set_new(doc, "op", json_string(op)) < 0)
		return NULL;
	_cleanup_free_ char *json = json_dumps(doc, JSON_COMPACT);
	if (!json || asprintf(&text, "%s\n", json) < 0)
		return NULL;
	return text;
}

int64_t agent_request(
	struct agent *a, const char *op, json_t *args, int limit_ms, agent_reply_fn fn, void *arg)
{
	struct request *r = calloc(1, sizeof *r), **p = &a->requests;
	int64_t id = a->next_id, limit = limit_ms > 0 ? limit_ms : AGENT_LIMIT_MS;
	char *line = encode(args, id, op);

	if (!r || !line) {
		free(r);
		free(line);
		return -EINVAL;
	}
	*r = (struct request){ .id = id,
		.line = line,
		.fn = fn,
		.arg = arg,
		.deadline_ns = clock_now_ns() + limit * NSEC_PER_MSEC };
	a->next_id++;
	while (*p)
		p = &(*p)->next;
	*p = r;
	watch_set_timer(a->timer, clock_now_ns()); // sent from the loop
	return id;
}

void agent_forget(struct agent *a, int64_t id)
{
	for (struct request *r = a->requests; r; r = r->next)
		if (r->id == id) {
			drop_request(a, r);
			return;
		}
}

static int64_t way_request(
	void *at, const char *op, json_t *args, int limit_ms, agent_reply_fn fn, void *arg)
{
	return agent_request(at, op, args, limit_ms, fn, arg);
}

static void way_forget(void *at, int64_t id)
{
	agent_forget(at, id);
}

struct agent_way agent_way(struct agent *a)
{
	return (struct agent_way){
		.request = way_request, .forget = way_forget, .loop = a->loop, .at = a
	};
}
