// SPDX-License-Identifier: Apache-2.0
// What the source's and the destination's mover have in common. A mover carries pages, and object
// state as opaque bytes, over channels; it knows no OpenCL and no guest protocol.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define MOVE_MAX_CHANNELS 16
#define MOVE_MAX_OBJECT   (64u << 20) // bytes of one object's state

enum move_mode { MOVE_PRECOPY, MOVE_STOP_COPY, MOVE_SINGLE_PASS };

// "precopy", "stop-copy", "single-pass". -EINVAL "bad-mode" for another word.
int move_mode_parse(const char *word, enum move_mode *ret, struct ferry_error *e);

// Where collected objects go. Copies the bytes; n is 1 to MOVE_MAX_OBJECT. 0 or -errno.
typedef int (*move_emit_fn)(void *to, const void *bytes, size_t n);

// Object state, as the mover sees it. All are called on the main loop's thread.
struct move_objects {
	// Source: emits what changed since the last call (everything, the first time), in the order
	// in which the destination is to apply it. Called in the same step as the round's scan, so
	// that the extents of the objects are those that the round announces. `final`: the gate is
	// closed and drained, and this is the last call; what is left out now is lost.
	int (*collect)(void *arg, bool final, move_emit_fn emit, void *to, struct ferry_error *e);
	// Destination: applies one emitted object. The bytes are borrowed. It must not write pages.
	int (*apply)(void *arg, const void *bytes, size_t n, struct ferry_error *e);
	// Destination: whether all that was applied is built and ready. While it is not, a round is
	// not acknowledged, so that no move reaches its stun with a cold destination; whoever makes
	// it ready calls move_dest_settled(). NULL: always.
	bool (*settled)(void *arg);
	void *arg;
};
