// SPDX-License-Identifier: Apache-2.0
// Processes that end, and processes that are found again.
#include "base/log.h"
#include "base/process.h"
#include "host/agent.h"
#include "host/host.h"
#include "host/vm_link.h"
#include "host/vm_renew.h"
#include "host/vm_user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static void program_name(int index, char *ret, size_t size)
{
	if (index < 0)
		snprintf(ret, size, "QEMU");
	else
		snprintf(ret, size, "ferry-vgpu %d", index);
}

static void on_rest_ended(void *arg, struct vm *vm, const struct ferry_error *e)
{
	struct ferry_error why = FERRY_ERROR_INIT;

	if (vm->state != VM_STOPPED &&
		vm_set_state(vm, VM_STOPPED, vm->epoch, NULL, "a process of it ended", &why) < 0)
		log_error("%s", why.message);
	if (vm->stop)
		vm_stop_process_ended(vm);
}

void vm_end(struct vm *vm)
{
	vm_kill(vm, on_rest_ended, NULL);
}

// Neither a launch nor a stop nor a kill: it ended by itself.
static void ended_by_itself(struct vm *vm, int index, int status)
{
	char who[32], how[80];

	program_name(index, who, sizeof who);
	process_describe_end(status, how, sizeof how);
	vm_log(vm, "%s ended by itself (%s)", who, how);
	host_event(vm->host, vm, "vm.process-ended",
		json_pack("{s:s, s:s}", "process", who, "status", how));
	bool dealt_with = vm->observer && vm->observer->exited &&
			  vm->observer->exited(vm->observer_arg, vm, index, status);
	bool replaced = index >= 0 && vm_renew(&vm->vgpus[index], how);
	if (!dealt_with && !replaced)
		vm_end(vm);
}

static void on_exit_of(void *arg, pid_t pid, int status)
{
	struct vm_process *p = arg;
	struct vm *vm = p->vm;
	struct ferry_error e = FERRY_ERROR_INIT;
	char who[32], how[80];

	p->pid = 0;
	p->start_time = 0;
	p->exit = watch_remove(p->exit);
	vm_disconnect_one(vm, p->index);
	vm_save(vm);
	if (vm->kill) {
		vm_kill_process_ended(vm);
		return;
	}
	if (vm->launch) {
		program_name(p->index, who, sizeof who);
		process_describe_end(status, how, sizeof how);
		ferry_fail(&e, ECHILD, "process-ended", "%s ended while VM '%s' was starting (%s)",
			who, vm->name, how);
		ferry_error_remedy(&e, "see vms/%s/%s.log in the host's state folder", vm->name,
			p->index < 0 ? "qemu" : "vgpu0");
		vm_launch_process_ended(vm, &e);
		return;
	}
	if (vm->stop && p->index < 0) {
		vm_stop_process_ended(vm);
		return;
	}
	ended_by_itself(vm, p->index, status);
}

int vm_watch_process(
	struct vm *vm, int index, pid_t pid, uint64_t start_time, struct ferry_error *e)
{
	struct vm_process *p = vm_process(vm, index);

	if (!start_time || process_start_time(pid) != start_time)
		return ferry_fail(e, ESRCH, "process-ended", "process %d is gone", (int)pid);
	p->exit = loop_process(vm->host->loop, pid, on_exit_of, p);
	if (!p->exit)
		return ferry_fail(e, errno, "process", "cannot watch process %d: %m", (int)pid);
	p->pid = pid;
	p->start_time = start_time;
	p->vm = vm;
	p->index = index;
	return 0;
}

// What a daemon that starts makes of one recorded process.
static void find_again(struct vm *vm, int index)
{
	struct vm_process *p = vm_process(vm, index);
	pid_t pid = p->pid;
	uint64_t start = p->start_time;

	p->pid = 0;
	p->start_time = 0;
	if (pid)
		vm_watch_process(vm, index, pid, start, NULL);
}

// What is left of a VM that runs.
static void adopt_running(struct vm *vm)
{
	if (!vm->qemu.pid) {
		vm_log(vm, "ended while ferryd was away");
		vm_end(vm);
		return;
	}
	vm->booted = true;
	agent_follow(vm);
	vm_renew_adopt(vm);
}

void vm_adopt(struct vm *vm)
{
	find_again(vm, -1);
	for (unsigned i = 0; i < vm->n_vgpus; i++)
		find_again(vm, (int)i);
	vm_user_find_again(vm);
	if (vm->qemu.pid)
		vm_connect_qmp(vm, NULL, NULL);
	else
		vm_renew_forget(vm);
	for (unsigned i = 0; i < vm->n_vgpus; i++)
		if (vm->vgpus[i].process.pid)
			vm_connect_vgpu(&vm->vgpus[i], NULL, NULL);
	if (vm_has_processes(vm))
		vm_log(vm, "ferryd is back, QEMU %d, state %s", (int)vm->qemu.pid,
			vm_state_name(vm->state));
	if (vm->state == VM_RUNNING) {
		adopt_running(vm);
	} else if (vm->state == VM_INCOMING || vm->state == VM_SEALED) {
		vm->booted = true; // elsewhere, before it came
	} else if (vm->state == VM_STOPPED && vm_has_processes(vm)) {
		vm_kill(vm, NULL, NULL); // its launch or stop was cut short
	}
}
