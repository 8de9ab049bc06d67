// SPDX-License-Identifier: Apache-2.0
#include "vgpu/huge_pages.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/test.h"
#include "pages/page_huge.h"
#include "pages/tracker.h"

static struct loop *loop;
static struct page_space *space;
static struct huge_pages *keeper;

static struct page_run fill(uint64_t bytes)
{
	struct page_run run;

	CHECK_EQ(page_space_alloc(space, bytes, &run, NULL), 0);
	memset(page_space_at(space, run.first), 1, bytes);
	return run;
}

static void set_up(void)
{
	loop = loop_new();
	CHECK_EQ(page_space_new(256 << 20, &space, NULL), 0);
	CHECK_EQ(huge_pages_new(loop, space, &keeper, NULL), 0);
}

static void tear_down(void)
{
	keeper = huge_pages_free(keeper);
	page_space_close(space);
	loop_free(loop);
}

static void run_until_huge(uint64_t bytes)
{
	int64_t end = clock_now_ns() + 60 * NSEC_PER_SEC;

	while (page_huge_bytes(space) != bytes && clock_now_ns() < end)
		loop_once(loop, 100);
	CHECK_EQ(page_huge_bytes(space), bytes);
}

static void whole_huge_pages_are_merged(void)
{
	set_up();
	fill(100 << 10);
	fill(64 << 20);
	fill((3 << 20) + 5); // one and a rest
	run_until_huge(66 << 20);
	CHECK_EQ(page_space_free(space, fill(HUGE_BYTES).first), 0);
	fill(4 << 20);
	run_until_huge(70 << 20);
	tear_down();
}

static void merged_again_after_a_tracker(void)
{
	struct tracker *t;
	struct page_run run;

	set_up();
	run = fill(32 << 20);
	run_until_huge(32 << 20);
	CHECK_EQ(tracker_wp.open(space, &t, NULL), 0);
	CHECK_EQ(tracker_wp.arm(t, NULL), 0);
	*(uint8_t *)page_space_at(space, run.first) = 2;
	tracker_wp.close(t);
	CHECK_EQ(page_huge_bytes(space), 0);
	run_until_huge(32 << 20);
	tear_down();
}

static void it_ends_in_the_middle(void)
{
	int64_t end;

	set_up();
	fill(200 << 20);
	end = clock_now_ns() + 60 * NSEC_PER_SEC;
	while (!page_huge_bytes(space) && clock_now_ns() < end)
		loop_once(loop, 10);
	CHECK(page_huge_bytes(space) < 200 << 20);
	tear_down();
}

static void off(void)
{
	setenv("FERRY_HUGE_PAGES", "off", 1);
	set_up();
	CHECK(!keeper);
	tear_down();
	unsetenv("FERRY_HUGE_PAGES");
}

int main(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	RUN(off);
	if (page_huge_probe(&e))
		SKIP(e.message);
	RUN(whole_huge_pages_are_merged);
	if (!tracker_wp.probe(NULL))
		RUN(merged_again_after_a_tracker);
	RUN(it_ends_in_the_middle);
	return 0;
}
