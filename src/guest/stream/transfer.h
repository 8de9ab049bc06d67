// SPDX-License-Identifier: Apache-2.0
// Bytes between the program's memory and buffers. Needs the session's lock.
#pragma once

#include "guest/cl/event.h"
#include "guest/cl/rect.h"
#include "guest/cl/types.h"

// One command on a queue: what every enqueue call has in common.
struct command {
	cl_command_queue queue;
	cl_command_type type;
	struct waits waits;
	cl_event chained; // the first of a long list: kept until the message that names it is sent
	cl_event *wanted; // where the program wants its event, or NULL
	cl_event event;
	uint32_t seq;
	uint64_t number; // among the queue's commands
};

// Checks the queue and the wait list. `blocking` only matters for the wait list.
cl_int command_begin(struct command *c, cl_command_queue q, cl_command_type type, cl_uint n,
	const cl_event *list, cl_event *event, bool blocking);
// Makes the event, after everything else was found valid.
cl_int command_event(struct command *c);
// Hands the event out, or destroys it when err; returns err.
cl_int command_end(struct command *c, cl_int err);

// A marker.
cl_int command_marker(struct command *c);
// A command that moves no bytes: only its event and what it waits for count, in a queue without order
// nothing else. The second waits until its turn has come.
cl_int command_turn(struct command *c);
cl_int command_turn_wait(const struct command *c);
// A transfer that has no bytes to move: is told to the host only where somebody can notice.
cl_int command_nothing(struct command *c, bool blocking);

// The program's memory to or from a part of the buffer without holes.
cl_int transfer_flat(struct command *c, cl_mem m, size_t offset, const struct region *r, bool write,
	bool blocking);
// The same for a box of the memory's bytes.
cl_int transfer_box(struct command *c, cl_mem m, const struct rect *at, const struct region *r,
	bool write, bool blocking);
// A write that no program sees: no event, nothing waited for.
cl_int transfer_write(cl_command_queue q, cl_mem m, size_t offset, const void *bytes, size_t n);
// The bytes of `r` from *offset on, one frame of them, as data of that stream.
cl_int transfer_some(uint32_t stream, const struct region *r, uint64_t *offset);
// All of them.
cl_int transfer_rest(uint32_t stream, const struct region *r, uint64_t offset);
