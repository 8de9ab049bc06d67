// SPDX-License-Identifier: Apache-2.0
// The source's end of a move: rounds of pages and object state while the guest runs, then the rest
// while the gate is closed (docs/interfaces.md, sections 3 and 4). One worker thread per channel;
// every function here and every callback is on the main loop's thread, and none of them blocks on
// the network.
#pragma once

#include "base/loop.h"
#include "pages/digest.h"
#include "pages/page_space.h"
#include "pages/tracker.h"
#include "vgpu/move/move.h"

struct move_source;

struct move_round_result {
	uint32_t n;
	uint64_t bytes;      // of pages sent in this round
	uint64_t zero_bytes; // of pages that only had to be named as zero or free
	uint64_t pages;      // sent, zero and free ones not counted
	// What a next round would send, scanned and not re-armed; 0 after the final part.
	uint64_t dirty_bytes;
	uint64_t object_bytes;
	double ms;
	// Of the whole move so far; root is meaningful after move_source_final() only.
	uint64_t sent_bytes; // pages, objects and headers
	struct digest_root root;
};

// Exactly once per call: `r`, or the error when r is NULL. The move is then only good for abort.
typedef void (*move_round_fn)(
	void *arg, const struct move_round_result *r, const struct ferry_error *e);

struct move_source_events {
	// About four times a second during a round.
	void (*progress)(void *arg, uint32_t n, uint64_t bytes, uint64_t total_bytes,
		double rate_bytes_per_s);
	// Once: a channel broke, the destination refused. A round under way is answered first.
	// move_source_abort() is legal inside.
	void (*failed)(void *arg, const struct ferry_error *e);
	void *arg;
};

struct move_source_spec {
	struct loop *loop;
	struct page_space *space;
	const struct tracker_ops *tracker;
	enum move_mode mode;
	uint64_t bandwidth; // bytes/s over all channels; 0: no limit
	const int *fds;     // channel i's socket; become the mover's, also on error
	size_t n_fds;       // 1 to MOVE_MAX_CHANNELS
	int vm_log;         // "Migrate_ReadState: ..." goes here; -1: nowhere; stays the caller's
	uint32_t watch_ms;  // single-pass: how long a cold buffer was not written; 0: 5000
	struct move_objects objects;
	struct move_source_events events;
};

// Arms the tracker over everything (45 ms for 4 GiB) and starts the threads; sends nothing yet.
int move_source_begin(
	const struct move_source_spec *spec, struct move_source **ret, struct ferry_error *e);

// Round n (1, 2, ...) of precopy, or the one round of single-pass, which first watches for 5 s
// which buffers are written. One call at a time. -EINVAL "bad-state" for a wrong n, for stop-copy,
// or while another round is under way: fn is not called then.
int move_source_round(
	struct move_source *m, uint32_t n, move_round_fn fn, void *arg, struct ferry_error *e);

// Stop-copy, once, before the final part: sends the object state, and which pages will come, but no
// page; answers when the destination has built what it got, so that its compiler is no part of the
// stun. No round of pages: no line in the log. -EINVAL "bad-state" otherwise.
int move_source_ahead(struct move_source *m, move_round_fn fn, void *arg, struct ferry_error *e);

// Changes spec.bandwidth, at any time and for what waits to be sent, too. -EINVAL "no-rate" for 0, and
// where the move was begun without a limit.
int move_source_set_rate(struct move_source *m, uint64_t bandwidth, struct ferry_error *e);

// The gate is closed and drained: scans for the last time, sends all that is left and the root, and
// answers when the destination has confirmed that its own root is equal.
int move_source_final(struct move_source *m, move_round_fn fn, void *arg, struct ferry_error *e);

// Ends the move at any time, before or after it is complete: wakes and joins the threads (bounded:
// no thread waits on the network without being woken), closes the channels, ends tracking. A round
// under way is answered "aborted" first. The guest's memory and objects are as if nothing had been.
// NULL-safe, returns NULL.
struct move_source *move_source_abort(struct move_source *m);
