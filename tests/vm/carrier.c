// SPDX-License-Identifier: Apache-2.0
#include "carrier.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/socket.h"
#include "base/test.h"
#include "machine.h"
#include "wire/link.h"

#include <sys/wait.h>

static void on_event(void *arg, struct link *k, const char *event, json_t *message)
{
	struct carrier *c = arg;

	CHECK_STR(event, "closed");
	c->closed = json_incref(message);
}

static void on_closed(void *arg, struct link *k, const struct ferry_error *why)
{
	struct carrier *c = arg;

	c->link = link_free(k);
}

void carrier_start(struct carrier *c, struct loop *l, const char *role, const char *dir)
{
	static const struct link_ops ops = { .event = on_event, .closed = on_closed };
	char control[160], stream[160];
	const char *argv[] = { getenv("FERRY_RELAY"), "--control", control, "--role", role,
		"--stream", stream, NULL };
	struct process_spec spec = { .argv = argv, .log_fd = 2 };
	int fd = -1;

	*c = (struct carrier){ .loop = l };
	snprintf(control, sizeof control, "%s/relay.sock", dir);
	snprintf(stream, sizeof stream, "%s/ram.sock", dir);
	CHECK(argv[0]);
	CHECK_EQ(process_start(&spec, &c->pid, NULL), 0);
	machines_guard_pid(c->pid);
	for (int i = 0; i < 500 && fd < 0; i++) {
		machine_turn(l);
		fd = unix_connect(control, NULL);
	}
	CHECK(fd >= 0);
	c->link = link_new(l, fd, &ops, c);
	CHECK(c->link);
}

static void on_answer(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	struct carrier *c = arg;

	if (e)
		fprintf(stderr, "ferry-relay: %s\n", e->message);
	CHECK(ok);
	c->answer = json_incref(ok);
}

const json_t *carrier_do(struct carrier *c, const char *op, int fd)
{
	json_decref(c->answer);
	c->answer = NULL;
	CHECK_EQ(link_request(c->link, op, NULL, &fd, fd >= 0, on_answer, c), 0);
	while (!c->answer)
		machine_turn(c->loop);
	return c->answer;
}

int carrier_wait(struct carrier *c)
{
	int status = -1;
	int64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;

	while (waitpid(c->pid, &status, WNOHANG) == 0) {
		CHECK(clock_now_ns() < end);
		machine_turn(c->loop);
	}
	json_decref(c->answer);
	c->answer = NULL;
	c->link = link_free(c->link);
	return status;
}
