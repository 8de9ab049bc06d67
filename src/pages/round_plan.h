// SPDX-License-Identifier: Apache-2.0
// What one round has to look at: made on the main thread from a tracker's scan and the noted frees
// in one step, then only read, by the threads that carry it out. Each page is in at most one item.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "pages/bitmap.h"
#include "pages/page_space.h"

#define ROUND_PLAN_READ_PAGES 64         // of one item to be read
#define ROUND_PLAN_FREE_PAGES (1u << 16) // of one item to be named

enum page_work_kind {
	PAGE_WORK_READ, // read, and send what differs from what was sent
	PAGE_WORK_FREE, // zero here: name those that were sent as something else
};

struct page_work {
	uint64_t first;
	uint32_t count;
	enum page_work_kind kind;
};

// Zero-initialised is a valid, empty plan.
struct round_plan {
	struct page_work *work; // ascending within each kind, READ before FREE
	size_t n, cap;
	uint64_t read_pages;
};

// Whether to look for candidates without memory behind them, which need not be read (7 ms for
// 1 GiB). Pointless for what an exact tracker says was written.
enum round_plan_holes { ROUND_PLAN_FIND_HOLES, ROUND_PLAN_NO_HOLES };

// Replaces the plan: the candidates that lie in allocated extents are to be read; those found to be
// holes, and the noted frees, are to be named. Clears the notes, and punches out freed pages that
// are still free. 0 or -ENOMEM, after which the notes are lost and the move with them.
int round_plan_make(struct round_plan *p, struct page_space *s, const struct bitmap *candidates,
	enum round_plan_holes holes);
// Replaces the plan by only what is to be read, to count it: notes and memory stay as they are.
int round_plan_look(struct round_plan *p, struct page_space *s, const struct bitmap *candidates);
void round_plan_clear(struct round_plan *p); // empty, memory kept
void round_plan_destroy(struct round_plan *p);
