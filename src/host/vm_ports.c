// SPDX-License-Identifier: Apache-2.0
#include "host/vm_ports.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/host.h"
#include "vm/cmdline.h"
#include "vm/qtree.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

// While a migration is in its stun, or a connection is being made again.
#define RETRY_NS (500 * NSEC_PER_MSEC)

static void next(struct vm_vgpu *g);

static void on_retry(void *arg)
{
	struct vm_vgpu *g = arg;

	g->ports.retry = watch_remove(g->ports.retry);
	next(g);
}

static void later(struct vm_vgpu *g)
{
	g->ports.asking = false;
	if (!g->ports.retry)
		g->ports.retry =
			loop_timer(g->vm->host->loop, clock_now_ns() + RETRY_NS, on_retry, g);
}

static void done(struct vm_vgpu *g)
{
	g->ports.asking = false;
	g->ports.closed[g->ports.index] = false;
	next(g);
}

static void ask_vgpu(struct vm_vgpu *g);

static const json_t *chardev_of(const json_t *chardevs, unsigned gpu, unsigned port)
{
	char label[24];
	json_t *one;
	size_t i;

	snprintf(label, sizeof label, "gpu%up%u", gpu, port);
	json_array_foreach((json_t *)chardevs, i, one)
	{
		if (!strcmp(json_string_or(one, "label", ""), label))
			return one;
	}
	return NULL;
}

// A port that QEMU does not name is not known to be closed: nothing is ended.
bool vm_port_is_open(const json_t *chardevs, unsigned gpu, unsigned port)
{
	return json_bool_or(chardev_of(chardevs, gpu, port), "frontend-open", true);
}

bool vm_ports_are_broken(const json_t *chardevs, unsigned gpu, unsigned ports)
{
	for (unsigned i = 0; i < ports; i++) {
		const char *what = json_string_or(chardev_of(chardevs, gpu, i), "filename", "");
		if (strncmp(what, "disconnected", strlen("disconnected")))
			return false;
	}
	return true;
}

static bool ask_qemu(struct vm_vgpu *g, const char *command, json_t *args, qmp_reply_fn fn)
{
	if (g->vm->qmp)
		return qmp_exec(g->vm->qmp, command, args, 0, fn, g) == 0;
	json_decref(args);
	return false;
}

// Where the guest has it open, or that cannot be known, nothing is ended.
static void on_qtree(void *arg, const json_t *ret, const struct ferry_error *e)
{
	struct vm_vgpu *g = arg;
	char id[24];

	if (!g->ports.asking)
		return;
	snprintf(id, sizeof id, "gpu%up%u", g->index, g->ports.index);
	if (e && strcmp(e->code, "qemu"))
		later(g);
	else if (!json_is_string(ret) || qtree_is_open(json_string_value(ret), id))
		done(g);
	else
		ask_vgpu(g);
}

static void on_chardevs(void *arg, const json_t *ret, const struct ferry_error *e)
{
	struct vm_vgpu *g = arg;

	if (!g->ports.asking)
		return;
	if (e)
		later(g);
	else if (vm_port_is_open(ret, g->index, g->ports.index))
		done(g);
	else if (!g->renew.times)
		ask_vgpu(g);
	else if (!ask_qemu(g, "human-monitor-command", qtree_args(), on_qtree)) // qtree.h
		later(g);
}

// What the vGPU has on the port now: a first look, or what came after the one that was ended.
static void on_session(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	struct vm_vgpu *g = arg;

	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (!g->ports.asking)
		return;
	if (e) {
		log_debug("%s: port %u: %s", g->vm->name, g->ports.index, e->message);
		if (!strcmp(e->code, "bad-state") || !strcmp(e->code, "link-lost"))
			later(g);
		else
			done(g);
		return;
	}
	g->ports.session = json_int_or(ok, "session", 0);
	if (!g->ports.session)
		done(g);
	else if (!ask_qemu(g, "query-chardev", NULL, on_chardevs))
		later(g);
}

static void ask_vgpu(struct vm_vgpu *g)
{
	if (!g->link || link_request(g->link, "ports.closed",
				json_pack("{s:i, s:I}", "index", (int)g->ports.index, "session",
					(json_int_t)g->ports.session),
				NULL, 0, on_session, g) < 0)
		later(g);
}

// One port at a time.
static void next(struct vm_vgpu *g)
{
	const bool *first = memchr(g->ports.closed, 1, sizeof g->ports.closed);

	if (g->ports.asking || g->ports.retry || !first)
		return;
	g->ports.asking = true;
	g->ports.index = (unsigned)(first - g->ports.closed);
	g->ports.session = 0;
	ask_vgpu(g);
}

void vm_ports_changed(struct vm *vm, const json_t *data)
{
	const char *id = json_string_or(data, "id", "");
	unsigned gpu, port;
	int end = 0;

	if (json_bool_or(data, "open", true))
		return;
	if (sscanf(id, "gpu%2up%2u%n", &gpu, &port, &end) != 2 || id[end] || gpu >= vm->n_vgpus ||
		port >= vm->n_ports)
		return;
	vm->vgpus[gpu].ports.closed[port] = true;
	next(&vm->vgpus[gpu]);
}

static void on_look(void *arg, const json_t *ret, const struct ferry_error *e)
{
	struct vm *vm = arg;

	if (e)
		log_debug("%s: its ports were not looked at: %s", vm->name, e->message);
	for (unsigned gpu = 0; !e && gpu < vm->n_vgpus; gpu++) {
		for (unsigned port = 0; port < vm->n_ports; port++)
			if (!vm_port_is_open(ret, gpu, port))
				vm->vgpus[gpu].ports.closed[port] = true;
		next(&vm->vgpus[gpu]);
	}
}

void vm_ports_look(struct vm *vm)
{
	if (vm->qmp && vm->n_vgpus)
		qmp_exec(vm->qmp, "query-chardev", NULL, 0, on_look, vm);
}

void vm_ports_forget(struct vm_vgpu *g)
{
	g->ports.asking = false;
	memset(g->ports.closed, 0, sizeof g->ports.closed);
	g->ports.retry = watch_remove(g->ports.retry);
}
