// SPDX-License-Identifier: Apache-2.0
#include "pages/round_plan.h"

#include "base/test.h"

static struct page_space *space;
static struct bitmap candidates;
static struct round_plan plan;

static void set_up(void)
{
	CHECK_EQ(page_space_new(1024 * PAGE_BYTES, &space, NULL), 0);
	CHECK_EQ(bitmap_init(&candidates, page_space_pages(space)), 0);
	page_space_note_frees(space, true);
}

static void tear_down(void)
{
	round_plan_destroy(&plan);
	bitmap_destroy(&candidates);
	space = page_space_close(space);
}

static struct page_run alloc_pages(uint64_t pages)
{
	struct page_run r;

	CHECK_EQ(page_space_alloc(space, pages * PAGE_BYTES, &r, NULL), 0);
	return r;
}

static void fill(uint64_t page, uint64_t n)
{
	memset(page_space_at(space, page), 1, n * PAGE_BYTES);
}

// How item i reads: "R first count", "F first count".
static void check_item(size_t i, enum page_work_kind kind, uint64_t first, uint64_t count)
{
	CHECK(i < plan.n);
	CHECK_EQ(plan.work[i].kind, kind);
	CHECK_EQ(plan.work[i].first, first);
	CHECK_EQ(plan.work[i].count, count);
}

static void only_allocated_pages_with_memory_are_read(void)
{
	struct page_run a;

	set_up();
	a = alloc_pages(200);
	fill(a.first + 10, 5);
	fill(a.first + 100, 70);
	bitmap_set(&candidates, (struct page_run){ 0, 1000 });
	CHECK_EQ(round_plan_make(&plan, space, &candidates, ROUND_PLAN_FIND_HOLES), 0);
	check_item(0, PAGE_WORK_READ, a.first + 10, 5);
	check_item(1, PAGE_WORK_READ, a.first + 100, 64);
	check_item(2, PAGE_WORK_READ, a.first + 164, 6);
	check_item(3, PAGE_WORK_FREE, a.first, 10); // holes: named only if they were sent
	check_item(4, PAGE_WORK_FREE, a.first + 15, 85);
	check_item(5, PAGE_WORK_FREE, a.first + 170, 30);
	CHECK_EQ(plan.n, 6);
	CHECK_EQ(plan.read_pages, 75);
	CHECK_EQ(round_plan_make(&plan, space, &candidates, ROUND_PLAN_NO_HOLES), 0);
	CHECK_EQ(plan.read_pages, 200);
	CHECK_EQ(plan.n, 4);
	tear_down();
}

static void a_page_is_read_or_freed_never_both(void)
{
	struct page_run a, b;

	set_up();
	a = alloc_pages(16);
	fill(a.first, 16);
	CHECK_EQ(page_space_free(space, a.first), 0);
	b = alloc_pages(8);
	CHECK_EQ(b.first, a.first);
	fill(b.first + 2, 3); // the new owner wrote these
	bitmap_set(&candidates, (struct page_run){ b.first + 2, 3 });
	CHECK_EQ(round_plan_make(&plan, space, &candidates, ROUND_PLAN_FIND_HOLES), 0);
	check_item(0, PAGE_WORK_READ, b.first + 2, 3);
	check_item(1, PAGE_WORK_FREE, b.first, 2);
	check_item(2, PAGE_WORK_FREE, b.first + 5, 11);
	CHECK_EQ(plan.n, 3);
	bitmap_clear_all(&candidates);
	CHECK_EQ(round_plan_make(&plan, space, &candidates, ROUND_PLAN_FIND_HOLES), 0);
	CHECK_EQ(plan.n, 0); // the notes are used up
	tear_down();
}

static void pages_read_after_a_free_are_given_back(void)
{
	struct page_run a, keep, run;

	set_up();
	a = alloc_pages(16);
	CHECK_EQ(page_space_free(space, a.first), 0);
	keep = alloc_pages(4);
	fill(keep.first, 1);
	CHECK_EQ(((volatile uint8_t *)page_space_at(space, a.first + 9))[0], 0); // a late mover
	CHECK_EQ(round_plan_make(&plan, space, &candidates, ROUND_PLAN_FIND_HOLES), 0);
	CHECK(page_space_next_data(space, (struct page_run){ 0, page_space_pages(space) }, &run));
	CHECK_EQ(run.first, keep.first);
	CHECK_EQ(run.count, 1);
	CHECK(!page_space_next_data(space, (struct page_run){ keep.first + 1, 100 }, &run));
	CHECK_EQ(*(uint8_t *)page_space_at(space, keep.first), 1);
	tear_down();
}

int main(void)
{
	RUN(only_allocated_pages_with_memory_are_read);
	RUN(a_page_is_read_or_freed_never_both);
	RUN(pages_read_after_a_free_are_given_back);
	return 0;
}
