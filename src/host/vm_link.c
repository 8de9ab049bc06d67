// SPDX-License-Identifier: Apache-2.0
#include "host/vm_link.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/socket.h"
#include "host/host.h"
#include "host/vm_ports.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RETRY_NS (50 * NSEC_PER_MSEC)

static void tell(struct vm_link_waiter *w, const struct ferry_error *e)
{
	struct vm_link_waiter waiter = *w;

	*w = (struct vm_link_waiter){ 0 };
	if (waiter.fn)
		waiter.fn(waiter.arg, e);
}

static void again(struct vm *vm, struct watch **timer, loop_fn fn, void *arg)
{
	int64_t at = clock_now_ns() + RETRY_NS;

	if (*timer)
		watch_set_timer(*timer, at);
	else
		*timer = loop_timer(vm->host->loop, at, fn, arg);
}

static void tell_reconnected(struct vm *vm, int index, bool *was_connected)
{
	bool before = *was_connected;

	*was_connected = true;
	if (before && vm->observer && vm->observer->reconnected)
		vm->observer->reconnected(vm->observer_arg, vm, index);
}

// ---- QMP ----

static void try_qmp(void *arg);

static void on_qmp_ready(void *arg)
{
	struct vm *vm = arg;

	tell(&vm->qmp_waiter, NULL);
	tell_reconnected(vm, -1, &vm->qmp_was_connected);
	if (vm->qmp && vm->state == VM_RUNNING)
		vm_ports_look(vm);
}

static void on_qmp_event(void *arg, const char *name, const json_t *data, int64_t wall_ns)
{
	struct vm *vm = arg;

	log_debug("%s: QMP event %s", vm->name, name);
	if (!strcmp(name, "VSERPORT_CHANGE"))
		vm_ports_changed(vm, data);
	if (vm->observer && vm->observer->qmp_event)
		vm->observer->qmp_event(vm->observer_arg, vm, name, data, wall_ns);
}

static void on_qmp_closed(void *arg, const struct ferry_error *e)
{
	struct vm *vm = arg;

	vm->qmp = qmp_free(vm->qmp);
	if (vm->qemu.pid)
		again(vm, &vm->qmp_retry, try_qmp, vm);
}

static void try_qmp(void *arg)
{
	static const struct qmp_handlers handlers = { on_qmp_ready, on_qmp_event, on_qmp_closed };
	struct vm *vm = arg;
	char path[160];

	if (vm->qmp || !vm->qemu.pid)
		return;
	vm_path(vm, "qmp.sock", path, sizeof path);
	vm->qmp = qmp_connect(vm->host->loop, path, &handlers, vm, NULL);
	if (!vm->qmp)
		again(vm, &vm->qmp_retry, try_qmp, vm);
}

void vm_connect_qmp(struct vm *vm, vm_link_fn fn, void *arg)
{
	vm->qmp_waiter = (struct vm_link_waiter){ fn, arg };
	try_qmp(vm);
}

// ---- ferry-vgpu ----

static void try_vgpu(void *arg);

static void send_fault(void *arg, const char *name, const char *action)
{
	link_request(arg, "fault", json_pack("{s:s, s:s}", "name", name, "action", action), NULL, 0,
		NULL, NULL);
}

static void on_hello(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds)
{
	struct vm_vgpu *g = arg;

	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (!ok) {
		// A lost connection is made again; what answers wrongly will not get better.
		if (strcmp(e->code, "link-lost"))
			tell(&g->waiter, e);
		return;
	}
	snprintf(g->tracker, sizeof g->tracker, "%s", json_string_or(ok, "tracker", ""));
	host_device_parse(&g->device, json_object_get(ok, "device"));
	faults_for_vgpu(g->vm->host->faults, send_fault, g->link);
	tell(&g->waiter, NULL);
	tell_reconnected(g->vm, (int)g->index, &g->was_connected);
}

static void on_vgpu_event(void *arg, struct link *k, const char *event, json_t *message)
{
	struct vm_vgpu *g = arg;
	struct vm *vm = g->vm;

	if (!strcmp(event, "fault.held"))
		faults_vgpu_held(vm->host->faults, json_string_or(message, "name", ""));
	else if (vm->observer && vm->observer->vgpu_event)
		vm->observer->vgpu_event(vm->observer_arg, vm, g->index, event, message);
}

static void on_vgpu_closed(void *arg, struct link *k, const struct ferry_error *why)
{
	struct vm_vgpu *g = arg;

	g->link = link_free(g->link);
	if (g->process.pid)
		again(g->vm, &g->retry, try_vgpu, g);
}

static const struct link_ops vgpu_ops = { .event = on_vgpu_event, .closed = on_vgpu_closed };

static void try_vgpu(void *arg)
{
	struct vm_vgpu *g = arg;
	char file[24], path[160];

	if (g->link || !g->process.pid)
		return;
	snprintf(file, sizeof file, "vgpu%u.sock", g->index);
	vm_path(g->vm, file, path, sizeof path);
	int fd = unix_connect(path, NULL);
	if (fd >= 0)
		g->link = link_new(g->vm->host->loop, fd, &vgpu_ops, g);
	if (!g->link || link_request(g->link, "hello", NULL, NULL, 0, on_hello, g) < 0)
		again(g->vm, &g->retry, try_vgpu, g);
}

void vm_connect_vgpu(struct vm_vgpu *g, vm_link_fn fn, void *arg)
{
	g->waiter = (struct vm_link_waiter){ fn, arg };
	try_vgpu(g);
}

void vm_disconnect_one(struct vm *vm, int index)
{
	if (index < 0) {
		vm->qmp = qmp_free(vm->qmp);
		vm->qmp_retry = watch_remove(vm->qmp_retry);
		vm->qmp_waiter = (struct vm_link_waiter){ 0 };
		vm->qmp_was_connected = false;
		for (unsigned i = 0; i < VM_GPUS_MAX; i++)
			vm_ports_forget(&vm->vgpus[i]);
		return;
	}
	struct vm_vgpu *g = &vm->vgpus[index];
	struct link *k = g->link;
	g->link = NULL;
	g->retry = watch_remove(g->retry);
	g->waiter = (struct vm_link_waiter){ 0 };
	g->was_connected = false;
	link_free(k);
	vm_ports_forget(g);
}

void vm_disconnect(struct vm *vm)
{
	vm_disconnect_one(vm, -1);
	for (unsigned i = 0; i < VM_GPUS_MAX; i++)
		vm_disconnect_one(vm, (int)i);
}
