// SPDX-License-Identifier: Apache-2.0
// A ferry-vgpu that ended by itself is replaced while its VM runs on: by an empty one, with fresh ports, which
// QEMU takes in place of the broken ones. docs/interfaces.md, section 12, says when, and what the guest sees of
// it. Inside src/host only; on the loop's thread.
#pragma once

#include "host/vm.h"

// How long the next one waits, after so many that did not last.
int64_t vm_renew_delay_ns(unsigned in_a_row);

// The vGPU's process ended by itself (`how`: for people). True: it will be replaced, once no migration is
// on. False: its VM does not run here, or nothing came of the one that was to replace it.
bool vm_renew(struct vm_vgpu *g, const char *how);

// Replaces what a VM that runs lacks: a migration has ended, and nobody else does.
void vm_renew_look(struct vm *vm);

// The same at the daemon's start; one that was being replaced is ended, since nobody knows which of its
// ports QEMU has.
void vm_renew_adopt(struct vm *vm);

// The VM's processes are being ended: nothing is replaced any more.
void vm_renew_forget(struct vm *vm);

static inline bool vm_renew_is_on(const struct vm_vgpu *g)
{
	return g->renew.stage != RENEW_NOT;
}
// -ENODEV, "vgpu-away", while any vGPU of the VM is.
int vm_renew_refuse(const struct vm *vm, struct ferry_error *e);
