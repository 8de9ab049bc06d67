// SPDX-License-Identifier: Apache-2.0
#include "relay/relay.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/socket.h"
#include "relay/pair.h"
#include "wire/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// How long a relay with nothing left to carry still answers `status`.
#define LINGER_NS (300 * NSEC_PER_MSEC)

struct relay {
	struct loop *loop;
	struct relay_options o;
	struct pump_rate rate;
	struct pair pairs[RELAY_MAX_PAIRS];
	unsigned locals, peers; // pairs that have this end; both count from the first
	unsigned ready, closed;
	bool held, done;
	int control_fd, stream_fd;
	struct watch *control_watch, *stream_watch, *timer;
	struct link *link;
	int error; // of the first pair that broke
};

static uint64_t total(const struct relay *r, bool out)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->ready; i++)
		n += out ? r->pairs[i].out.bytes : r->pairs[i].in.bytes;
	return n;
}

static int64_t last_out_ns(const struct relay *r)
{
	int64_t last = 0;

	for (unsigned i = 0; i < r->ready; i++)
		if (r->pairs[i].out.last_ns > last)
			last = r->pairs[i].out.last_ns;
	return last;
}

static json_t *counters(const struct relay *r)
{
	return json_pack("{s:I, s:I, s:I}", "bytes_out", (json_int_t)total(r, true), "bytes_in",
		(json_int_t)total(r, false), "last_out_ns", (json_int_t)last_out_ns(r));
}

static void on_pair_closed(void *arg, struct pair *p)
{
	struct relay *r = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	if (p->error && !r->error)
		r->error = p->error;
	if (++r->closed < r->locals || r->closed < r->peers)
		return;
	json_t *message = counters(r);
	if (r->error) {
		ferry_fail(&e, r->error, "relay-broken", "QEMU's migration stream broke: %s",
			strerror(-r->error));
		log_warn("%s", e.message);
		json_object_set_new(message, "error", ferry_error_to_json(&e));
	}
	if (r->link)
		link_event(r->link, "closed", message);
	else
		json_decref(message);
	watch_set_timer(r->timer, clock_now_ns() + LINGER_NS);
}

// Makes the pairs up to `count` ready for their ends.
static int need_pairs(struct relay *r, unsigned count)
{
	if (count > RELAY_MAX_PAIRS)
		return -E2BIG;
	while (r->ready < count) {
		int e = pair_init(&r->pairs[r->ready], r->loop, &r->rate, on_pair_closed, r);
		if (e < 0)
			return e;
		pair_hold(&r->pairs[r->ready], r->held);
		r->ready++;
	}
	return 0;
}

// Takes the descriptor over, also on failure.
static int add_end(struct relay *r, bool local, int fd)
{
	unsigned i = local ? r->locals : r->peers;
	int e = need_pairs(r, i + 1);

	if (e < 0) {
		close(fd);
		return e;
	}
	watch_set_timer(r->timer, -1);
	if (local) {
		r->locals++;
		return pair_set_local(&r->pairs[i], fd);
	}
	r->peers++;
	return pair_set_peer(&r->pairs[i], fd);
}

static void on_qemu(void *arg, int fd, uint32_t events)
{
	struct relay *r = arg;
	int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (got >= 0 && add_end(r, true, got) < 0)
		log_warn("QEMU's connection %u was refused", r->locals + 1);
}

static int attach(struct relay *r, int *fds, size_t n_fds, struct ferry_error *e)
{
	_cleanup_fd_ int peer = -1, local = -1;

	for (size_t i = 1; i < n_fds; i++)
		close(fds[i]);
	if (n_fds)
		peer = fds[0];
	if (n_fds != 1)
		return ferry_fail(
			e, EINVAL, "bad-message", "attach needs one descriptor, not %zu", n_fds);
	if (r->peers == RELAY_MAX_PAIRS)
		return ferry_fail(
			e, E2BIG, "too-many", "more than %d connections", RELAY_MAX_PAIRS);
	if (r->o.role == RELAY_DESTINATION) {
		local = unix_connect(r->o.stream, e);
		if (local < 0)
			return ferry_error_prefix(e, "QEMU is not waiting for a migration");
	}
	int err = add_end(r, false, take_fd(peer));
	if (!err && local >= 0)
		err = add_end(r, true, take_fd(local));
	return err ? ferry_fail(e, err, "relay-broken", "cannot relay: %s", strerror(-err)) : 0;
}

static int set_held(struct relay *r, bool held, struct ferry_error *e)
{
	if (r->o.role != RELAY_SOURCE)
		return ferry_fail(e, EINVAL, "wrong-role", "only a source's stream can be held");
	r->held = held;
	for (unsigned i = 0; i < r->ready; i++)
		pair_hold(&r->pairs[i], held);
	return 0;
}

