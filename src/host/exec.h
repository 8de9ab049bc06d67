// SPDX-License-Identifier: Apache-2.0
// Programs that run in guests on behalf of `ferry vm exec`, one per request. They are followed when
// their VM moves (guest_route.h).
#pragma once

#include "host/vm.h"
#include "vm/agent_exec.h"

struct request;

// Runs a program (checked) and answers the request line by line; it ends with {"exit":N} or an error.
// When the client hangs up the program ends, as with a closed terminal.
void exec_start(struct vm *vm, struct request *r, const struct agent_exec_spec *spec);
// The same for a program that runs already, from the bytes that were not taken yet.
void exec_attach(struct vm *vm, struct request *r, const struct agent_job *job);

// At the daemon's end, when requests are gone: the programs run on.
void exec_close(struct host *h);
