// SPDX-License-Identifier: Apache-2.0
// The channels of one move, made from the descriptors that were handed over.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "vgpu/move/move.h"
#include "wire/channel.h"

struct move_channels {
	size_t n;
	struct channel *at[MOVE_MAX_CHANNELS];
	struct rate *rate; // NULL: none
};

// Takes all descriptors, also on error. `bandwidth` in bytes/s over all together, 0: no limit.
int move_channels_open(struct move_channels *c, const int *fds, size_t n, uint64_t bandwidth,
	struct ferry_error *e);
void move_channels_wake(struct move_channels *c); // any thread
// No call may be under way. Legal on a zeroed struct, and twice.
void move_channels_close(struct move_channels *c);
