// SPDX-License-Identifier: Apache-2.0
// The way to a guest's agent wherever its VM is: straight while it runs here, through the ferryd of
// the host that has it once it has moved (docs/interfaces.md, section 6, `guest`), and after it again
// when it moves on or comes back. Every request may be repeated, so a move costs time, never a
// request or a byte. Loop's thread only.
#pragma once

#include "host/vm.h"
#include "vm/agent.h"

struct guest_route;

// For a VM that lives here, or that is RELEASED: then its owner is asked. NULL: no memory. The VM may
// be forgotten here meanwhile.
struct guest_route *guest_route_new(struct host *h, const struct vm *vm);

// For one user: at most one request at a time. Failures besides the agent's own: "vm-stopped",
// "no-vm", "agent-silent", "peer-unreachable" (no such peer, or 20 s without a word), and "not-started": the VM moved with a `start` under way, and it is certain that nothing was started.
struct agent_way guest_route_way(struct guest_route *g);

// The host where the VM was last known to be.
const char *guest_route_host(const struct guest_route *g);

// Frees it once the request under way has been answered or has failed; nobody is called any more.
// NULL-safe; returns NULL.
struct guest_route *guest_route_leave(struct guest_route *g);
struct guest_route *guest_route_free(struct guest_route *g); // at once; NULL-safe; returns NULL

// After each change of a VM's state, and before a VM is freed.
void guest_routes_follow(struct vm *vm);
void guest_routes_forget(struct vm *vm);
// At the daemon's end: frees those that were left.
void guest_routes_close(struct host *h);
