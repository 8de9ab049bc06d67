// SPDX-License-Identifier: Apache-2.0
// The destination of a move, as its main thread (move_dest.c) and its receivers (move_receive.c)
// share it.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include "base/buf.h"
#include "vgpu/move/move_channels.h"
#include "vgpu/move/move_dest.h"
#include "vgpu/move/move_pool.h"
#include "vgpu/move/move_reader.h"

#define MOVE_MAX_QUEUED (256u << 20) // bytes of objects received and not yet applied

struct page_runs {
	struct page_run *at;
	size_t n, cap;
};

struct move_object {
	struct move_object *next;
	struct buf bytes;
};

// One per channel; the receiver's own. The root part is read by others at barriers only.
struct move_receiver {
	struct move_reader reader;
	struct digest_root root;
	uint32_t round;        // of the next record: grows with each BARRIER sent on this channel
	struct buf object;     // channel 0: pieces so far
	struct page_runs runs; // channel 0: of a list under way
};

struct move_dest {
	// Read only after receive.
	struct page_space *space;
	int vm_log;
	struct move_objects objects;
	struct move_dest_events events;
	struct move_channels channels;
	struct watch *waker;
	struct move_receiver receivers[MOVE_MAX_CHANNELS];

	// Main thread only.
	struct move_pool *pool;     // the receivers
	struct move_pool *populate; // one thread that faults memory in
	uint32_t told_round, lines; // lines: in vm_log
	bool told_received, failed, ended;
	unsigned calls;      // of ours on the stack
	int64_t all_here_ns; // when the round under way had arrived; 0: not yet

	// An entry belongs to the receiver whose record names its page in this round.
	struct digest_table table;
	// Written by channel 0's receiver before it announces a round, while the others wait; read by
	// all.
	struct page_runs extents;
	// Written by channel 0's receiver in round 1, before coming_ready; then the populating
	// thread's.
	struct page_runs coming;

	atomic_bool stop;
	pthread_mutex_t send_lock; // what goes back on channel 0; taken alone
	pthread_mutex_t lock;      // of all below; taken alone
	pthread_cond_t changed;
	uint32_t announced;                // the round that channel 0 has begun
	bool quiet;                        // it is not for the VM's log
	uint32_t completed;                // the last round of which all is here and applied
	uint32_t waited_ms;                // that round `completed` waited for objects to be built
	size_t barriers;                   // of round completed + 1
	struct move_object *first, **last; // objects to apply, in order
	uint64_t queued;                   // their bytes
	bool coming_ready;
	bool complete;            // roots were equal: what goes wrong now does not matter
	bool finished;            // and the source has been told
	struct digest_root root;  // written before `finished`
	struct ferry_error error; // the first
};

// Receiver i, until the stream ends: a pool's job.
void move_dest_receive_job(void *arg, size_t i);
// Notes the first error, wakes everyone.
void move_dest_note_error(struct move_dest *d, const struct ferry_error *e);
// Tells the source why, on channel 0. Waits at most a second.
void move_dest_send_error(struct move_dest *d, const struct ferry_error *e);
