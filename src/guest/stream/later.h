// SPDX-License-Identifier: Apache-2.0
// Writes whose bytes stay in the program's memory until the host asks for them. Where a command may wait
// for a user event, the thread that would wait for credit may be the one that has to set it: such a write
// takes no credit before its turn has come; one that blocks waits for that in its call. Everything needs
// the session's lock.
#pragma once

#include "guest/cl/region.h"
#include "guest/cl/types.h"

struct later;

// Whether so many bytes should not go now: they would leave no credit for what may set events free.
bool later_needed(uint64_t bytes);
// For the bytes of a write to `m`, which stays as long. Where there are too many already it waits,
// patiently (session.h).
cl_int later_new(cl_mem m, const struct region *r, struct later **ret);
void later_free(struct later *l); // one that did not begin; NULL-safe
// Its message is sent (P_LATER), with that number.
void later_begin(struct later *l, uint32_t seq);

// The host asks for that message's bytes.
void later_wanted(uint32_t seq);
// Sends what was asked for, as far as the credit goes.
void later_pump(void);
// Whether there are any that have not gone.
bool later_any(void);
// Whether bytes there are still to be sent.
bool later_holds(const void *at, size_t n);
// Waits until what began with that number is sent.
cl_int later_wait_for(uint32_t seq);
// The session is over.
void later_drop_all(void);
