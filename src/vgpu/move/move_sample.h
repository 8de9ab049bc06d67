// SPDX-License-Identifier: Apache-2.0
// How much a guest writes, measured without a move: for the forecast before one. Main thread.
#pragma once

#include "base/loop.h"
#include "pages/page_space.h"
#include "pages/tracker.h"

struct move_sample;

// Bytes of allocated pages that were written within `ms` milliseconds; NULL error on success.
typedef void (*move_sample_fn)(
	void *arg, uint64_t dirty_bytes, double ms, const struct ferry_error *e);

// Calls fn once, later. Only one sample or move can track a page space at a time: end the samples
// before a move begins ("tracker-busy" otherwise). `ms` is 1 to 60000.
int move_sample_begin(struct loop *l, struct page_space *s, const struct tracker_ops *tracker,
	uint32_t ms, move_sample_fn fn, void *arg, struct move_sample **ret, struct ferry_error *e);

// Whether what is written now counts; before, a tracker without marks reads all pages once.
bool move_sample_counts(const struct move_sample *m);

// To be called once for each sample, in fn, after it, or earlier (fn is then not called).
// NULL-safe, returns NULL.
struct move_sample *move_sample_end(struct move_sample *m);
