// SPDX-License-Identifier: Apache-2.0
// A user for a VM's ferry-vgpu: a number that nobody else has, since what runs there may be hostile. It
// shows as the owner of the VM's compile cache and is kept while that is. Inside src/host only.
#pragma once

#include "host/vm.h"

// Chooses vm->user and gives it the cache, emptied when it was another's. Only where ferryd is root;
// else 0: ferry-vgpu then runs as ferryd does. The VM has no processes.
int vm_user_take(struct vm *vm, struct ferry_error *e);
// After a restart of ferryd: vm->user is the one that the VM's processes have.
void vm_user_find_again(struct vm *vm);
