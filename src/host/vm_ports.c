// SPDX-License-Identifier: Apache-2.0
#include "host/vm_ports.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/host.h"
#include "vm/cmdline.h"

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

// A port that QEMU does not name is not known to be closed: nothing is ended.
static bool is_open(const json_t *chardevs, unsigned gpu, unsigned port)
{
	char label[16];
	json_t *one;
	size_t i;

	snprintf(label, sizeof label, "gpu%up%u", gpu, port);
	json_array_foreach((json_t *)chardevs, i, one)
	{
		if (!strcmp(json_string_or(one, "label", ""), label))
			return json_bool_or(one, "frontend-open", true);
	}
	return true;
}

static void on_chardevs(void *arg, const json_t *ret, const struct ferry_error *e)
{
	struct vm_vgpu *g = arg;

	if (!g->ports.asking)
		return;
	if (e)
		later(g);
	else if (is_open(ret, g->index, g->ports.index))
		done(g);
	else
		ask_vgpu(g);
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
	else if (!g->vm->qmp || qmp_exec(g->vm->qmp, "query-chardev", NULL, 0, on_chardevs, g) < 0)
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
			if (!is_open(ret, gpu, port))
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
