// SPDX-License-Identifier: Apache-2.0
// Object state: everything about a vGPU but its pages, as records that carry their own meaning. The
// source collects what changed; the destination applies in the same order, builds programs as they
// arrive, and launches nothing. Knows objects; knows no sockets, no rounds. Main thread only.
//
// Snapshot and deltas are the same thing: the first call of a move collects all objects, each later
// one what changed since, removals first, then objects by type and serial (a reference never names
// what is not there yet). Only the last call, with the gate closed and drained, has the pending
// commands and the ports' streams.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "vgpu/vgpu.h"

enum {
	STATE_OBJECT = 1, // upsert
	STATE_REMOVED = 2,
	STATE_COMMAND = 3,
	STATE_STREAM = 4,
	STATE_END = 5,
};

// Copies the bytes. 0 or -errno.
typedef int (*state_emit_fn)(void *to, const void *record, size_t n);

struct state_source {
	struct vgpu *v;
	bool natives; // native binaries may be sent
	bool begun;
	uint64_t since; // registry's clock at the last collection
	// How many native binaries are taken, of how many that the last call found: after each.
	void (*taking)(void *arg, size_t taken, size_t programs); // NULL: nobody is told
	void *taking_arg;
};

// Begins to note removals; the first collection has everything. state_source_end() ends that.
void state_source_begin(struct state_source *s, struct vgpu *v, bool natives);
void state_source_end(struct state_source *s);
// Takes native binaries where launches made better ones; done(arg) when there are none to take, or
// all are taken, perhaps inside. One at a time; not after state_source_end.
int state_source_take_natives(struct state_source *s, void (*done)(void *arg), void *arg);
int state_collect(
	struct state_source *s, bool final, state_emit_fn emit, void *to, struct ferry_error *e);

// Nothing in a record is trusted: what does not fit is -EBADMSG "bad-state-record".
int state_apply(struct vgpu *v, const void *record, size_t n, struct ferry_error *e);
// STATE_END has come, and all programs are built.
bool state_is_complete(const struct vgpu *v);
// The vGPU is ours: what only the stream of records kept alive goes. The gate is opened afterwards.
void state_own(struct vgpu *v);
