// SPDX-License-Identifier: Apache-2.0
// The programs of a VM: their command lines, descriptors and environment. Starts them and nothing
// more; what they say afterwards is vm_launch.c's. Inside src/host only.
#pragma once

#include "host/vm.h"

// Both ends of the ports of one VM's vGPUs, made before either side starts.
struct vm_ports {
	int ours[VM_GPUS_MAX][VM_PORTS_PER_GPU];
	int qemus[VM_GPUS_MAX][VM_PORTS_PER_GPU];
};

void vm_ports_init(struct vm_ports *p); // all -1
int vm_ports_open(struct vm_ports *p, unsigned vgpus, struct ferry_error *e);
void vm_ports_close(struct vm_ports *p);

int vm_start_vgpu(struct vm *vm, unsigned index, const struct vm_ports *ports, bool incoming,
	struct ferry_error *e);
int vm_start_qemu(
	struct vm *vm, const struct vm_ports *ports, bool incoming, struct ferry_error *e);
