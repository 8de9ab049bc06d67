// SPDX-License-Identifier: Apache-2.0
#include "pages/round_plan.h"

#include <errno.h>
#include <stdlib.h>

static int add_item(struct round_plan *p, struct page_work item)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 1024;
		struct page_work *work = realloc(p->work, cap * sizeof(*work));

		if (!work)
			return -ENOMEM;
		p->work = work;
		p->cap = cap;
	}
	p->work[p->n++] = item;
	return 0;
}

static int add_run(
	struct round_plan *p, enum page_work_kind kind, struct page_run run, uint64_t most)
{
	while (run.count) {
		uint64_t n = run.count < most ? run.count : most;
		int rc = add_item(p, (struct page_work){ run.first, (uint32_t)n, kind });

		if (rc)
			return rc;
		run.first += n;
		run.count -= n;
	}
	return 0;
}

// Splits a run of candidates into what has memory and what has none; the latter joins `freed`, when
// that is given. `data` is the last answer of
// page_space_next_data(), kept from run to run: scattered candidates in one large buffer then cost
// two system calls together, not each.
static int add_candidates(struct round_plan *p, struct page_space *s, struct bitmap *freed,
	struct page_run extent, struct page_run run, struct page_run *data)
{
	while (run.count) {
		struct page_run part = run;

		if (run.first >= page_run_end(*data)) {
			struct page_run rest = { run.first, page_run_end(extent) - run.first };

			if (!page_space_next_data(s, rest, data))
				*data = (struct page_run){ page_run_end(extent), 0 };
		}
		if (run.first < data->first) { // a hole: zero, named where it was sent as more
			if (part.count > data->first - run.first)
				part.count = data->first - run.first;
			if (freed)
				bitmap_set(freed, part);
		} else {
			int rc;

			if (part.count > page_run_end(*data) - run.first)
				part.count = page_run_end(*data) - run.first;
			if (freed)
				bitmap_clear(freed, part);
			p->read_pages += part.count;
			rc = add_run(p, PAGE_WORK_READ, part, ROUND_PLAN_READ_PAGES);
			if (rc)
				return rc;
		}
		run.first += part.count;
		run.count -= part.count;
	}
	return 0;
}

static int plan_extent(struct round_plan *p, struct page_space *s, struct bitmap *freed,
	const struct bitmap *candidates, struct page_run extent, enum round_plan_holes holes)
{
	uint64_t end = page_run_end(extent);
	struct page_run run, data = extent;
	int rc;

	if (holes == ROUND_PLAN_FIND_HOLES)
		data.count = 0; // nothing known yet
	for (uint64_t at = extent.first; bitmap_next_run(candidates, at, end, &run);
		at = page_run_end(run)) {
		rc = add_candidates(p, s, freed, extent, run, &data);
		if (rc)
			return rc;
	}
	return 0;
}

// A mover may have read, and so committed, pages after they were freed: give them back.
static void punch_free_parts(struct page_space *s, struct page_run run)
{
	uint64_t end = page_run_end(run);
	struct page_run extent;

	for (uint64_t at = run.first; at < end; at = page_run_end(extent)) {
		uint64_t to = end;

		if (page_space_find(s, at, &extent))
			continue;
		if (page_space_next(s, at, &extent) && extent.first < end)
			to = extent.first;
		page_space_zero(s, (struct page_run){ at, to - at });
		extent = (struct page_run){ at, to - at };
	}
}

static int plan_frees(struct round_plan *p, struct page_space *s)
{
	struct bitmap *freed = page_space_freed(s);
	struct page_run run;

	for (uint64_t at = 0; bitmap_next_run(freed, at, page_space_pages(s), &run);
		at = page_run_end(run)) {
		int rc = add_run(p, PAGE_WORK_FREE, run, ROUND_PLAN_FREE_PAGES);

		if (rc)
			return rc;
		punch_free_parts(s, run);
	}
	return 0;
}

static int plan_extents(struct round_plan *p, struct page_space *s, struct bitmap *freed,
	const struct bitmap *candidates, enum round_plan_holes holes)
{
	struct page_run extent;
	int rc = 0;

	p->n = 0;
	p->read_pages = 0;
	for (uint64_t at = 0; !rc && page_space_next(s, at, &extent); at = page_run_end(extent))
		rc = plan_extent(p, s, freed, candidates, extent, holes);
	return rc;
}

int round_plan_make(struct round_plan *p, struct page_space *s, const struct bitmap *candidates,
	enum round_plan_holes holes)
{
	int rc = plan_extents(p, s, page_space_freed(s), candidates, holes);

	if (!rc)
		rc = plan_frees(p, s);
	bitmap_clear_all(page_space_freed(s));
	return rc;
}

int round_plan_look(struct round_plan *p, struct page_space *s, const struct bitmap *candidates)
{
	return plan_extents(p, s, NULL, candidates, ROUND_PLAN_FIND_HOLES);
}

void round_plan_clear(struct round_plan *p)
{
	p->n = 0;
	p->read_pages = 0;
}

void round_plan_destroy(struct round_plan *p)
{
	free(p->work);
	*p = (struct round_plan){ 0 };
}
