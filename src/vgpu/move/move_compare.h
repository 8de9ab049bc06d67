// SPDX-License-Identifier: Apache-2.0
// Finding written pages by reading: the pages of a plan whose digest is not that in a table.
// Several threads may work on one plan.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include "pages/digest.h"
#include "pages/page_space.h"
#include "pages/round_plan.h"

struct move_compare {
	const struct page_space *space;
	const struct round_plan *plan;
	struct digest_table *table;
	bool update;             // write what was found into the table
	struct bitmap *differs;  // gets the pages; NULL: only counted
	const atomic_bool *stop; // ends early; may be NULL
	// Set to 0 by the caller.
	atomic_size_t next;
	atomic_uint_fast64_t pages; // that differ
};

// Takes items of the plan until there are none.
void move_compare_work(struct move_compare *c);
