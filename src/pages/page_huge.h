// SPDX-License-Identifier: Apache-2.0
// Huge pages for the framebuffer, and the trackers' registration that is in their way: 2 MiB in one entry of the page tables, where an extent covers them.
// A kernel that reads much memory once (a model's weights) spends a quarter of its time on the walks
// through the tables of 4 KiB pages (docs/performance.md).
//
// The kernel makes them of pages that are there (madvise(2), MADV_COLLAPSE, Linux 6.1; it needs no
// setting of /sys/kernel/mm/transparent_hugepage): bytes and addresses stay, writers wait for a
// millisecond. Only memory whose every page is there is merged, so that none is committed by it.
//
// Trackers. The kernel merges nothing that userfaultfd(2) has registered; a registration that no
// tracker uses any more is ended first, piece by piece. What was merged before a tracker was opened
// stays huge and is tracked, as one page of 2 MiB until it is written (tracker_wp.c).
//
// All functions: any thread. One waits for another's call on the same space, a few milliseconds.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "pages/page_space.h"

#define HUGE_BYTES (2u << 20) // of x86-64, and of aarch64 with pages of 4 KiB
#define HUGE_PAGES (HUGE_BYTES / PAGE_BYTES)

// 0 when this kernel merges pages, tried on scratch memory, and its write tracking, where it has one
// that Ferry uses, tells writes to them; else why not.
int page_huge_probe(struct ferry_error *e);

// Merges the HUGE_PAGES from `first`, a multiple of them. 1: they are one now, and were not known to be.
// 0: they were, or not all of them are there, or some were given back since the last attempt: what
// comes and goes is not worth it. -EBUSY while they are tracked, or a registration has not
// been ended. -ENOMEM where the host, or the control group, has no 2 MiB in one piece. -EAGAIN where
// somebody was just using a page; else what madvise(2) says.
int page_huge_merge(struct page_space *s, uint64_t first);
// The same, tried again for a second while it says -EAGAIN: for probes and tests.
int page_huge_merge_patiently(struct page_space *s, uint64_t first);

// A tracker's registration with the kernel, kept from one to the next: ending it takes long. A tracker
// takes it as it begins (-1: there is none) and gives back one as it ends (-1: none); what is kept is
// closed with the space, or ended for huge pages, perhaps in part.
int page_space_take_registration(struct page_space *s);
void page_space_keep_registration(struct page_space *s, int fd);
// Ends the next 64 MiB of a registration that was kept and that no tracker uses; each takes up to 10
// ms, in which who touches new memory waits. True when there is more to end.
bool page_huge_end_registration(struct page_space *s);

// What was merged, and is not known to be split since.
uint64_t page_huge_bytes(struct page_space *s);
// Whether anything was ever merged: there may be huge pages that nobody knows of any more.
bool page_huge_any(struct page_space *s);
// Grows when page_huge_bytes() becomes less: there may be something to merge again.
uint64_t page_huge_losses(struct page_space *s);
