// SPDX-License-Identifier: Apache-2.0
// Trackers: what tells which pages were written since they were last sent. Interchangeable behind
// one table of operations; which one is used changes the speed, never the result.
//
// Order is law (DESIGN, "Trackers"): arm everything, then copy the first page; scan and re-arm,
// then read what the scan named; the last scan comes after the drain, when nothing writes any more.
// A page that is written between scan and read is named again by the next scan.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "pages/bitmap.h"
#include "pages/page_space.h"

struct tracker;

struct tracker_ops {
	const char *name; // "wp", "digest"
	// True: a scan names exactly the pages written; of a huge page (page_huge.h) all of it the first
	// time, from then on what was written of it. False: it names all that could have been,
	// and whoever reads them compares with the digest of the bytes that were sent.
	bool exact;
	// 0 when it works here, tried on scratch memory; else why not.
	int (*probe)(struct ferry_error *e);
	// The same with huge pages. NULL: no difference.
	int (*probe_huge)(struct ferry_error *e);
	int (*open)(struct page_space *s, struct tracker **ret, struct ferry_error *e);
	// From here on every write to an allocated extent, or to one allocated later, is found.
	int (*arm)(struct tracker *t, struct ferry_error *e);
	// Adds to `dirty` the pages of allocated extents that were written since they were armed; with
	// `rearm` they are armed again in the same step. Pages between extents may be named too; pages
	// freed and punched may be missing: the page space notes those itself.
	int (*scan)(struct tracker *t, bool rearm, struct bitmap *dirty, struct ferry_error *e);
	// Ends tracking and frees. Writers are as fast as before, but for one fault in a page that is
	// still armed. NULL-safe.
	void (*close)(struct tracker *t);
};

extern const struct tracker_ops tracker_wp;     // userfaultfd(2) and PAGEMAP_SCAN, Linux 6.7
extern const struct tracker_ops tracker_digest; // works everywhere, reads everything every round

#define TRACKER_REASON_MAX 200

// Chooses by name: "wp", "digest", or "auto" (wp where its probe succeeds). For "auto" the
// environment's FERRY_TRACKER, when set, takes its place. ret_reason says why, for operators. An
// unknown name is -EINVAL; "wp" where it does not work is that probe's error. Main thread only.
int tracker_choose(const char *name, const struct tracker_ops **ret,
	char ret_reason[TRACKER_REASON_MAX], struct ferry_error *e);
