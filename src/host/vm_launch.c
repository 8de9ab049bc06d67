// SPDX-License-Identifier: Apache-2.0
// Starting a VM, fresh or incoming: its programs, then its connections, then (fresh) its guest.
#include "base/cleanup.h"
#include "base/log.h"
#include "host/agent.h"
#include "host/host.h"
#include "host/placement.h"
#include "host/vm_link.h"
#include "host/vm_start.h"
#include "host/vm_user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BOOT_TIMEOUT_MS 180000 // an emulated guest on a busy host

struct vm_launch {
	struct vm *vm;
	bool incoming;
	unsigned waiting; // connections that are not there yet
	bool failing;     // the first error is kept, the processes are being ended
	struct ferry_error why;
	struct agent_wait *boot;
	vm_progress_fn progress;
	vm_done_fn done;
	void *arg;
};

static void step(struct vm_launch *l, const char *text)
{
	if (l->progress)
		l->progress(l->arg, l->vm, text);
}

static void finish(struct vm_launch *l)
{
	struct vm *vm = l->vm;

	agent_wait_free(l->boot);
	vm->launch = NULL;
	if (l->why.err)
		vm_log(vm, "start failed: %s", l->why.message);
	l->done(l->arg, vm, l->why.err ? &l->why : NULL);
	free(l);
}

static void on_ended(void *arg, struct vm *vm, const struct ferry_error *e)
{
	struct vm_launch *l = arg;
	struct ferry_error why = FERRY_ERROR_INIT;

	if (vm->state == VM_RUNNING &&
		vm_set_state(vm, VM_STOPPED, vm->epoch, NULL, "its start failed", &why) < 0)
		log_error("%s", why.message);
	finish(l);
}

static void fail(struct vm_launch *l, const struct ferry_error *e)
{
	if (l->failing)
		return;
	l->failing = true;
	l->why = *e;
	l->boot = agent_wait_free(l->boot);
	vm_kill(l->vm, on_ended, l);
}

void vm_launch_process_ended(struct vm *vm, const struct ferry_error *e)
{
	fail(vm->launch, e);
}

static void on_booted(void *arg, const struct ferry_error *e)
{
	struct vm_launch *l = arg;

	if (e) {
		fail(l, e);
		return;
	}
	l->vm->booted = true;
	vm_log(l->vm, "the guest has booted");
	finish(l);
}

static void on_cont(void *arg, const json_t *ret, const struct ferry_error *e)
{
	struct vm *vm = arg;
	struct vm_launch *l = vm->launch;
	struct ferry_error why = FERRY_ERROR_INIT;

	if (!l || l->failing)
		return;
	if (e) {
		fail(l, e);
		return;
	}
	if (vm_set_state(vm, VM_RUNNING, vm->epoch, vm->host->config.host, "started", &why) < 0) {
		fail(l, &why);
		return;
	}
	step(l, "waiting for the guest to boot");
	l->boot = agent_wait_new(vm, BOOT_TIMEOUT_MS, on_booted, l);
	if (!l->boot) {
		ferry_fail(&why, ENOMEM, "no-memory", "no memory to wait for the guest");
		fail(l, &why);
	}
}

static void all_connected(struct vm_launch *l)
{
	struct ferry_error why = FERRY_ERROR_INIT;

	if (l->incoming) {
		finish(l);
		return;
	}
	int r = qmp_exec(l->vm->qmp, "cont", NULL, 0, on_cont, l->vm);
	if (r < 0) {
		ferry_fail(&why, r, "qemu-gone", "QEMU's monitor was lost");
		fail(l, &why);
	}
}

static void on_connected(void *arg, const struct ferry_error *e)
{
	struct vm_launch *l = arg;

	if (e)
		fail(l, e);
	else if (--l->waiting == 0 && !l->failing)
		all_connected(l);
}

static int start_programs(struct vm_launch *l, struct ferry_error *e)
{
	struct vm *vm = l->vm;
	struct vm_ports ports;

	vm_ports_init(&ports);
	int r = placement_assign(vm, e);
	if (r == 0)
		r = vm_user_take(vm, e);
	if (r == 0)
		r = vm_ports_open(&ports, 0, vm->n_vgpus, vm->n_ports, e);
	for (unsigned i = 0; i < vm->n_vgpus && r == 0; i++)
		r = vm_start_vgpu(vm, i, &ports, l->incoming, e);
	if (r == 0)
		r = vm_start_qemu(vm, &ports, l->incoming, e);
	vm_ports_close(&ports);
	return r;
}

static int check(struct vm *vm, bool incoming, struct ferry_error *e)
{
	struct host *h = vm->host;

	if (vm->launch || vm->kill || vm->stop || vm_has_processes(vm))
		return ferry_fail(e, EBUSY, "busy",
			"VM '%s' is running, starting or stopping already", vm->name);
	if (vm->state != (incoming ? VM_INCOMING : VM_STOPPED))
		return ferry_fail(e, EINVAL, "bad-state", "VM '%s' is %s", vm->name,
			vm_state_name(vm->state));
	if (!h->facts.qemu_version[0]) {
		int r = ferry_fail(e, ENOENT, "no-qemu", "host %s has no QEMU", h->config.host);
		ferry_error_remedy(e, "install the package qemu-system-x86");
		return r;
	}
	return 0;
}

// What the running VM depends on travels with it.
static void note_host(struct vm *vm)
{
	json_object_set_new(vm->config, "accel", json_string(vm_accel_name(vm->host->accel.accel)));
	json_object_set_new(vm->config, "cpu_key", json_string(vm->host->facts.cpu_key));
	if (!json_string_or(vm->config, "machine", "")[0])
		json_object_set_new(
			vm->config, "machine", json_string(vm->host->facts.default_machine));
}

static void start_connecting(struct vm_launch *l)
{
	struct vm *vm = l->vm;

	// Counted before the first: a connection may be there at once.
	l->waiting = vm->n_vgpus + 1;
	vm_connect_qmp(vm, on_connected, l);
	for (unsigned i = 0; i < vm->n_vgpus && !l->failing; i++)
		vm_connect_vgpu(&vm->vgpus[i], on_connected, l);
}

void vm_launch(struct vm *vm, bool incoming, vm_progress_fn progress, vm_done_fn done, void *arg)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct vm_launch *l = NULL;

	if (check(vm, incoming, &e) == 0 && !(l = calloc(1, sizeof *l)))
		ferry_fail(&e, ENOMEM, "no-memory", "no memory to start VM '%s'", vm->name);
	if (!l) {
		done(arg, vm, &e);
		return;
	}
	*l = (struct vm_launch){
		.vm = vm, .incoming = incoming, .progress = progress, .done = done, .arg = arg
	};
	vm->launch = l;
	vm->booted = incoming;
	for (unsigned i = 0; i < vm->n_vgpus; i++)
		vm->vgpus[i].renew = (struct vm_renew){ .stage = RENEW_NOT };
	if (!incoming)
		note_host(vm);
	step(l, vm->n_vgpus ? "starting ferry-vgpu and QEMU" : "starting QEMU");
	if (start_programs(l, &e) < 0) {
		fail(l, &e);
		return;
	}
	vm_log(vm, "QEMU %d started%s", (int)vm->qemu.pid, incoming ? ", incoming" : "");
	start_connecting(l);
}
