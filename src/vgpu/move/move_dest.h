// SPDX-License-Identifier: Apache-2.0
// The destination's end of a move: receives pages straight into their final place, digests what
// arrived, applies objects in order, and compares roots (docs/interfaces.md, sections 3 and 4).
// Nothing that the peer sends is trusted: a field out of order or out of bounds ends the move with
// an error, here and, where it can still be told, at the source. One receiver thread per channel;
// every function here and every callback is on the main loop's thread.
#pragma once

#include "base/loop.h"
#include "pages/digest.h"
#include "pages/page_space.h"
#include "vgpu/move/move.h"

struct move_dest;

struct move_dest_events {
	void (*round)(void *arg, uint32_t n); // the first record of round n has arrived
	// Complete: objects applied, roots equal, told to the source. Once.
	void (*received)(void *arg, struct digest_root root, uint64_t bytes);
	// Once; the move is then only good for move_dest_close(), legal inside.
	void (*failed)(void *arg, const struct ferry_error *e);
	void *arg;
};

struct move_dest_spec {
	struct loop *loop;
	struct page_space *space; // empty; it is set to incoming until move_dest_own()
	const int *fds;           // channel i's socket; become the mover's, also on error
	size_t n_fds;             // 1 to MOVE_MAX_CHANNELS
	int vm_log;               // -1: nowhere; stays the caller's
	struct move_objects objects;
	struct move_dest_events events;
};

int move_dest_receive(
	const struct move_dest_spec *spec, struct move_dest **ret, struct ferry_error *e);

// objects.settled may have become true.
void move_dest_settled(struct move_dest *d);

// After `received`: ends the threads and the channels; the page space is an ordinary one from now
// on. On success `d` is gone. -EINVAL "bad-state" before that.
int move_dest_own(struct move_dest *d, struct ferry_error *e);

// Ends at any time, wakes and joins the threads, closes the channels. The page space keeps what was
// received. NULL-safe, returns NULL.
struct move_dest *move_dest_close(struct move_dest *d);
