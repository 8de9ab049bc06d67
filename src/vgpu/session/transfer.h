// SPDX-License-Identifier: Apache-2.0
// Reads and writes, executed here: their bytes go between the stream and the buffer without a
// command of the driver's. Main thread only.
#pragma once

#include "vgpu/gate/command.h"

// Checks a window against its buffer; fills in total. CL_SUCCESS or CL_INVALID_VALUE.
int32_t transfer_check(struct transfer *t);

// Its turn has come: as much as the arrived bytes (write) or the port's backlog (read) allow. True
// when all is done.
bool transfer_run(struct command *c);

// Asks for the bytes of a write that the guest keeps until then; once.
void transfer_ask(struct command *c);

// More bytes of a write; at most what is missing. 0 or -ENOMEM.
int transfer_arrived(struct command *c, const uint8_t *bytes, size_t n, uint32_t cost);