// It books 5 ms ahead at most, so the new rate needs no waking of those that wait.
static int set_rate(struct relay *r, const json_t *args, struct ferry_error *e)
{
	uint64_t rate = 0;
	int err;

	if (r->o.role != RELAY_SOURCE)
		return ferry_fail(e, EINVAL, "wrong-role", "only a source's stream has a rate");
	err = json_get_u64(args, "bandwidth_bytes_per_s", INT64_MAX, &rate, e);
	if (err)
		return err;
	if (!rate)
		return ferry_fail(e, EINVAL, "no-rate", "a rate can be changed, not ended");
	r->rate.bytes_per_s = rate;
	return 0;
}

static void answer(struct link *k, int64_t id, int err, const struct ferry_error *e)
{
	if (err)
		link_refuse(k, id, e);
	else
		link_answer(k, id, NULL);
}

static json_t *status(const struct relay *r)
{
	json_t *doc = counters(r);

	json_object_set_new(doc, "held", json_boolean(r->held));
	json_object_set_new(doc, "connections", json_integer(r->peers - r->closed));
	return doc;
}

static void on_request(
	void *arg, struct link *k, int64_t id, const char *op, json_t *args, int *fds, size_t n_fds)
{
	struct relay *r = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	if (!strcmp(op, "attach")) {
		answer(k, id, attach(r, fds, n_fds, &e), &e);
		return;
	}
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (!strcmp(op, "hold") || !strcmp(op, "release")) {
		answer(k, id, set_held(r, op[0] == 'h', &e), &e);
	} else if (!strcmp(op, "rate")) {
		answer(k, id, set_rate(r, args, &e), &e);
	} else if (!strcmp(op, "status")) {
		link_answer(k, id, status(r));
	} else if (!strcmp(op, "quit")) {
		link_answer(k, id, NULL);
		r->done = true;
	} else {
		ferry_fail(&e, EINVAL, "unknown-op", "ferry-relay has no operation '%s'", op);
		link_refuse(k, id, &e);
	}
}

static void on_link_closed(void *arg, struct link *k, const struct ferry_error *why)
{
	struct relay *r = arg;

	r->link = link_free(k);
}

static void on_controller(void *arg, int fd, uint32_t events)
{
	static const struct link_ops ops = { .request = on_request, .closed = on_link_closed };
	struct relay *r = arg;
	int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (got < 0)
		return;
	link_free(r->link);
	r->link = link_new(r->loop, got, &ops, r);
}

static void on_linger_end(void *arg)
{
	struct relay *r = arg;

	r->done = true;
}

static int listen_all(struct relay *r, struct ferry_error *e)
{
	r->control_fd = unix_listen(r->o.control, e);
	if (r->control_fd < 0)
		return r->control_fd;
	r->control_watch = loop_fd(r->loop, r->control_fd, EPOLLIN, on_controller, r);
	r->timer = loop_timer(r->loop, -1, on_linger_end, r);
	if (r->o.role == RELAY_SOURCE) {
		r->stream_fd = unix_listen(r->o.stream, e);
		if (r->stream_fd < 0)
			return r->stream_fd;
		r->stream_watch = loop_fd(r->loop, r->stream_fd, EPOLLIN, on_qemu, r);
	}
	if (!r->control_watch || !r->timer || (r->stream_fd >= 0 && !r->stream_watch))
		return ferry_fail(e, ENOMEM, "no-memory", "cannot watch the relay's sockets");
	return 0;
}

struct relay *relay_new(struct loop *l, const struct relay_options *o, struct ferry_error *e)
{
	struct relay *r = calloc(1, sizeof *r);

	if (!r) {
		ferry_fail(e, ENOMEM, "no-memory", "no memory for a relay");
		return NULL;
	}
	r->loop = l;
	r->o = *o;
	r->rate.bytes_per_s = o->bandwidth;
	r->held = o->role == RELAY_SOURCE;
	r->control_fd = r->stream_fd = -1;
	return listen_all(r, e) < 0 ? relay_free(r) : r;
}

struct relay *relay_free(struct relay *r)
{
	if (!r)
		return NULL;
	link_free(r->link);
	for (unsigned i = 0; i < r->ready; i++)
		pair_free(&r->pairs[i]);
	watch_remove(r->control_watch);
	watch_remove(r->stream_watch);
	watch_remove(r->timer);
	if (r->control_fd >= 0) {
		close(r->control_fd);
		unlink(r->o.control);
	}
	if (r->stream_fd >= 0) {
		close(r->stream_fd);
		unlink(r->o.stream);
	}
	free(r);
	return NULL;
}

bool relay_done(const struct relay *r)
{
	return r->done;
}
