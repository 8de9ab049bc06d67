// SPDX-License-Identifier: Apache-2.0
// An ordered set of disjoint page runs: a treap (Seidel and Aragon, "Randomized Search Trees",
// 1996) keyed by first page, where each node also knows the longest run below it, so that first fit
// is a walk from the root. Every operation is O(log n) expected. One thread at a time.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// `count` pages from page `first`. Pages are numbered from the start of the page space.
struct page_run {
	uint64_t first;
	uint64_t count;
};

struct extent_node;

// Zero-initialised is a valid, empty tree.
struct extent_tree {
	struct extent_node *root;
	uint64_t seed; // of the priorities
	uint64_t n;    // runs in the tree
};

void extent_tree_clear(struct extent_tree *t);
// The run must not overlap one in the tree. 0 or -ENOMEM.
int extent_tree_insert(struct extent_tree *t, struct page_run run);
// Removes the run that starts at `first`. False when there is none.
bool extent_tree_remove(struct extent_tree *t, uint64_t first, struct page_run *ret);
// Makes the run that starts at `first` another one that still fits between its neighbours.
void extent_tree_change(struct extent_tree *t, uint64_t first, struct page_run to);
// The last run that starts at or before `page`; the first that starts at or after it.
bool extent_tree_at_or_before(const struct extent_tree *t, uint64_t page, struct page_run *ret);
bool extent_tree_at_or_after(const struct extent_tree *t, uint64_t page, struct page_run *ret);
// The lowest run of at least `count` pages.
bool extent_tree_first_fit(const struct extent_tree *t, uint64_t count, struct page_run *ret);

static inline uint64_t page_run_end(struct page_run r)
{
	return r.first + r.count;
}
