// SPDX-License-Identifier: Apache-2.0
#include "wire/link.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#define HEADER_BYTES 4
#define READ_CHUNK   (64u << 10)

// A request of ours that has no answer yet.
struct open_request {
	struct open_request *next;
	int64_t id;
	link_answer_fn fn;
	void *arg;
};

// Bytes that wait for the socket, with the descriptors that belong to their first byte.
struct outgoing {
	struct outgoing *next;
	size_t len, sent;
	size_t n_fds;
	int fds[LINK_MAX_FDS];
	uint8_t bytes[];
};

struct link {
	struct loop *loop;
	int fd;
	struct watch *watch;
	const struct link_ops *ops;
	void *arg;
	struct buf in;
	int in_fds[LINK_MAX_FDS]; // received, not yet given to a message
	size_t n_in_fds;
	struct outgoing *out_first, **out_last;
	size_t out_bytes;
	int64_t next_id;
	struct open_request *requests;
	bool freed;  // link_free() was called while `busy`
	bool broken; // no more reading or writing
	int busy;    // depth of callbacks under way
	struct ferry_error why;
	struct watch
		*break_timer; // a send error is reported from the loop, not from inside the send
};

static void on_ready(void *arg, int fd, uint32_t events);

static void close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

struct link *link_new(struct loop *l, int fd, const struct link_ops *ops, void *arg)
{
	struct link *k = calloc(1, sizeof *k);

	if (k)
		k->watch = loop_fd(l, fd, EPOLLIN, on_ready, k);
	if (!k || !k->watch) {
		close(fd);
		free(k);
		return NULL;
	}
	fd_set_nonblocking(fd, 1);
	k->loop = l;
	k->fd = fd;
	k->ops = ops;
	k->arg = arg;
	k->next_id = 1;
	k->out_last = &k->out_first;
	k->in.limit = LINK_MAX_MESSAGE + HEADER_BYTES + READ_CHUNK;
	return k;
}

static void drop_outgoing(struct link *k)
{
	while (k->out_first) {
		struct outgoing *o = k->out_first;
		k->out_first = o->next;
		close_fds(o->fds, o->n_fds);
		free(o);
	}
	k->out_last = &k->out_first;
	k->out_bytes = 0;
}

// Answers every open request with the reason why no answer will come.
static void fail_requests(struct link *k)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	ferry_fail(&e, ECONNRESET, "link-lost", "%s",
		k->why.err ? k->why.message : "the connection was closed");
	while (k->requests) {
		struct open_request *r = k->requests;
		k->requests = r->next;
		if (r->fn)
			r->fn(r->arg, NULL, &e, NULL, 0);
		free(r);
	}
}

// Stops all input and output; the caller tells the owner.
static void shut(struct link *k)
{
	k->broken = true;
	k->watch = watch_remove(k->watch);
	k->break_timer = watch_remove(k->break_timer);
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	close_fds(k->in_fds, k->n_in_fds);
	k->n_in_fds = 0;
	drop_outgoing(k);
}

static void destroy(struct link *k)
{
	buf_free(&k->in);
	free(k);
}

struct link *link_free(struct link *k)
{
	if (!k || k->freed)
		return NULL;
	k->freed = true;
	shut(k);
	k->busy++;
	fail_requests(k);
	k->busy--;
	if (!k->busy)
		destroy(k);
	return NULL;
}

// Leaves a callback; frees a link that was given up inside it. False when it is gone.
static bool leave(struct link *k)
{
	k->busy--;
	if (!k->freed)
		return true;
	if (!k->busy)
		destroy(k);
	return false;
}

// Ends the link from the loop. The link may be gone afterwards.
static void break_link(struct link *k)
{
	shut(k);
	k->busy++;
	fail_requests(k);
	if (!k->freed && k->ops && k->ops->closed)
		k->ops->closed(k->arg, k, &k->why);
	leave(k);
}

static void on_break_timer(void *arg)
{
	break_link(arg);
}

// Remembers the reason and breaks soon: never inside the caller's own call.
static int break_later(struct link *k, int err, const char *text)
{
	ferry_fail(&k->why, err, "link-lost", "%s", text);
	k->broken = true;
	if (!k->break_timer)
		k->break_timer = loop_timer(k->loop, 0, on_break_timer, k);
	return k->why.err;
}

