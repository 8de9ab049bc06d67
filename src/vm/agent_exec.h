// SPDX-License-Identifier: Apache-2.0
// Runs a program in the guest through its agent and brings back its output and status, complete and
// once, also when the guest moves to another host meanwhile. Knows nothing of hosts: the requests' way
// does.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "vm/agent.h"

struct agent_exec;

// A program in a guest, and how much of its output was taken: all that it takes to go on.
struct agent_job {
	char id[17];       // 16 hex digits; whoever knows them may read and end it
	uint64_t taken[2]; // bytes of output and error output
};

struct agent_exec_spec {
	const json_t *argv; // array of strings; borrowed
	const json_t *env;  // object of strings; NULL: none
	bool detach;        // done as soon as it is started; its output goes to the guest's console
};

struct agent_exec_handlers {
	// `stream` is 1 or 2, as file descriptors are numbered. May be NULL.
	void (*output)(void *arg, int stream, const void *bytes, size_t n);
	// Once and last; the object is freed after it. `status`: the program's, or 128 + the signal's
	// number; -1 when `e` says why it is not known. The program then runs on, as far as it can.
	void (*done)(void *arg, int status, const struct ferry_error *e);
};

// NULL and an error without memory. `handlers` is copied. At most one request at a time is under way.
struct agent_exec *agent_exec_start(struct agent_way way, const struct agent_exec_spec *spec,
	const struct agent_exec_handlers *handlers, void *arg, struct ferry_error *e);
// Goes on with a program that somebody else started, from the bytes that were not taken yet.
struct agent_exec *agent_exec_attach(struct agent_way way, const struct agent_job *job,
	const struct agent_exec_handlers *handlers, void *arg, struct ferry_error *e);

// Which program, and how far; valid as long as the object, which it is in `done` too.
const struct agent_job *agent_exec_job(const struct agent_exec *x);

// Stops or goes on taking output; the program then waits in the guest when 1 MiB is unread.
void agent_exec_pause(struct agent_exec *x, bool paused);

// Kills the program where it runs and frees the object; `done` is not called. NULL-safe; returns
// NULL. The way must still be there; legal inside its own callbacks.
struct agent_exec *agent_exec_cancel(struct agent_exec *x);
// The same, but the program runs on.
struct agent_exec *agent_exec_leave(struct agent_exec *x);
