// SPDX-License-Identifier: Apache-2.0
// One bit per page, in lazily committed memory: a bitmap over a mostly unused page space costs what
// is used of it. One thread at a time.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "pages/extent_tree.h"

struct bitmap {
	uint64_t *words;
	uint64_t bits;
	uint64_t low, high; // every set bit is in [low, high)
};

int bitmap_init(struct bitmap *b, uint64_t bits); // all clear; 0 or -errno
void bitmap_destroy(struct bitmap *b);            // legal on a zeroed struct
void bitmap_clear_all(struct bitmap *b);          // gives the memory back

// Runs must lie inside the bitmap.
void bitmap_set(struct bitmap *b, struct page_run run);
void bitmap_clear(struct bitmap *b, struct page_run run);
// The same for one bit, while several threads set bits and nobody does anything else. The bounds
// have to be widened first: bitmap_expect_all().
void bitmap_set_shared(struct bitmap *b, uint64_t bit);
void bitmap_expect_all(struct bitmap *b);
bool bitmap_test(const struct bitmap *b, uint64_t bit);
// The first run of set bits inside [from, end), cut at `end`. False when there is none.
bool bitmap_next_run(const struct bitmap *b, uint64_t from, uint64_t end, struct page_run *ret);
uint64_t bitmap_count(const struct bitmap *b, uint64_t from, uint64_t end);
