// SPDX-License-Identifier: Apache-2.0
// For tests: both ends of a move in one process, over socket pairs, while a thread writes and the main
// thread allocates and frees.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include "base/loop.h"
#include "vgpu/move/move_dest.h"
#include "vgpu/move/move_source.h"

#define TESTMOVE_QUOTA   (4u << 20)
#define TESTMOVE_EXTENTS 24
#define TESTMOVE_NOTES   100000

// A change of the set of extents: what stands for object state here.
struct note {
	uint64_t first, count; // count 0: freed
};

struct side {
	struct page_space *space;
	size_t applied; // destination: notes applied
	int vm_log;
};

struct testmove {
	struct loop *loop;
	struct side a, b;
	struct move_source *source;
	struct move_dest *dest;
	const struct tracker_ops *tracker;
	enum move_mode mode;
	size_t channels;

	pthread_mutex_t lock; // of extents: the guest does not write to what it has freed
	struct page_run extents[TESTMOVE_EXTENTS];
	size_t n_extents;
	pthread_t writer;
	atomic_bool writing, stop;

	struct note notes[TESTMOVE_NOTES];
	size_t n_notes, n_collected;

	struct move_round_result result;
	bool answered, failed, received, dest_failed;
	struct ferry_error error, dest_error;
	struct digest_root received_root;
	uint32_t dest_rounds;
	unsigned seed;

	// What a test may set between set_up and open.
	uint64_t bandwidth;
	bool refuse_objects;
	bool building;                        // the destination still compiles what it was sent
	void (*tamper)(int *at_a, int *at_b); // with a channel's two ends
	struct move_objects objects;          // instead of the notes
};

// Runs `test` with the digest tracker, then with wp where the kernel has it.
void testmove_each_tracker(void (*test)(const struct tracker_ops *tracker));

// Two page spaces, ten extents in the first, a thread that writes them.
void testmove_set_up(struct testmove *t, const struct tracker_ops *tracker, enum move_mode mode,
	size_t channels);
void testmove_open(struct testmove *t);           // the channels and both ends
void testmove_drain(struct testmove *t);          // nobody writes any more
void testmove_fill(struct testmove *t, int byte); // every page of every extent, after draining
void testmove_tear_down(struct testmove *t);

// For move_source_round() and move_source_final(), with the testmove.
void testmove_answered(void *arg, const struct move_round_result *r, const struct ferry_error *e);
// Runs the loop until *flag, at most ten seconds; extents change between its turns when asked to.
bool testmove_run_until(struct testmove *t, const bool *flag, bool changing);
// A round that must succeed.
void testmove_round(struct testmove *t, uint32_t n, bool changing);
// Objects ahead of stop-copy's only round.
void testmove_ahead(struct testmove *t, bool changing);
// Drains, and moves the rest, which must succeed.
void testmove_final(struct testmove *t);
// Extents, pages and roots are the same.
void testmove_check_equal(struct testmove *t);
