// SPDX-License-Identifier: Apache-2.0
#include "connections.h"

#include "base/json.h"
#include "base/test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_MS 2

enum use { UNUSED, CONNECTED, OVER };

struct connection;

// One direction of a connection.
struct wire {
	pthread_mutex_t running; // held while bytes are in here; the switch holds it too
	struct connection *of;
	bool out; // from the program to the port
	pthread_t thread;
};

struct connection {
	_Atomic enum use use;
	int program, port; // changed with both wires held, or while none runs
	struct wire wires[2];
};

static struct connection all[CONNECTIONS_MAX];
static pthread_t acceptor;
static int listening;
static atomic_bool ending;

// False when there was nothing to carry.
static bool carry(struct wire *w)
{
	static _Thread_local uint8_t bytes[65536];
	struct connection *c = w->of;

	pthread_mutex_lock(&w->running);
	int from = w->out ? c->program : c->port, to = w->out ? c->port : c->program;
	ssize_t n = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
	for (ssize_t at = 0; at < n;) {
		ssize_t sent = send(to, bytes + at, (size_t)(n - at), MSG_NOSIGNAL);
		if (sent <= 0)
			break; // the program has ended
		at += sent;
	}
	pthread_mutex_unlock(&w->running);
	if (n == 0)
		atomic_store(&c->use, OVER);
	return n > 0;
}

static void *run_wire(void *arg)
{
	struct wire *w = arg;
	struct connection *c = w->of;

	while (atomic_load(&c->use) == CONNECTED) {
		struct pollfd p = { .fd = w->out ? c->program : c->port, .events = POLLIN };
		poll(&p, 1, LOOK_MS);
		while (atomic_load(&c->use) == CONNECTED && carry(w))
			;
	}
	return NULL;
}

// NULL when no more are wanted.
static struct connection *wait_free(void)
{
	for (;; usleep(LOOK_MS * 1000)) {
		for (struct connection *c = all; c < all + CONNECTIONS_MAX; c++)
			if (atomic_load(&c->use) == UNUSED)
				return c;
		if (atomic_load(&ending))
			return NULL;
	}
}

static void *accept_programs(void *arg)
{
	struct connection *c;
	int fd;

	while ((fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		if (!(c = wait_free())) {
			close(fd);
			break;
		}
		c->program = fd;
		atomic_store(&c->use, CONNECTED);
		for (int i = 0; i < 2; i++)
			CHECK_EQ(pthread_create(&c->wires[i].thread, NULL, run_wire, &c->wires[i]),
				0);
	}
	return NULL;
}

static void disconnect(struct connection *c)
{
	atomic_store(&c->use, OVER);
	for (int i = 0; i < 2; i++)
		pthread_join(c->wires[i].thread, NULL);
	close(c->program);
}

// ports.closed in the two steps of session/port.h; what QEMU would be asked between them is known here.
static void tell_closed(struct testhost *host, int index)
{
	json_t *ok = testhost_call(host, "ports.closed",
		json_pack("{s:i, s:i}", "index", index, "session", 0), NULL, 0);

	testhost_do(host, "ports.closed",
		json_pack("{s:i, s:I}", "index", index, "session", json_int_or(ok, "session", 0)));
	json_decref(ok);
}

void connections_begin(int listen_fd, const struct testhost *host)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		all[i] = (struct connection){ .program = -1, .port = host->ports[i] };
		for (int k = 0; k < 2; k++) {
			struct wire *w = &all[i].wires[k];
			*w = (struct wire){ .of = &all[i], .out = k == 0 };
			pthread_mutex_init(&w->running, NULL);
		}
	}
	listening = listen_fd;
	CHECK_EQ(pthread_create(&acceptor, NULL, accept_programs, NULL), 0);
}

bool connections_any(void)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (atomic_load(&all[i].use) == CONNECTED)
			return true;
	return false;
}

void connections_settle(struct testhost *host)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		if (atomic_load(&all[i].use) != OVER)
			continue;
		disconnect(&all[i]);
		tell_closed(host, i);
		atomic_store(&all[i].use, UNUSED);
	}
}

void connections_hold(void)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		for (int k = 0; k < 2; k++)
			pthread_mutex_lock(&all[i].wires[k].running);
}

void connections_resume(const struct testhost *host)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		close(all[i].port);
		all[i].port = host->ports[i];
		for (int k = 0; k < 2; k++)
			pthread_mutex_unlock(&all[i].wires[k].running);
	}
}

void connections_end(void)
{
	atomic_store(&ending, true);
	shutdown(listening, SHUT_RDWR); // ends accept4(2)
	pthread_join(acceptor, NULL);
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (atomic_load(&all[i].use) != UNUSED)
			disconnect(&all[i]);
}
