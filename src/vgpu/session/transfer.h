// SPDX-License-Identifier: Apache-2.0
// Reads and writes. Their turn come, they are executed here: their bytes go between the stream and the
// buffer without a command of the driver's. A small one between commands of an in-order queue is given to
// the driver instead, so that those behind it need not wait in the queue until this process has been
// told of the end of those before it, which on a device at work is a pause each time. Main thread only.
#pragma once

#include "vgpu/gate/command.h"

// Checks a window against its buffer; fills in total. CL_SUCCESS or CL_INVALID_VALUE.
int32_t transfer_check(struct transfer *t);

// Its turn has come: as much as the arrived bytes (write) or the port's backlog (read) allow. True
// when all is done.
bool transfer_run(struct command *c);

#define TRANSFER_GIVE_BYTES                                                                        \
	16384 // that the driver may have of one transfer; an answer takes them in a frame

// Whether it may be given: small, without gaps, all its bytes there (write) or room for them (read).
bool transfer_may_give(const struct command *c);
// CL_SUCCESS and its ticket, or why not.
int32_t transfer_give(struct command *c);
// The driver has carried it out: a read's bytes go into the stream. CL_COMPLETE, or why not.
int32_t transfer_collect(struct command *c);

// Asks for the bytes of a write that the guest keeps until then; once.
void transfer_ask(struct command *c);

// More bytes of a write; at most what is missing. 0 or -ENOMEM.
int transfer_arrived(struct command *c, const uint8_t *bytes, size_t n, uint32_t cost);
