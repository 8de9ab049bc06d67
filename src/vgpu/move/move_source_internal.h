// SPDX-License-Identifier: Apache-2.0
// The source of a move, as its main thread (move_source.c) and its workers (move_send.c) share it.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include "base/clock.h"
#include "vgpu/move/move_batch.h"
#include "vgpu/move/move_channels.h"
#include "vgpu/move/move_compare.h"
#include "vgpu/move/move_opening.h"
#include "vgpu/move/move_peer.h"
#include "vgpu/move/move_pool.h"
#include "vgpu/move/move_source.h"

enum move_phase {
	MOVE_IDLE,      // between calls
	MOVE_WATCHING,  // single-pass: who writes?
	MOVE_COMPARING, // workers read to find what was written
	MOVE_SENDING,   // workers send a round; then its acknowledgement is waited for
	MOVE_FINISHING, // the root is on its way; the destination's word is waited for
	MOVE_COMPLETE,
	MOVE_FAILED,
};

// 0 or -errno; a step may end by starting the next phase or by answering the call.
typedef int (*move_step_fn)(struct move_source *m, struct ferry_error *e);

struct move_source {
	// Read only after begin.
	struct page_space *space;
	const struct tracker_ops *ops;
	enum move_mode mode;
	int vm_log;
	int64_t watch_ns;
	struct move_objects objects;
	struct move_source_events events;
	struct move_channels channels;
	struct watch *waker, *watch_timer, *progress_timer, *grace_timer;

	// Main thread only.
	enum move_phase phase;
	move_step_fn next; // when the phase is over
	uint32_t round;
	move_round_fn fn; // of the call under way
	void *fn_arg;
	int64_t started_ns, grace_until_ns;
	struct move_round_result result;
	uint64_t sent_bytes, announced_generation;
	bool announced, ended;
	bool ahead, final;       // the round being sent: objects only; the last
	uint32_t lines;          // in vm_log
	unsigned calls;          // of ours on the stack
	struct tracker *tracker; // NULL in stop-copy
	struct bitmap hot;
	struct digest_table seen; // single-pass without an exact tracker: as of the watch's begin
	struct move_pool *pool;
	struct move_peer *peer;

	// The main thread's while the pool is idle, else the workers'. Plan, opening and mode are
	// only read by them; batch i and the table's entries of pages in its items are worker i's.
	struct round_plan plan;
	struct move_opening opening;
	struct move_batch_mode batch_mode;
	struct digest_table sent;
	struct move_batch *batches[MOVE_MAX_CHANNELS];
	struct move_compare compare;
	struct bitmap dirty;

	// Shared.
	atomic_size_t cursor; // next item of the plan
	atomic_uint_fast64_t progress;
	atomic_bool stop;
	pthread_mutex_t lock;          // of send_error; no other lock is taken under it
	struct ferry_error send_error; // the first
};

#define MOVE_PROGRESS_NS (NSEC_PER_SEC / 4)

extern const char *const move_phase_names[];

// The one setter; says so when a change is not in the table.
void move_source_set_phase(struct move_source *m, enum move_phase to);
// The call under way is answered; inside, the next may be started, or the move ended.
void move_source_answer(
	struct move_source *m, const struct move_round_result *r, const struct ferry_error *e);
// Answers with m->result, in phase `to`. Always 0.
int move_source_report(struct move_source *m, enum move_phase to);
// First steps of calls, and what follows MOVE_WATCHING.
int move_source_step_round(struct move_source *m, struct ferry_error *e);
int move_source_step_ahead(struct move_source *m, struct ferry_error *e);
int move_source_step_watch(struct move_source *m, struct ferry_error *e);
int move_source_step_watch_over(struct move_source *m, struct ferry_error *e);
int move_source_step_final(struct move_source *m, struct ferry_error *e);

// Worker i sends its share of the round: a pool's job.
void move_source_send_job(void *arg, size_t i);
// Worker 0 sends FINISH with m->result.root.
void move_source_send_finish(struct move_source *m);
// Whether a worker could not send; *ret (may be NULL) is why.
bool move_source_send_error(struct move_source *m, struct ferry_error *ret);
