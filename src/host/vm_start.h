// SPDX-License-Identifier: Apache-2.0
// The programs of a VM: their command lines, descriptors and environment. Starts them and nothing
// more; what they say afterwards is vm_launch.c's. Inside src/host only.
#pragma once

#include "host/vm.h"

// Both ends of the ports of a VM's vGPUs, made before either side has them.
struct vm_ports {
	unsigned each;              // of each vGPU
	int ours[VM_PORTS_ALL_MAX]; // a vGPU's one after the other
	int qemus[VM_PORTS_ALL_MAX];
};

void vm_ports_init(struct vm_ports *p); // none
// Those of `vgpus` vGPUs from `first` on, `each` for each; VM_PORTS_ALL_MAX in all at most.
int vm_ports_open(
	struct vm_ports *p, unsigned first, unsigned vgpus, unsigned each, struct ferry_error *e);
void vm_ports_close(struct vm_ports *p);

int vm_start_vgpu(struct vm *vm, unsigned index, const struct vm_ports *ports, bool incoming,
	struct ferry_error *e);
int vm_start_qemu(
	struct vm *vm, const struct vm_ports *ports, bool incoming, struct ferry_error *e);
