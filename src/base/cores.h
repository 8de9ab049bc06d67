// SPDX-License-Identifier: Apache-2.0
// Processors that somebody has to himself, as a partitioned vGPU has. Nobody hands them out where there is
// no ferryd, so who has one is the kernel's word: a unix socket bound to an abstract name (unix(7)), which one
// process has at a time, of whatever user, which is free again when the last one that has it open has ended,
// and of which nothing stays. It holds among the processes of one network namespace.
#pragma once

#include <sched.h>
#include "base/error.h"

struct cores {
	cpu_set_t set; // those that are held, and the descriptors that hold them
	int fds[CPU_SETSIZE];
	unsigned n;
};

// Adds processor `core`. -EADDRINUSE: another has it.
int cores_hold(struct cores *c, unsigned core);

// Adds `count` of those processors that nobody has, the last ones first: ferryd's VMs have the first.
// -EBUSY, and nothing is held: there are not so many.
int cores_take(struct cores *c, unsigned count, const cpu_set_t *of);

// Those that the calling thread may run on, and all that the kernel would let it have (its cpuset's),
// whatever a taskset(1) has left it: the device's.
int cores_allowed(cpu_set_t *ret_mine, cpu_set_t *ret_all);

void cores_release(struct cores *c);
