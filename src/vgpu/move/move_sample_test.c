// SPDX-License-Identifier: Apache-2.0
#include "vgpu/move/move_sample.h"

#include <errno.h>
#include "base/clock.h"
#include "base/test.h"
#include "pages/page_huge.h"
#include "vgpu/move/move_root.h"

static struct loop *loop;
static struct page_space *space;
static struct page_run extent;
static uint64_t dirty;
static struct digest_root root;
static bool called;

static void on_sample(void *arg, uint64_t dirty_bytes, double ms, const struct ferry_error *e)
{
	CHECK(!e);
	CHECK(ms >= 30);
	dirty = dirty_bytes;
	called = true;
}

static void on_root(void *arg, struct digest_root r, double ms, const struct ferry_error *e)
{
	CHECK(!e);
	root = r;
	called = true;
}

static void set_up(void)
{
	loop = loop_new();
	CHECK_EQ(page_space_new(64 * PAGE_BYTES, &space, NULL), 0);
	CHECK_EQ(page_space_alloc(space, 64 * PAGE_BYTES, &extent, NULL), 0);
	memset(page_space_at(space, extent.first), 1, 32 * PAGE_BYTES);
	called = false;
}

static void tear_down(void)
{
	page_space_close(space);
	loop_free(loop);
}

static void run_until_called(void)
{
	int64_t end = clock_now_ns() + 5 * NSEC_PER_SEC;

	while (!called && clock_now_ns() < end)
		loop_once(loop, 100);
	CHECK(called);
}

static void sample_counts(const struct tracker_ops *t)
{
	struct move_sample *m;
	int64_t end;

	set_up();
	CHECK_EQ(move_sample_begin(loop, space, t, 0, on_sample, NULL, &m, NULL), -EINVAL);
	CHECK_EQ(move_sample_begin(loop, space, t, 30, on_sample, NULL, &m, NULL), 0);
	for (end = clock_now_ns() + 5 * NSEC_PER_SEC; !move_sample_counts(m);) {
		CHECK(clock_now_ns() < end);
		loop_once(loop, 1);
	}
	for (uint64_t p = 0; p < 64; p += 8)
		memset(page_space_at(space, extent.first + p), 2, PAGE_BYTES);
	run_until_called();
	CHECK_EQ(dirty, 8 * PAGE_BYTES);
	move_sample_end(m);
	CHECK_EQ(move_sample_begin(loop, space, t, 30, on_sample, NULL, &m, NULL), 0);
	move_sample_end(m); // early
	tear_down();
}

static void samples_count_what_was_written(void)
{
	sample_counts(&tracker_digest);
	if (!tracker_wp.probe(NULL))
		sample_counts(&tracker_wp);
}

// A page here and there of memory that is huge.
static void a_sample_of_huge_pages_counts_their_pages(void)
{
	struct move_sample *m;

	loop = loop_new();
	called = false;
	CHECK_EQ(page_space_new(2 * HUGE_BYTES, &space, NULL), 0);
	CHECK_EQ(page_space_alloc(space, 2 * HUGE_BYTES, &extent, NULL), 0);
	memset(page_space_at(space, extent.first), 1, 2 * HUGE_BYTES);
	CHECK_EQ(page_huge_merge_patiently(space, extent.first), 1);
	CHECK_EQ(page_huge_merge_patiently(space, extent.first + HUGE_PAGES), 1);
	CHECK_EQ(move_sample_begin(loop, space, &tracker_wp, 200, on_sample, NULL, &m, NULL), 0);
	for (int64_t end = clock_now_ns() + 5 * NSEC_PER_SEC; !called && clock_now_ns() < end;) {
		*(volatile uint8_t *)page_space_at(space, extent.first + 7) += 1;
		*(volatile uint8_t *)page_space_at(space, extent.first + 700) += 1;
		loop_once(loop, 1);
	}
	CHECK(called);
	CHECK_EQ(dirty, 2 * PAGE_BYTES);
	move_sample_end(m);
	tear_down();
}

static void root_is_that_of_a_scan(void)
{
	struct digest_root expected;
	struct move_root *m;

	set_up();
	CHECK_EQ(digest_scan_root(space, NULL, &expected), 0);
	CHECK_EQ(move_root_begin(loop, space, on_root, NULL, &m, NULL), 0);
	run_until_called();
	CHECK(digest_root_equal(root, expected));
	CHECK_EQ(root.pages, 32);
	move_root_end(m);
	CHECK_EQ(move_root_begin(loop, space, on_root, NULL, &m, NULL), 0);
	move_root_end(m);
	tear_down();
}

int main(void)
{
	RUN(samples_count_what_was_written);
	if (!tracker_wp.probe(NULL) && !page_huge_probe(NULL))
		RUN(a_sample_of_huge_pages_counts_their_pages);
	RUN(root_is_that_of_a_scan);
	return 0;
}
