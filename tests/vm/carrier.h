// SPDX-License-Identifier: Apache-2.0
// One ferry-relay process for a test, with its control link.
#pragma once

#include <sys/types.h>
#include "base/json.h"
#include "base/loop.h"

struct carrier {
	struct loop *loop;
	struct link *link;
	pid_t pid;
	json_t *closed; // its event, when it came
	json_t *answer; // to the last request
};

// `role` is "source" or "destination". Its socket for QEMU is DIR/ram.sock.
void carrier_start(struct carrier *c, struct loop *l, const char *role, const char *dir);
// A request with an optional descriptor (-1: none), which stays the caller's. A refusal ends the test.
const json_t *carrier_do(struct carrier *c, const char *op, int fd);
// Waits until the process has ended by itself; its exit status.
int carrier_wait(struct carrier *c);
