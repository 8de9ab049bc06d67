// SPDX-License-Identifier: Apache-2.0
#include "host/peer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/dial.h"
#include "host/guest_serve.h"
#include "host/host.h"
#include "host/migration/migration.h"
#include "host/precheck/precheck.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HELLO_TIMEOUT_MS 5000

struct peer {
	struct host *host;
	const struct peer_ops *ops;
	void *arg;
	struct dial *dial;
	struct link *link;
	struct watch *timer; // until both hellos are there
	char name[HOST_NAME_MAX_BYTES + 1];
	bool heard, answered; // its hello, and its answer to ours
	bool untaken;         // accepted and in the host's list
	struct peer *next;
};

struct link *peer_link(struct peer *p)
{
	return p->link;
}

const char *peer_name(const struct peer *p)
{
	return p->name;
}

struct host *peer_host(const struct peer *p)
{
	return p->host;
}

static void leave_list(struct peer *p)
{
	struct peer **at = &p->host->accepted;

	while (p->untaken && *at && *at != p)
		at = &(*at)->next;
	if (p->untaken && *at)
		*at = p->next;
	p->untaken = false;
}

struct peer *peer_free(struct peer *p)
{
	if (!p)
		return NULL;
	leave_list(p);
	p->ops = NULL;
	dial_free(p->dial);
	watch_remove(p->timer);
	struct link *k = p->link;
	p->link = NULL;
	link_free(k);
	free(p);
	return NULL;
}

// The owner frees it; what nobody owns goes here.
static void ended(struct peer *p, const struct ferry_error *why)
{
	const struct peer_ops *ops = p->ops;

	p->timer = watch_remove(p->timer);
	if (p->untaken)
		peer_free(p);
	else if (ops && ops->closed)
		ops->closed(p->arg, p, why);
}

static void on_time(void *arg)
{
	struct peer *p = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	ferry_fail(&e, ETIMEDOUT, "peer-unreachable", "host %s did not say hello in time",
		p->name[0] ? p->name : "(unnamed)");
	ended(p, &e);
}

static void maybe_ready(struct peer *p)
{
	if (!p->heard || !p->answered)
		return;
	p->timer = watch_remove(p->timer);
	if (p->ops && p->ops->ready)
		p->ops->ready(p->arg, p);
}

static void hear_hello(struct peer *p, int64_t id, json_t *args)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	char name[HOST_NAME_MAX_BYTES + 1] = "";
	uint64_t protocol = 0;

	int r = json_get_u64(args, "protocol", UINT32_MAX, &protocol, &e);
	if (r == 0)
		r = json_get_string(args, "host", name, sizeof name, &e);
	if (r == 0 && protocol != PEER_PROTOCOL) {
		r = ferry_fail(&e, EPROTO, "protocol-version",
			"host %s speaks protocol %d, host %s protocol %llu", p->host->config.host,
			PEER_PROTOCOL, name, (unsigned long long)protocol);
		ferry_error_remedy(&e, "install the same version of Ferry on both hosts");
	}
	if (r == 0 && (p->heard || vm_name_check(name, NULL) < 0))
		r = ferry_fail(&e, EPROTO, "bad-message", "a hello that is not valid");
	if (r < 0) {
		link_refuse(p->link, id, &e);
		return;
	}
	p->heard = true;
	snprintf(p->name, sizeof p->name, "%s", name);
	link_answer(p->link, id, NULL);
	maybe_ready(p);
}

static void on_request(
	void *arg, struct link *k, int64_t id, const char *op, json_t *args, int *fds, size_t n_fds)
{
	struct peer *p = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (!strcmp(op, "hello")) {
		hear_hello(p, id, args);
	} else if (!p->heard) {
		ferry_fail(&e, EPROTO, "protocol-version", "hello comes first");
		link_refuse(k, id, &e);
	} else if (p->untaken && !strcmp(op, "check")) {
		precheck_answer(p->host, p, id, args);
	} else if (p->untaken && !strcmp(op, "guest")) {
		guest_serve(p->host, p, id, args);
	} else if (p->untaken) {
		migration_peer_request(p->host, p, id, op, args);
	} else if (p->ops && p->ops->request) {
		p->ops->request(p->arg, p, id, op, args);
	} else {
		ferry_fail(&e, EOPNOTSUPP, "unknown-op", "no request '%.40s' is expected here", op);
		link_refuse(k, id, &e);
	}
}

