// SPDX-License-Identifier: Apache-2.0
#include "host/migration/relay_process.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/socket.h"
#include "host/host.h"
#include "host/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_EVERY_NS (5 * NSEC_PER_MSEC)
#define CONNECT_LIMIT_NS (3 * NSEC_PER_SEC)

struct relay_process {
	struct loop *loop;
	struct relay_process_ops ops;
	void *arg;
	char control[64];
	struct link *link;
	struct watch *timer;
	int64_t give_up_ns;
};

static void paths(const struct vm *vm, bool source, char *control, char *stream, size_t size)
{
	vm_path(vm, source ? "relay-out.sock" : "relay-in.sock", control, size);
	vm_path(vm, source ? "ram-out.sock" : "ram-in.sock", stream, size);
}

static void on_event(void *arg, struct link *k, const char *event, json_t *message)
{
	struct relay_process *r = arg;

	(void)k;
	if (!strcmp(event, "closed") && r->ops.closed)
		r->ops.closed(r->arg, message);
}

static void on_closed(void *arg, struct link *k, const struct ferry_error *why)
{
	struct relay_process *r = arg;

	(void)k, (void)why;
	r->link = link_free(r->link);
}

static const struct link_ops link_table = { .event = on_event, .closed = on_closed };

static void on_timer(void *arg)
{
	struct relay_process *r = arg;
	struct ferry_error e = FERRY_ERROR_INIT;
	int fd = unix_connect(r->control, &e);

	if (fd < 0 && clock_now_ns() < r->give_up_ns) {
		watch_set_timer(r->timer, clock_now_ns() + CONNECT_EVERY_NS);
		return;
	}
	r->timer = watch_remove(r->timer);
	if (fd >= 0) {
		r->link = link_new(r->loop, fd, &link_table, r);
		if (!r->link)
			ferry_fail(&e, ENOMEM, "no-memory", "out of memory");
	}
	if (!r->link)
		ferry_error_prefix(&e, "ferry-relay");
	r->ops.ready(r->arg, r->link ? NULL : &e);
}

// Only so that it is reaped when it ends, also after we forgot it; its end is seen on the link.
static void on_exit_of(void *arg, pid_t pid, int status)
{
	struct watch **exit = arg;

	(void)pid, (void)status;
	watch_remove(*exit);
	free(exit);
}

static void reap_later(struct loop *l, pid_t pid)
{
	struct watch **exit = calloc(1, sizeof *exit);

	if (exit)
		*exit = loop_process(l, pid, on_exit_of, exit);
	if (exit && !*exit)
		free(exit);
}

static int launch(struct relay_process *r, struct vm *vm, bool source, uint64_t bandwidth,
	struct ferry_error *e)
{
	char program[4200], stream[64], log[64], rate[24];
	const char *argv[] = { program, "--control", r->control, "--role",
		source ? "source" : "destination", "--stream", stream,
		bandwidth ? "--bandwidth" : NULL, rate, NULL };
	pid_t pid = 0;

	paths(vm, source, r->control, stream, sizeof stream);
	vm_path(vm, "relay.log", log, sizeof log);
	snprintf(program, sizeof program, "%s/ferry-relay", vm->host->config.programs);
	snprintf(rate, sizeof rate, "%" PRIu64, bandwidth);
	_cleanup_fd_ int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	struct process_spec spec = { .argv = argv, .log_fd = log_fd, .detached = true };
	int got = process_start(&spec, &pid, e);
	if (got < 0)
		return got;
	reap_later(r->loop, pid);
	return 0;
}

struct relay_process *relay_start(struct vm *vm, bool source, uint64_t bandwidth,
	const struct relay_process_ops *ops, void *arg, struct ferry_error *e)
{
	struct relay_process *r = calloc(1, sizeof *r);

	if (!r) {
		ferry_fail(e, ENOMEM, "no-memory", "out of memory");
		return NULL;
	}
	r->loop = vm->host->loop;
	r->ops = *ops;
	r->arg = arg;
	if (launch(r, vm, source, bandwidth, e) < 0) {
		free(r);
		return NULL;
	}
	int64_t now = clock_now_ns();
	r->give_up_ns = now + CONNECT_LIMIT_NS;
	r->timer = loop_timer(r->loop, now + CONNECT_EVERY_NS, on_timer, r);
	return r;
}

struct link *relay_link(struct relay_process *r)
{
	return r ? r->link : NULL;
}

void relay_end(struct relay_process *r)
{
	if (!r)
		return;
	if (r->link)
		link_request(r->link, "quit", NULL, NULL, 0, NULL, NULL);
	relay_forget(r);
}

void relay_forget(struct relay_process *r)
{
	if (!r)
		return;
	watch_remove(r->timer);
	link_free(r->link);
	free(r);
}

void relay_end_stray(struct vm *vm, bool source)
{
	char control[64], stream[64];

	paths(vm, source, control, stream, sizeof stream);
	int fd = unix_connect(control, NULL);
	static const struct link_ops silent;
	struct link *k = fd < 0 ? NULL : link_new(vm->host->loop, fd, &silent, NULL);
	if (!k)
		return;
	link_request(k, "quit", NULL, NULL, 0, NULL, NULL);
	link_free(k);
}
