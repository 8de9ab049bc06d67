// SPDX-License-Identifier: Apache-2.0
// Digests of pages, and the root over all of them that source and destination compare.
//
// The digest is XXH3-128 (xxhash.h): fast and not cryptographic. It is an integrity check against
// faults, lost or doubled records and our own mistakes; that nobody changes bytes under way is the
// channel's business. Who could provoke a collision is the guest, in its own memory only.
//
// The root is the sum modulo 2^128 of XXH3-128(page number, digest) over all pages that are not
// zero. A sum does not depend on the order in which pages arrive over several channels, and when a
// page changes, its old term is subtracted and its new one added: so the root is there at any time,
// and no scan is needed in the stun.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "pages/page_space.h"

struct page_digest {
	uint64_t low, high; // both 0 exactly for a page of zeros
};

// Of the PAGE_BYTES at `page`.
struct page_digest page_digest(const void *page);
bool page_is_zero(const void *page);

static inline bool page_digest_equal(struct page_digest a, struct page_digest b)
{
	return a.low == b.low && a.high == b.high;
}

static inline bool page_digest_is_zero(struct page_digest d)
{
	return !d.low && !d.high;
}

struct digest_root {
	unsigned __int128 sum;
	uint64_t pages; // that are not zero
};

// Page `page` had digest `from` and now has `to`.
void digest_root_change(
	struct digest_root *r, uint64_t page, struct page_digest from, struct page_digest to);
// Adds a part that another thread kept for itself (its pages may be "negative": wraps as intended).
void digest_root_add(struct digest_root *r, struct digest_root part);

static inline bool digest_root_equal(struct digest_root a, struct digest_root b)
{
	return a.sum == b.sum && a.pages == b.pages;
}

// 32 hex digits of the sum and a NUL.
#define DIGEST_ROOT_TEXT 33
void digest_root_format(struct digest_root r, char ret[DIGEST_ROOT_TEXT]);

// The digest of every page as it was last sent, or received; all zero at first. Lazily committed.
// An entry belongs to the thread whose record names the page; rounds hand over all of them.
struct digest_table {
	struct page_digest *of;
	uint64_t pages;
};

int digest_table_init(struct digest_table *t, uint64_t pages); // 0 or -errno
void digest_table_destroy(struct digest_table *t);             // legal on a zeroed struct

// The root of what the page space holds now, by reading all of it (whether allocated or not).
// Nothing may write meanwhile. -ECANCELED when *stop (may be NULL) becomes true. Any thread.
int digest_scan_root(const struct page_space *s, const atomic_bool *stop, struct digest_root *ret);