static void on_event(void *arg, struct link *k, const char *event, json_t *message)
{
	struct peer *p = arg;

	if (p->ops && p->ops->event)
		p->ops->event(p->arg, p, event, message);
}

static void on_closed(void *arg, struct link *k, const struct ferry_error *why)
{
	ended(arg, why);
}

static const struct link_ops peer_link_ops = { on_request, on_event, on_closed };

static void on_hello_answer(
	void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	struct peer *p = arg;

	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (!p->link)
		return; // being freed
	if (e && !strcmp(e->code, "link-lost"))
		return; // `closed` says so
	if (e) {
		ended(p, e);
		return;
	}
	p->answered = true;
	maybe_ready(p);
}

// A peer that vanishes without a word is noticed: 4 s of silence, then three probes a second apart. The
// probes are not sent while something waits to be acknowledged: then the time itself counts (tcp(7)).
static void keep_alive(int fd)
{
	int one = 1, idle = 4, interval = 1, count = 3, unacknowledged_ms = 7000;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

// Takes the descriptor.
static int say_hello(struct peer *p, int fd, struct ferry_error *e)
{
	keep_alive(fd);
	p->link = link_new(p->host->loop, fd, &peer_link_ops, p);
	json_t *args = json_pack("{s:i, s:s, s:s}", "protocol", PEER_PROTOCOL, "host",
		p->host->config.host, "version", FERRY_VERSION_TEXT);
	if (!p->link) {
		json_decref(args);
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for a connection");
	}
	int r = link_request(p->link, "hello", args, NULL, 0, on_hello_answer, p);
	return r < 0 ? ferry_fail(e, r, "peer-unreachable", "the connection broke") : 0;
}

static void on_dialled(void *arg, int fd, const struct ferry_error *e)
{
	struct peer *p = arg;
	struct ferry_error why = FERRY_ERROR_INIT;

	p->dial = NULL;
	if (e)
		ended(p, e);
	else if (say_hello(p, fd, &why) < 0)
		ended(p, &why);
}

struct peer *peer_connect(
	struct host *h, const char *name, int timeout_ms, const struct peer_ops *ops, void *arg)
{
	struct preface preface = { .kind = 'C' };
	struct peer *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	*p = (struct peer){ .host = h, .ops = ops, .arg = arg };
	snprintf(p->name, sizeof p->name, "%s", name);
	p->dial = dial_new(h, name, &preface, timeout_ms, on_dialled, p);
	p->timer = loop_timer(
		h->loop, clock_now_ns() + (timeout_ms + 100) * NSEC_PER_MSEC, on_time, p);
	return p->dial && p->timer ? p : peer_free(p);
}

int peer_accept(struct host *h, int fd, struct ferry_error *e)
{
	struct peer *p = calloc(1, sizeof *p);

	if (!p) {
		close(fd);
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for a connection");
	}
	*p = (struct peer){ .host = h, .untaken = true, .next = h->accepted };
	h->accepted = p;
	p->timer =
		loop_timer(h->loop, clock_now_ns() + HELLO_TIMEOUT_MS * NSEC_PER_MSEC, on_time, p);
	int r = say_hello(p, fd, e);
	if (r < 0)
		peer_free(p);
	return r;
}

void peer_take(struct peer *p, const struct peer_ops *ops, void *arg)
{
	leave_list(p);
	p->ops = ops;
	p->arg = arg;
}

void peer_close_all(struct host *h)
{
	while (h->accepted)
		peer_free(h->accepted);
}
