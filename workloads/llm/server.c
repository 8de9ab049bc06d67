// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jobs.h"
#include "routes.h"

#define MAX_CONNECTIONS MAX_JOBS
#define SLOT_SIGNAL     0
#define SLOT_LISTEN     1
#define FIRST_CLIENT    2

struct server {
	struct jobs jobs;
	struct connection clients[MAX_CONNECTIONS];
	int listener, signals;
	bool stop;
};

static int resolve(const char *listen_at, struct addrinfo **ret, struct failure *f)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV };
	const char *colon = strrchr(listen_at, ':');
	char host[128];
	int r;

	// getaddrinfo() takes the lower 16 bits of any number.
	if (!colon || (size_t)(colon - listen_at) >= sizeof host || strlen(colon) > 6 ||
		strtoul(colon + 1, NULL, 10) > 65535)
		return fail(f, EINVAL, "--listen \"%s\" is not ADDR:PORT", listen_at);
	snprintf(host, sizeof host, "%.*s", (int)(colon - listen_at), listen_at);
	r = getaddrinfo(*host ? host : NULL, colon + 1, &hints, ret);
	if (r)
		return fail(f, EINVAL, "--listen \"%s\": %s", listen_at, gai_strerror(r));
	return 0;
}

static int open_listener(struct server *s, const char *listen_at, struct failure *f)
{
	struct addrinfo *at;
	int on = 1, r = resolve(listen_at, &at, f);

	if (r)
		return r;
	s->listener = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener >= 0)
		setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (s->listener < 0 || bind(s->listener, at->ai_addr, at->ai_addrlen) ||
		listen(s->listener, 64))
		r = fail(f, errno, "listening on %s: %s", listen_at, strerror(errno));
	freeaddrinfo(at);
	return r;
}

static void announce(const struct server *s)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at;
	char host[64] = "?", port[16] = "?";

	getsockname(s->listener, (struct sockaddr *)&at, &len);
	getnameinfo((struct sockaddr *)&at, len, host, sizeof host, port, sizeof port,
		NI_NUMERICHOST | NI_NUMERICSERV);
	printf("listening on %s:%s\n", host, port);
	fflush(stdout);
}

static int open_signals(struct server *s, struct failure *f)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? fail(f, errno, "signalfd: %s", strerror(errno)) : 0;
}

static void drop_client(struct server *s, struct connection *c)
{
	jobs_cancel(&s->jobs, c);
	connection_close(c);
}

static void accept_client(struct server *s)
{
	int on = 1, fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++) {
		if (s->clients[i].fd < 0) {
			connection_open(&s->clients[i], fd);
			return;
		}
	}
	close(fd); // no room: more connections than can be polled
}

// Answers the requests in the input buffer, one after another; a job holds back those behind it.
static void handle_input(struct server *s, struct connection *c)
{
	while (!c->close_after && !jobs_of(&s->jobs, c)) {
		struct http_request r;
		long n = http_parse(c->in.data, c->in.len, &r);

		if (n == 0)
			return;
		if (n < 0) {
			c->keep_alive = false;
			routes_error(c, (int)-n, http_reason((int)-n));
			return;
		}
		c->keep_alive = r.keep_alive;
		c->chunks = r.chunks;
		routes_handle(&s->jobs, c, &r);
		bytes_drop(&c->in, (size_t)n);
	}
}

// Reads, answers and sends for one client; drops it when it is done or gone. A client that has
// closed its side wants no more.
static void serve_client(struct server *s, struct connection *c, short revents)
{
	int r = revents & POLLIN ? connection_read(c) : 0;

	if (revents & (POLLERR | POLLHUP))
		r = -ECONNRESET;
	if (!r && !c->ended)
		handle_input(s, c);
	if (!r)
		r = connection_write(c);
	if (r || c->ended || (c->close_after && !c->out.len))
		drop_client(s, c);
}

static void prepare_poll(struct server *s, struct pollfd *p)
{
	p[SLOT_SIGNAL] = (struct pollfd){ .fd = s->signals, .events = POLLIN };
	p[SLOT_LISTEN] = (struct pollfd){ .fd = s->listener, .events = POLLIN };
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++) {
		const struct connection *c = &s->clients[i];
		bool room = c->in.len < HTTP_MAX_HEAD + HTTP_MAX_BODY;

		p[FIRST_CLIENT + i] = (struct pollfd){ .fd = c->fd,
			.events = (short)((room ? POLLIN : 0) | (c->out.len ? POLLOUT : 0)) };
	}
}

static int poll_once(struct server *s, struct failure *f)
{
	struct pollfd p[FIRST_CLIENT + MAX_CONNECTIONS];
	int wait_ms = s->jobs.model->ready ? jobs_wait_ms(&s->jobs) : 0;

	prepare_poll(s, p);
	if (poll(p, FIRST_CLIENT + MAX_CONNECTIONS, wait_ms) < 0)
		return errno == EINTR ? 0 : fail(f, errno, "poll: %s", strerror(errno));
	s->stop = p[SLOT_SIGNAL].revents != 0;
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
		if (p[FIRST_CLIENT + i].fd >= 0 && p[FIRST_CLIENT + i].revents)
			serve_client(s, &s->clients[i], p[FIRST_CLIENT + i].revents);
	if (p[SLOT_LISTEN].revents)
		accept_client(s);
	return 0;
}

static int load_step(struct server *s, const struct options *o, struct failure *f)
{
	int r = model_load_step(s->jobs.model, o->platform, o->device, f);

	if (!r)
		fprintf(stderr, "%s\n", s->jobs.model->progress);
	if (!r && s->jobs.model->ready)
		fprintf(stderr, "ready\n");
	return r;
}

// A token goes out at once, and a finished job may let the next request of its client in.
static int generate_and_send(struct server *s, struct failure *f)
{
	struct connection *c;
	int r;

	if (jobs_wait_ms(&s->jobs))
		return 0;
	r = jobs_step(&s->jobs, f);
	for (unsigned i = 0; !r && i < MAX_CONNECTIONS; i++) {
		c = &s->clients[i];
		if (c->fd >= 0 && c->out.len)
			serve_client(s, c, 0);
	}
	return r;
}

static int loop(struct server *s, const struct options *o, struct failure *f)
{
	int r = 0;

	while (!r && !s->stop) {
		r = poll_once(s, f);
		if (!r && !s->stop)
			r = s->jobs.model->ready ? generate_and_send(s, f) : load_step(s, o, f);
	}
	return r;
}

int server_run(struct model *m, const struct options *o, struct failure *f)
{
	struct server *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return fail(f, ENOMEM, "out of host memory");
	s->jobs.model = m;
	s->jobs.pace = o->pace;
	s->listener = s->signals = -1;
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
		s->clients[i].fd = -1;
	r = open_listener(s, o->listen, f);
	if (!r)
		r = open_signals(s, f);
	if (!r)
		announce(s);
	if (!r)
		r = loop(s, o, f);
	jobs_free(&s->jobs);
	for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
		connection_close(&s->clients[i]);
	if (s->listener >= 0)
		close(s->listener);
	if (s->signals >= 0)
		close(s->signals);
	free(s);
	return r;
}
