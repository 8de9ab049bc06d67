// SPDX-License-Identifier: Apache-2.0
// Which vGPUs fit on this host's device: it is shared in turns or in partitions, never both, since a
// time slice has all compute units; and a partition's slices are nobody else's. Memory is
// precheck/memory.c's. The loop's thread.
#pragma once

#include "host/vm.h"
#include "vgpu/profile.h"

// Whether the device can take `vgpus` more of that profile. Codes "kind-mixed" (the device is shared
// in the other way), "no-slices", "no-units" (slices that hold no compute unit). `self` (may be NULL)
// is a VM that does not count: the one that asks.
int placement_check(const struct host *h, const struct vm *self, const struct profile *p,
	unsigned vgpus, struct ferry_error *e);

// Gives each of the VM's vGPUs its slices (vm->vgpus[].slice), the first that are free. For a
// VM whose processes are about to start; checks as placement_check() does. -1 where the profile has
// none.
int placement_assign(struct vm *vm, struct ferry_error *e);

// How many more VMs with one vGPU of that profile, and VM_DEFAULT_MEMORY of RAM, fit now; 0: why in *e.
unsigned placement_count(const struct host *h, const struct profile *p, struct ferry_error *e);
