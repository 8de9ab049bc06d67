// SPDX-License-Identifier: Apache-2.0
// What channel 0 says first in a round: the extents, a hint of what will come, and objects. Built
// as bytes on the main thread, sent by a worker.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "pages/page_space.h"
#include "pages/round_plan.h"
#include "vgpu/move/move.h"

struct move_opening {
	struct buf bytes;
	uint64_t object_bytes; // payload of objects in it
};

void move_opening_reset(struct move_opening *o);
void move_opening_destroy(struct move_opening *o); // legal on a zeroed struct

// All extents; `same`: unchanged since the round before, only said so. `quiet`: RECORD_QUIET. All
// these are 0 or -ENOMEM.
int move_opening_round(
	struct move_opening *o, const struct page_space *s, uint32_t round, bool same, bool quiet);
// The plan's runs that are to be read, joined where they touch.
int move_opening_coming(struct move_opening *o, const struct round_plan *plan, uint32_t round);
// Everything that `objects` has to say. Its error, or -E2BIG "object-too-large".
int move_opening_objects(struct move_opening *o, const struct move_objects *objects, uint32_t round,
	bool final, struct ferry_error *e);
