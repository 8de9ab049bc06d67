// SPDX-License-Identifier: Apache-2.0
// One side of one migration: pairs QEMU's connections with those attached over the control socket,
// in order, and tells the controller when all have ended (docs/interfaces.md, section 5).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/loop.h"

#define RELAY_MAX_PAIRS 64

enum relay_role { RELAY_SOURCE, RELAY_DESTINATION };

struct relay_options {
	const char *control; // listens here; one controller at a time, a later one replaces it
	const char *stream;  // source: listens for QEMU; destination: connects to QEMU
	enum relay_role role;
	uint64_t bandwidth; // bytes per second from QEMU to the peer, all connections; 0: no limit
};

struct relay;

// Listens. A source starts held. NULL and an error when a socket cannot be made.
struct relay *relay_new(struct loop *l, const struct relay_options *o, struct ferry_error *e);
// Removes both socket files. NULL-safe; returns NULL.
struct relay *relay_free(struct relay *r);
// Whether it was told to quit, or every connection has ended and a while has passed in which the
// controller could read so.
bool relay_done(const struct relay *r);
