// SPDX-License-Identifier: Apache-2.0
// Memory shared with the host (`ferry run`): the vGPU's memory, mapped into this process, so that bulk
// bytes are copied once, and a map copies none. The stream stays in charge: it says when the program may
// touch the bytes. Everything here needs the session's lock.
//
// Only on in-order queues and without a wait list left: there "everything before has ended" is what one
// round trip tells, or is known already. All else goes through the stream, as does everything where no
// memory is shared.
#pragma once

#include "guest/stream/transfer.h"

// From this size on one round trip and one copy are less than two copies and the socket between them.
#define DIRECT_BYTES (128u << 10)

// The host offers `bytes` of memory behind `fd`, which becomes ours. -1, or memory that cannot be mapped:
// nothing is shared.
void direct_begin(int fd, uint64_t bytes);
// Where the buffer lies in the vGPU's memory, shared or not.
void direct_place(cl_mem m, uint64_t offset);

// The buffer's first byte there; NULL when it is not known to be shared.
uint8_t *direct_at(cl_mem m);
// Whether "everything before has ended" is all that the command waits for.
bool direct_is_simple(const struct command *c);
// Whether a command of this kind may use it, the rest of its arguments being valid.
bool direct_may(const struct command *c, cl_mem m);
// The same for a map; one that waits asks the host when it has not said yet where the buffer is.
bool direct_may_map(const struct command *c, cl_mem m, bool blocking);

// Whether all earlier commands of the queue are known to have ended.
bool direct_idle(const struct command *c);
// Of a simple command: waits until they have; makes the command's event, which ends then.
cl_int direct_wait(struct command *c);
// A whole read or write of a contiguous region, for which the call may wait. Gives the lock up.
cl_int direct_transfer(
	struct command *c, cl_mem m, size_t offset, const struct region *r, bool write);