static int write_some(struct link *k, struct outgoing *o)
{
	ssize_t n = socket_send_fds(k->fd, o->bytes + o->sent, o->len - o->sent, o->fds, o->n_fds);

	if (n < 0)
		return (int)n;
	close_fds(o->fds, o->n_fds); // they left with the first byte
	o->n_fds = 0;
	o->sent += (size_t)n;
	k->out_bytes -= (size_t)n;
	return 0;
}

static int flush(struct link *k)
{
	while (k->out_first) {
		struct outgoing *o = k->out_first;
		int r = write_some(k, o);
		if (r == -EAGAIN)
			return watch_set_events(k->watch, EPOLLIN | EPOLLOUT);
		if (r < 0)
			return r;
		if (o->sent < o->len)
			continue;
		k->out_first = o->next;
		if (!k->out_first)
			k->out_last = &k->out_first;
		free(o);
	}
	return watch_set_events(k->watch, EPOLLIN);
}

static struct outgoing *encode(const json_t *message, const int *fds, size_t n_fds)
{
	_cleanup_free_ char *text = json_dumps(message, JSON_COMPACT);
	size_t n = text ? strlen(text) : 0;

	if (!n || n > LINK_MAX_MESSAGE || n_fds > LINK_MAX_FDS)
		return NULL;
	struct outgoing *o = calloc(1, sizeof *o + HEADER_BYTES + n);
	if (!o)
		return NULL;
	for (int i = 0; i < HEADER_BYTES; i++)
		o->bytes[i] = (uint8_t)(n >> (8 * i));
	memcpy(o->bytes + HEADER_BYTES, text, n);
	o->len = HEADER_BYTES + n;
	for (size_t i = 0; i < n_fds; i++) {
		int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (copy < 0) {
			close_fds(o->fds, o->n_fds);
			free(o);
			return NULL;
		}
		o->fds[o->n_fds++] = copy;
	}
	return o;
}

static int send_message(struct link *k, json_t *message, const int *fds, size_t n_fds)
{
	_cleanup_json_ json_t *owned = message;

	if (n_fds)
		json_object_set_new(owned, "fds", json_integer((json_int_t)n_fds));
	if (k->broken || k->freed)
		return -ENOTCONN;
	struct outgoing *o = encode(owned, fds, n_fds);
	if (!o)
		return -E2BIG;
	if (k->out_bytes + o->len > LINK_MAX_BACKLOG) {
		close_fds(o->fds, o->n_fds);
		free(o);
		return break_later(k, ENOBUFS, "the peer does not read its messages");
	}
	*k->out_last = o;
	k->out_last = &o->next;
	k->out_bytes += o->len;
	if (k->out_first != o)
		return 0;
	int r = flush(k);
	return r < 0 ? break_later(k, r, strerror(-r)) : 0;
}

int link_request(struct link *k, const char *op, json_t *args, const int *fds, size_t n_fds,
	link_answer_fn fn, void *arg)
{
	struct open_request *r = calloc(1, sizeof *r);

	if (!r) {
		json_decref(args);
		return -ENOMEM;
	}
	*r = (struct open_request){ .next = k->requests, .id = k->next_id++, .fn = fn, .arg = arg };
	int sent = send_message(k,
		json_pack("{s:I, s:s, s:o}", "id", (json_int_t)r->id, "op", op, "args",
			args ? args : json_object()),
		fds, n_fds);
	if (sent < 0) {
		free(r);
		return sent;
	}
	k->requests = r;
	return 0;
}

int link_answer(struct link *k, int64_t id, json_t *ok)
{
	return send_message(k,
		json_pack("{s:I, s:o}", "id", (json_int_t)id, "ok", ok ? ok : json_object()), NULL,
		0);
}

int link_refuse(struct link *k, int64_t id, const struct ferry_error *e)
{
	return send_message(k,
		json_pack("{s:I, s:o}", "id", (json_int_t)id, "error", ferry_error_to_json(e)),
		NULL, 0);
}

int link_event(struct link *k, const char *event, json_t *message)
{
	json_t *m = message ? message : json_object();

	json_object_set_new(m, "event", json_string(event));
	return send_message(k, m, NULL, 0);
}

static void refuse_unknown(struct link *k, int64_t id, const char *op)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	ferry_fail(&e, EOPNOTSUPP, "unknown-op", "unknown operation '%.40s'", op);
	link_refuse(k, id, &e);
}

