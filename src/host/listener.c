// SPDX-License-Identifier: Apache-2.0
#include "host/listener.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/socket.h"
#include "host/host.h"
#include "host/migration/migration.h"
#include "host/peer.h"

#include <errno.h>
#include <sys/socket.h>

#define PREFACE_TIMEOUT_MS 5000
#define MAX_GUESTS         128 // connections without a preface yet; more are closed at once

// A connection whose preface is being read.
struct guest {
	struct guest *next;
	struct listener *listener;
	int fd;
	struct watch *watch, *timer;
	uint8_t preface[PREFACE_BYTES];
	size_t got;
};

struct listener {
	struct host *host;
	int fd;
	struct watch *watch;
	struct guest *guests;
	unsigned n_guests;
	int timeout_ms; // for a preface
};

static void guest_free(struct guest *g)
{
	struct guest **at = &g->listener->guests;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	g->listener->n_guests--;
	watch_remove(g->watch);
	watch_remove(g->timer);
	if (g->fd >= 0)
		close(g->fd);
	free(g);
}

static void on_deadline(void *arg)
{
	log_warn("a connection sent no preface in time");
	guest_free(arg);
}

static void route(struct guest *g)
{
	struct host *h = g->listener->host;
	struct ferry_error e = FERRY_ERROR_INIT;
	struct preface p;
	int fd = take_fd(g->fd);

	int r = preface_decode(g->preface, &p, &e);
	guest_free(g);
	if (r < 0) {
		close(fd);
	} else if (p.kind == 'C') {
		r = peer_accept(h, fd, &e);
	} else {
		fd_set_nonblocking(fd, 0);
		r = migration_accept_channel(h, fd, &p, &e);
		if (r < 0)
			close(fd);
	}
	if (r < 0)
		log_warn("a connection was refused: %s", e.message);
}

static void on_readable(void *arg, int fd, uint32_t events)
{
	struct guest *g = arg;
	ssize_t n = recv(fd, g->preface + g->got, sizeof g->preface - g->got, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		guest_free(g);
		return;
	}
	g->got += (size_t)n;
	if (g->got < sizeof g->preface)
		return;
	g->watch = watch_remove(g->watch);
	route(g);
}

static void on_connection(void *arg, int fd, uint32_t events)
{
	struct listener *l = arg;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (peer < 0)
		return;
	struct guest *g = l->n_guests < MAX_GUESTS ? calloc(1, sizeof *g) : NULL;
	if (!g) {
		close(peer);
		return;
	}
	*g = (struct guest){ .next = l->guests, .listener = l, .fd = peer };
	l->guests = g;
	l->n_guests++;
	g->watch = loop_fd(l->host->loop, peer, EPOLLIN, on_readable, g);
	g->timer = loop_timer(
		l->host->loop, clock_now_ns() + l->timeout_ms * NSEC_PER_MSEC, on_deadline, g);
	if (!g->watch || !g->timer)
		guest_free(g);
}

struct listener *listener_new(struct host *h, const char *address, struct ferry_error *e)
{
	int fd = tcp_listen(address, e);

	if (fd < 0)
		return NULL;
	fd_set_nonblocking(fd, 1);
	struct listener *l = calloc(1, sizeof *l);
	if (l) {
		l->host = h;
		l->fd = fd;
		l->timeout_ms = PREFACE_TIMEOUT_MS;
		l->watch = loop_fd(h->loop, fd, EPOLLIN, on_connection, l);
	}
	if (!l || !l->watch) {
		ferry_fail(e, ENOMEM, "no-memory", "no memory to listen");
		close(fd);
		free(l);
		return NULL;
	}
	return l;
}

struct listener *listener_free(struct listener *l)
{
	if (!l)
		return NULL;
	while (l->guests)
		guest_free(l->guests);
	watch_remove(l->watch);
	close(l->fd);
	free(l);
	return NULL;
}

void listener_set_timeout_ms(struct listener *l, int ms)
{
	l->timeout_ms = ms;
}

int listener_port(const struct listener *l)
{
	return tcp_local_port(l->fd);
}
