// SPDX-License-Identifier: Apache-2.0
// What the destination says to the source on channel 0: acknowledgements, or why it refuses. A
// thread of its own reads, so that a vanished peer is noticed at once, also between rounds.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/loop.h"
#include "wire/channel.h"

struct move_peer;

struct move_peer_state {
	uint32_t acked;           // the last round acknowledged
	uint32_t waited_ms;       // of that round, for objects to be built
	bool done;                // FINISH was: roots equal
	struct ferry_error error; // err 0: none. After it nothing more is read
};

// Reads `c` until channel_wake(c); wakes `waker` at each change. NULL when exhausted.
struct move_peer *move_peer_new(struct channel *c, struct watch *waker);
struct move_peer_state move_peer_state(struct move_peer *p);
// Joins: channel_wake(c) first. NULL-safe, returns NULL.
struct move_peer *move_peer_free(struct move_peer *p);
