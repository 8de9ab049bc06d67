// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "host/agent.h"
#include "host/host.h"
#include "host/vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[VM_N_STATES] = {
	[VM_STOPPED] = "stopped",
	[VM_RUNNING] = "running",
	[VM_INCOMING] = "incoming",
	[VM_SEALED] = "sealed",
	[VM_COMMITTED] = "committed",
	[VM_RELEASED] = "released",
	[VM_UNKNOWN] = "unknown",
};

// Everything that is not named here is refused. A VM comes into being STOPPED or INCOMING.
static const bool legal[VM_N_STATES][VM_N_STATES] = {
	[VM_STOPPED] = { [VM_RUNNING] = true },
	// COMMITTED: ownership has passed. UNKNOWN: only a person can say who runs.
	[VM_RUNNING] = { [VM_STOPPED] = true, [VM_COMMITTED] = true, [VM_UNKNOWN] = true },
	// STOPPED from here on means: it is ours, and its processes ended before it ran.
	[VM_INCOMING] = { [VM_SEALED] = true, [VM_RELEASED] = true, [VM_UNKNOWN] = true },
	[VM_SEALED] = { [VM_RUNNING] = true,
		[VM_STOPPED] = true,
		[VM_RELEASED] = true,
		[VM_UNKNOWN] = true },
	// RUNNING: the destination said NEVER_RAN, a new epoch begins here.
	[VM_COMMITTED] = { [VM_RELEASED] = true,
		[VM_RUNNING] = true,
		[VM_STOPPED] = true,
		[VM_UNKNOWN] = true },
	[VM_RELEASED] = { [VM_INCOMING] = true },
	[VM_UNKNOWN] = { [VM_RUNNING] = true,
		[VM_STOPPED] = true,
		[VM_RELEASED] = true,
		[VM_COMMITTED] = true,
		[VM_SEALED] = true },
};

const char *vm_state_name(enum vm_state s)
{
	return names[s];
}

bool vm_state_parse(const char *name, enum vm_state *ret)
{
	for (int s = 0; s < VM_N_STATES; s++)
		if (!strcmp(names[s], name)) {
			*ret = (enum vm_state)s;
			return true;
		}
	return false;
}

bool vm_state_legal(enum vm_state from, enum vm_state to)
{
	return legal[from][to];
}

int vm_set_state(struct vm *vm, enum vm_state state, uint64_t epoch, const char *owner,
	const char *reason, struct ferry_error *e)
{
	enum vm_state old = vm->state;

	if (!legal[old][state])
		return ferry_fail(e, EINVAL, "bad-state", "VM '%s' cannot become %s from %s (%s)",
			vm->name, names[state], names[old], reason);
	vm->state = state;
	vm->epoch = epoch;
	if (owner)
		snprintf(vm->owner, sizeof vm->owner, "%s", owner);
	vm_save(vm);
	agent_follow(vm);
	vm_log(vm, "%s -> %s (%s), epoch %llu, owner %s", names[old], names[state], reason,
		(unsigned long long)epoch, vm->owner);
	host_event(vm->host, vm, "vm.state",
		json_pack("{s:s, s:s, s:s, s:I}", "from", names[old], "to", names[state], "reason",
			reason, "epoch", (json_int_t)epoch));
	return 0;
}
