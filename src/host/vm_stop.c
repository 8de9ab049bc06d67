// SPDX-License-Identifier: Apache-2.0
// Ending a VM's processes: at once (vm_kill), politely (vm_stop), or for good (vm_discard).
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "host/agent.h"
#include "host/host.h"
#include "host/vm_link.h"
#include "host/vm_renew.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// A ferry-vgpu gets this long between SIGTERM and SIGKILL.
#define TERM_NS (500 * NSEC_PER_MSEC)

struct kill_waiter {
	struct kill_waiter *next;
	vm_done_fn done;
	void *arg;
};

struct vm_kill {
	struct kill_waiter *first, **last;
	struct watch *timer;
};

static void remove_sockets(struct vm *vm)
{
	static const char *const files[] = { "qmp.sock", "agent.sock", "relay-out.sock",
		"relay-in.sock", "ram-out.sock", "ram-in.sock" };
	char path[160], file[24];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		vm_path(vm, files[i], path, sizeof path);
		unlink(path);
	}
	for (unsigned i = 0; i < vm->n_vgpus; i++) {
		snprintf(file, sizeof file, "vgpu%u.sock", i);
		vm_path(vm, file, path, sizeof path);
		unlink(path);
	}
	vm_path(vm, "initrd.cpio", path, sizeof path);
	unlink(path);
}

static void finish_kill(struct vm *vm)
{
	struct vm_kill *k = vm->kill;

	vm->kill = NULL;
	vm->booted = false;
	watch_remove(k->timer);
	vm_disconnect(vm);
	remove_sockets(vm);
	vm_save(vm);
	for (struct kill_waiter *w = k->first, *next; w; w = next) {
		next = w->next;
		if (w->done)
			w->done(w->arg, vm, NULL);
		free(w);
	}
	free(k);
}

void vm_kill_process_ended(struct vm *vm)
{
	if (!vm_has_processes(vm))
		finish_kill(vm);
}

static void signal_vgpus(struct vm *vm, int signo)
{
	for (unsigned i = 0; i < vm->n_vgpus; i++) {
		struct vm_process *p = &vm->vgpus[i].process;
		if (p->pid)
			process_kill(p->pid, p->start_time, signo);
	}
}

static void on_term_time(void *arg)
{
	signal_vgpus(arg, SIGKILL);
}

void vm_kill(struct vm *vm, vm_done_fn done, void *arg)
{
	struct kill_waiter *w = calloc(1, sizeof *w);
	bool first = !vm->kill;

	if (first) {
		vm->kill = calloc(1, sizeof *vm->kill);
		if (vm->kill)
			vm->kill->last = &vm->kill->first;
	}
	if (!w || !vm->kill) {
		log_error("%s: no memory to end its processes", vm->name);
		abort();
	}
	*w = (struct kill_waiter){ .done = done, .arg = arg };
	*vm->kill->last = w;
	vm->kill->last = &w->next;
	if (!first)
		return;
	vm_renew_forget(vm);
	if (vm->qemu.pid)
		process_kill(vm->qemu.pid, vm->qemu.start_time, SIGKILL);
	signal_vgpus(vm, SIGTERM);
	vm->kill->timer = loop_timer(vm->host->loop, clock_now_ns() + TERM_NS, on_term_time, vm);
	vm_kill_process_ended(vm);
}

// ---- for good ----

struct discard {
	vm_done_fn done;
	void *arg;
	char owner[HOST_NAME_MAX_BYTES + 1];
	char reason[120];
};

static void on_discard_killed(void *arg, struct vm *vm, const struct ferry_error *e)
{
	struct discard *d = arg;
	struct ferry_error why = FERRY_ERROR_INIT;

	vm_log(vm, "discarded (%s)", d->reason);
	if (!vm->returns_released ||
		vm_set_state(vm, VM_RELEASED, vm->epoch, d->owner, d->reason, &why) < 0)
		vm_remove(vm);
	if (d->done)
		d->done(d->arg, NULL, NULL);
	free(d);
}

void vm_discard(struct vm *vm, const char *owner, const char *reason, vm_done_fn done, void *arg)
{
	struct discard *d = calloc(1, sizeof *d);

	if (!d)
		abort(); // 200 bytes
	d->done = done;
	d->arg = arg;
	snprintf(d->owner, sizeof d->owner, "%s", owner ? owner : "");
	snprintf(d->reason, sizeof d->reason, "%s", reason);
	vm_kill(vm, on_discard_killed, d);
}

// ---- politely ----

struct vm_stop {
	struct vm *vm;
	vm_progress_fn progress;
	vm_done_fn done;
	void *arg;
	struct watch *timer;
};

static void on_stop_killed(void *arg, struct vm *vm, const struct ferry_error *e)
{
	struct vm_stop *s = arg;
	struct ferry_error why = FERRY_ERROR_INIT;
	int r = 0;

	if (vm->state != VM_STOPPED)
		r = vm_set_state(vm, VM_STOPPED, vm->epoch, NULL, "stopped by command", &why);
	vm->stop = NULL;
	s->done(s->arg, vm, r < 0 ? &why : NULL);
	free(s);
}

void vm_stop_process_ended(struct vm *vm)
{
	struct vm_stop *s = vm->stop;

	s->timer = watch_remove(s->timer);
	vm_kill(vm, on_stop_killed, s);
}

static void on_stop_time(void *arg)
{
	struct vm_stop *s = arg;

	if (s->progress)
		s->progress(s->arg, s->vm, "the guest did not power off in time: ending QEMU");
	vm_log(s->vm, "the guest did not power off in time");
	if (s->vm->qemu.pid)
		process_kill(s->vm->qemu.pid, s->vm->qemu.start_time, SIGKILL);
}

void vm_stop(struct vm *vm, int timeout_ms, vm_progress_fn progress, vm_done_fn done, void *arg)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct vm_stop *s = NULL;

	if (vm->stop || vm->launch || vm->kill || !vm->qemu.pid)
		ferry_fail(&e, EBUSY, "busy", "VM '%s' is not running, or is starting or stopping",
			vm->name);
	else if (!(s = calloc(1, sizeof *s)))
		ferry_fail(&e, ENOMEM, "no-memory", "no memory to stop VM '%s'", vm->name);
	if (!s) {
		done(arg, vm, &e);
		return;
	}
	*s = (struct vm_stop){ .vm = vm, .progress = progress, .done = done, .arg = arg };
	vm->stop = s;
	s->timer = loop_timer(
		vm->host->loop, clock_now_ns() + timeout_ms * NSEC_PER_MSEC, on_stop_time, s);
	if (progress)
		progress(arg, vm, "asking the guest to power off");
	agent_power_off(vm);
	if (vm->qmp)
		qmp_exec(vm->qmp, "system_powerdown", NULL, 0, NULL, NULL);
}
