// SPDX-License-Identifier: Apache-2.0
// A VM's standing connections, QMP and the vGPUs' control links, and its processes' ends. They are
// made again by themselves while the process lives. Inside src/host only.
#pragma once

#include "host/vm.h"

struct vm *vm_new(struct host *h, json_t *config, struct ferry_error *e); // steals config
void vm_free(struct vm *vm);                                              // from memory only

// Tries at once, and then every 50 ms while the process lives, until connected. `fn` (may be NULL)
// is called once, when QMP is ready or the vGPU has answered hello, or when its process has ended.
typedef void (*vm_link_fn)(void *arg, const struct ferry_error *e);
void vm_connect_qmp(struct vm *vm, vm_link_fn fn, void *arg);
void vm_connect_vgpu(struct vm_vgpu *g, vm_link_fn fn, void *arg);
// Closes a connection (-1: QMP) and stops trying; the waiter is not called. Open requests on a link
// are answered "link-lost".
void vm_disconnect_one(struct vm *vm, int index);
void vm_disconnect(struct vm *vm);

// Records a process that was just started, or found again, and watches for its end. -ESRCH when it
// is gone already; `e` may be NULL.
int vm_watch_process(
	struct vm *vm, int index, pid_t pid, uint64_t start_time, struct ferry_error *e);
static inline struct vm_process *vm_process(struct vm *vm, int index) // -1: QEMU
{
	return index < 0 ? &vm->qemu : &vm->vgpus[index].process;
}

// Ends what is left of a VM that cannot go on; it is STOPPED then.
void vm_end(struct vm *vm);

// Each other's work, told of a process that ended.
void vm_launch_process_ended(struct vm *vm, const struct ferry_error *e);
void vm_kill_process_ended(struct vm *vm);
void vm_stop_process_ended(struct vm *vm);
