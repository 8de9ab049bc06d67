// SPDX-License-Identifier: Apache-2.0
// Programs that run in guests on behalf of `ferry vm exec`, one per request.
#pragma once

#include "host/vm.h"

struct request;

// Runs argv (checked) and answers the request line by line; it ends with {"exit":N} or an error.
void exec_start(
	struct vm *vm, struct request *r, const json_t *argv, const json_t *env, bool detach);
// Ends all requests of a VM, whose programs run on wherever it is: with the error, or, at the daemon's end, silently (NULL).
void exec_end_all(struct vm *vm, const struct ferry_error *e);