static void give_answer(struct link *k, json_t *message, int64_t id, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct open_request **p = &k->requests;

	while (*p && (*p)->id != id)
		p = &(*p)->next;
	struct open_request *r = *p;
	if (!r) {
		close_fds(fds, n_fds); // late answer to nothing: harmless
		return;
	}
	*p = r->next;
	json_t *ok = json_object_get(message, "ok");
	if (!ok)
		ferry_error_from_json(&e, json_object_get(message, "error"));
	if (r->fn)
		r->fn(r->arg, ok, ok ? NULL : &e, fds, n_fds);
	else
		close_fds(fds, n_fds);
	free(r);
}

static int give_message(struct link *k, json_t *message, int *fds, size_t n_fds)
{
	const char *op = json_string_value(json_object_get(message, "op"));
	const char *event = json_string_value(json_object_get(message, "event"));
	const json_t *id = json_object_get(message, "id");

	if (event) {
		close_fds(fds, n_fds);
		if (k->ops && k->ops->event)
			k->ops->event(k->arg, k, event, message);
		return 0;
	}
	if (!json_is_integer(id)) {
		close_fds(fds, n_fds);
		return -EPROTO;
	}
	if (!op) {
		give_answer(k, message, json_integer_value(id), fds, n_fds);
		return 0;
	}
	if (k->ops && k->ops->request) {
		k->ops->request(k->arg, k, json_integer_value(id), op,
			json_object_get(message, "args"), fds, n_fds);
		return 0;
	}
	close_fds(fds, n_fds);
	refuse_unknown(k, json_integer_value(id), op);
	return 0;
}

// Descriptors came with the first byte of a message, and messages that carry some are rare: all
// that wait belong to the next message that is complete.
static int give_text(struct link *k, const char *text, size_t n)
{
	_cleanup_json_ json_t *message = json_parse(text, n, "message", &k->why);
	int64_t n_fds = json_int_or(message, "fds", 0);
	int fds[LINK_MAX_FDS];

	if (!json_is_object(message) || n_fds < 0 || (uint64_t)n_fds > k->n_in_fds)
		return -EPROTO;
	memcpy(fds, k->in_fds, (size_t)n_fds * sizeof fds[0]);
	k->n_in_fds -= (size_t)n_fds;
	memmove(k->in_fds, k->in_fds + n_fds, k->n_in_fds * sizeof fds[0]);
	return give_message(k, message, fds, (size_t)n_fds);
}

// Hands out every complete message. 0, or -EPROTO on a malformed one.
static int take_messages(struct link *k)
{
	while (!k->broken && k->in.len >= HEADER_BYTES) {
		struct rd r = rd_make(k->in.data, k->in.len);
		uint32_t n = rd_u32(&r);
		if (n == 0 || n > LINK_MAX_MESSAGE)
			return -EPROTO;
		if (r.left < n)
			return 0;
		int e = give_text(k, (const char *)r.at, n);
		if (e < 0)
			return e;
		if (k->freed)
			return 0;
		buf_consume(&k->in, HEADER_BYTES + n);
	}
	return 0;
}

static int read_some(struct link *k)
{
	size_t n_fds;
	uint8_t *to = buf_reserve(&k->in, READ_CHUNK);

	if (!to)
		return -ENOBUFS;
	ssize_t n = socket_recv_fds(
		k->fd, to, READ_CHUNK, k->in_fds + k->n_in_fds, LINK_MAX_FDS - k->n_in_fds, &n_fds);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return -ECONNRESET;
	k->in.len += (size_t)n;
	k->n_in_fds += n_fds;
	return take_messages(k);
}

static const char *reason_text(int r)
{
	switch (r) {
	case -EPROTO:
		return "malformed message";
	case -ECONNRESET:
		return "the peer closed the connection";
	default:
		return strerror(-r);
	}
}

static void on_ready(void *arg, int fd, uint32_t events)
{
	struct link *k = arg;
	int r = 0;

	k->busy++;
	if (events & EPOLLOUT)
		r = flush(k);
	while (r == 0 && !k->broken && !k->freed)
		r = read_some(k);
	if (!leave(k) || r == -EAGAIN || r == 0)
		return;
	ferry_fail(&k->why, r, "link-lost", "%s", reason_text(r));
	break_link(k);
}
