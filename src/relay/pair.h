// SPDX-License-Identifier: Apache-2.0
// One relayed connection: QEMU's socket and the peer's, a pump in each direction.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/loop.h"
#include "relay/pump.h"

struct pair {
	int local, peer; // QEMU and the TCP connection; owned; -1: not there yet, or closed
	bool started, closed;
	int error;           // what broke it, -errno; 0: both ends closed in good order
	struct pump out, in; // from QEMU to the peer, and back
	struct loop *loop;
	struct watch *local_watch, *peer_watch, *timer;
	void (*on_closed)(void *arg, struct pair *p);
	void *arg;
};

// Empty, with both ends still to come. -ENOMEM. `on_closed` is called once, from the loop.
int pair_init(struct pair *p, struct loop *l, struct pump_rate *rate,
	void (*on_closed)(void *arg, struct pair *p), void *arg);
// The ends; each is taken over. The pair starts when both are there. 0 or -errno.
int pair_set_local(struct pair *p, int fd);
int pair_set_peer(struct pair *p, int fd);
// Stops or goes on reading QEMU.
void pair_hold(struct pair *p, bool held);
void pair_free(struct pair *p);
