// SPDX-License-Identifier: Apache-2.0
// The inside of a page space, for page_space.c and page_huge.c.
#pragma once

#include <pthread.h>
#include "pages/page_space.h"

struct page_space {
	int fd; // the memfd; never written through
	uint8_t *base;
	uint64_t pages, quota;
	// Main thread only.
	struct extent_tree allocated, unused;
	uint64_t allocated_pages, generation;
	bool note_frees, incoming;
	struct bitmap freed;
	// Any thread's, under the lock, which is also held while memory is punched out or merged: neither
	// happens in the middle of the other.
	pthread_mutex_t lock;
	struct bitmap merged; // one bit for each HUGE_PAGES
	struct bitmap young;  // the same: some of it was given back since the last attempt
	bool merged_any;
	uint64_t losses;       // page_huge_losses()
	unsigned trackers;     // that have the registration, or were told that there is none
	int registration;      // kept; -1: none
	uint64_t ended_before; // the page before which it has been ended already
};

// Pages of this run were given back: no huge page holds them any more. With the lock.
void page_huge_note_punched(struct page_space *s, struct page_run run);
