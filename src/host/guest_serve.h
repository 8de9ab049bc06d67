// SPDX-License-Identifier: Apache-2.0
// Questions of other hosts to guests that live here, for programs that they follow (guest_route.h):
// reading and ending a program whose id they know; never starting one. Loop's thread only.
#pragma once

#include <stdint.h>
#include "base/json.h"

struct host;
struct peer;
struct vm;

// A first request `guest` on a connection; the connection is taken.
void guest_serve(struct host *h, struct peer *p, int64_t id, json_t *args);

// After each change of a VM's state, and before a VM is freed: who waits hears of it.
void guest_serve_follow(struct vm *vm);
void guest_serve_forget(struct vm *vm);
// At the daemon's end: closes the connections.
void guest_serve_close(struct host *h);
