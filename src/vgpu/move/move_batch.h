// SPDX-License-Identifier: Apache-2.0
// The hot path of a source's worker: pages go in, records go out over one channel, at most 256 KiB
// of pages in one send. One thread's own.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "pages/digest.h"
#include "pages/page_space.h"
#include "pages/round_plan.h"
#include "wire/channel.h"
#include "wire/record.h"

// How pages are read and which are sent.
struct move_batch_mode {
	// Copy first, then digest and send the copy: bytes change while the guest runs. False only
	// when nothing can write any more: then straight from the mapping.
	bool live;
	// Send pages also when their digest is that of the bytes that were sent before.
	bool whole;
};

struct move_batch_counts {
	uint64_t bytes;       // of pages sent
	uint64_t named_pages; // as zero or free
	uint64_t sent_bytes;  // all that went out, headers too
};

struct move_batch;

// Sends on `c`, reads from `s`, keeps `sent` up to date. `progress` (bytes of pages) is shared by
// all batches. NULL when memory is exhausted.
struct move_batch *move_batch_new(struct channel *c, struct page_space *s,
	struct digest_table *sent, atomic_uint_fast64_t *progress);
struct move_batch *move_batch_free(struct move_batch *b); // NULL-safe, returns NULL

// A new round: forgets the counts; the root part goes on.
void move_batch_begin(struct move_batch *b, uint32_t round, struct move_batch_mode mode);
// 0 or -errno from the channel.
int move_batch_add(struct move_batch *b, struct page_work work);
int move_batch_flush(struct move_batch *b);
// Flushes, then one record without payload from memory of ours, or bytes as they are.
int move_batch_record(struct move_batch *b, const struct record *r, const void *payload);
int move_batch_bytes(struct move_batch *b, const void *bytes, size_t n);

struct move_batch_counts move_batch_counts(const struct move_batch *b);
// This channel's part of the root, over the whole move.
struct digest_root move_batch_root(const struct move_batch *b);
