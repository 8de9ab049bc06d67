// SPDX-License-Identifier: Apache-2.0
// What the daemon asks of a guest's agent: is it up, power off. Commands in the guest are exec.h's.
#pragma once

#include "host/vm.h"

struct agent_wait;

// Pings until the agent answers; fn once, then or after timeout_ms (code "no-agent").
typedef void (*agent_fn)(void *arg, const struct ferry_error *e);
struct agent_wait *agent_wait_new(struct vm *vm, int timeout_ms, agent_fn fn, void *arg);
struct agent_wait *agent_wait_free(struct agent_wait *w); // fn is not called; NULL-safe; NULL

// Points the VM's agent client at its guest while the VM is RUNNING here, and nowhere else otherwise;
// who asks it follows the VM when that has gone. After each change of state.
void agent_follow(struct vm *vm);

// Asks the guest to power off; no answer is awaited.
void agent_power_off(struct vm *vm);
