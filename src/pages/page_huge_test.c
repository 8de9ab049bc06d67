// SPDX-License-Identifier: Apache-2.0
#include "pages/page_huge.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include "base/test.h"
#include "pages/tracker.h"

#define CHUNKS 6

struct space {
	struct page_space *s;
	struct page_run run;
};

static struct space full_space(void)
{
	struct space f;

	CHECK_EQ(page_space_new(CHUNKS * HUGE_BYTES, &f.s, NULL), 0);
	CHECK_EQ(page_space_alloc(f.s, CHUNKS * HUGE_BYTES, &f.run, NULL), 0);
	for (uint64_t p = 0; p < f.run.count; p++)
		memset(page_space_at(f.s, f.run.first + p), (int)(p % 251) + 1, PAGE_BYTES);
	return f;
}

static uint8_t *byte_of(const struct space *f, uint64_t page)
{
	return page_space_at(f->s, f->run.first + page);
}

static void merge_all(const struct space *f)
{
	while (page_huge_end_registration(f->s))
		;
	for (unsigned i = 0; i < CHUNKS; i++)
		CHECK_EQ(page_huge_merge_patiently(f->s, f->run.first + i * HUGE_PAGES), 1);
	CHECK_EQ(page_huge_bytes(f->s), CHUNKS * HUGE_BYTES);
}

static uint64_t committed(const struct space *f)
{
	struct page_run within = { 0, page_space_pages(f->s) }, data;
	uint64_t n = 0;

	while (page_space_next_data(f->s, within, &data)) {
		n += data.count;
		within.count = page_run_end(within) - page_run_end(data);
		within.first = page_run_end(data);
	}
	return n;
}

static void bytes_stay(void)
{
	struct space f = full_space();

	merge_all(&f);
	for (uint64_t p = 0; p < f.run.count; p++)
		CHECK_EQ(byte_of(&f, p)[PAGE_BYTES - 1], p % 251 + 1);
	CHECK_EQ(page_huge_merge(f.s, f.run.first), 0); // it is already
	CHECK_EQ(page_huge_losses(f.s), 0);
	page_space_close(f.s);
}

static void nothing_is_committed(void)
{
	struct space f = full_space();
	struct page_run one = { f.run.first + HUGE_PAGES + 7, 1 };

	CHECK_EQ(page_space_zero(f.s, one), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(page_huge_merge(f.s, f.run.first + HUGE_PAGES), 0);
	CHECK_EQ(page_huge_merge_patiently(f.s, f.run.first), 1);
	CHECK_EQ(committed(&f), CHUNKS * HUGE_PAGES - 1);
	CHECK_EQ(page_huge_bytes(f.s), HUGE_BYTES);
	page_space_close(f.s);
}

static void what_is_freed_is_zero_and_no_longer_huge(void)
{
	struct space f = full_space();

	merge_all(&f);
	CHECK_EQ(page_space_zero(f.s, (struct page_run){ f.run.first + 3, 2 }), 0);
	CHECK_EQ(page_huge_bytes(f.s), (CHUNKS - 1) * HUGE_BYTES);
	CHECK_EQ(page_huge_losses(f.s), 1);
	CHECK_EQ(byte_of(&f, 2)[0], 3);
	CHECK_EQ(byte_of(&f, 3)[0], 0);
	CHECK_EQ(byte_of(&f, 4)[PAGE_BYTES - 1], 0);
	CHECK_EQ(byte_of(&f, 5)[0], 6);
	CHECK_EQ(page_space_free(f.s, f.run.first), 0);
	CHECK_EQ(page_huge_bytes(f.s), 0);
	CHECK_EQ(committed(&f), 0);
	page_space_close(f.s);
}

static void what_comes_and_goes_is_left_alone(void)
{
	struct space f = full_space();

	for (int i = 0; i < 3; i++) {
		CHECK_EQ(page_space_free(f.s, f.run.first), 0);
		CHECK_EQ(page_space_alloc(f.s, HUGE_BYTES, &f.run, NULL), 0);
		memset(byte_of(&f, 0), 1, HUGE_BYTES);
		CHECK_EQ(page_huge_merge(f.s, f.run.first), 0);
	}
	CHECK_EQ(page_huge_merge_patiently(f.s, f.run.first), 1);
	page_space_close(f.s);
}

static uint64_t named(struct tracker *t, const struct space *f, bool rearm)
{
	struct bitmap dirty;

	CHECK_EQ(bitmap_init(&dirty, page_space_pages(f->s)), 0);
	CHECK_EQ(tracker_wp.scan(t, rearm, &dirty, NULL), 0);
	uint64_t n = bitmap_count(&dirty, 0, dirty.bits);
	bitmap_destroy(&dirty);
	return n;
}

static void a_huge_page_is_named_whole_and_then_by_its_pages(void)
{
	struct space f = full_space();
	struct tracker *t;

	merge_all(&f);
	CHECK_EQ(tracker_wp.open(f.s, &t, NULL), 0);
	CHECK_EQ(page_huge_merge(f.s, f.run.first), -EBUSY);
	CHECK_EQ(tracker_wp.arm(t, NULL), 0);
	CHECK_EQ(named(t, &f, true), 0);
	byte_of(&f, 5)[0] = 9;
	byte_of(&f, 3 * HUGE_PAGES + 100)[0] = 9;
	CHECK_EQ(named(t, &f, false), 2 * HUGE_PAGES);
	CHECK_EQ(named(t, &f, true), 2 * HUGE_PAGES);
	CHECK_EQ(named(t, &f, true), 0);
	byte_of(&f, 5)[0] = 8;
	byte_of(&f, 3 * HUGE_PAGES + 511)[0] = 9;
	CHECK_EQ(named(t, &f, true), 2);
	tracker_wp.close(t);
	// The registration is kept for the next one, and ended for the next merge.
	CHECK_EQ(page_huge_bytes(f.s), 0);
	CHECK_EQ(page_huge_losses(f.s), 1);
	CHECK_EQ(page_huge_merge(f.s, f.run.first), -EBUSY);
	merge_all(&f);
	page_space_close(f.s);
}

static void a_tracker_after_a_registration_was_ended_in_part(void)
{
	struct space f;
	struct tracker *t;

	CHECK_EQ(page_space_new(64 << 20, &f.s, NULL), 0); // four pieces
	CHECK_EQ(page_space_alloc(f.s, 64 << 20, &f.run, NULL), 0);
	memset(byte_of(&f, 0), 1, 64 << 20);
	CHECK_EQ(tracker_wp.open(f.s, &t, NULL), 0);
	tracker_wp.close(t);
	CHECK(page_huge_end_registration(f.s));
	CHECK_EQ(tracker_wp.open(f.s, &t, NULL), 0);
	CHECK_EQ(tracker_wp.arm(t, NULL), 0);
	byte_of(&f, 77)[0] = 2;
	CHECK_EQ(named(t, &f, true), 1);
	CHECK(!page_huge_end_registration(f.s)); // a tracker has it
	byte_of(&f, 78)[0] = 2;
	CHECK_EQ(named(t, &f, true), 1);
	tracker_wp.close(t);
	page_space_close(f.s);
}

// ---- everything at once: nothing is lost

struct writer {
	pthread_t thread;
	const struct space *f;
	unsigned seed;
	atomic_bool stop;
};

static void *write_here_and_there(void *arg)
{
	struct writer *w = arg;

	while (!atomic_load(&w->stop)) {
		uint64_t page = (uint64_t)rand_r(&w->seed) % w->f->run.count;

		memset(byte_of(w->f, page) + rand_r(&w->seed) % 2048, rand_r(&w->seed) % 250, 64);
	}
	return NULL;
}

static void copy_named(struct tracker *t, const struct space *f, uint8_t *copy)
{
	struct bitmap dirty;
	struct page_run r;

	CHECK_EQ(bitmap_init(&dirty, page_space_pages(f->s)), 0);
	CHECK_EQ(tracker_wp.scan(t, true, &dirty, NULL), 0);
	for (uint64_t p = f->run.first; bitmap_next_run(&dirty, p, page_run_end(f->run), &r);
		p = page_run_end(r))
		memcpy(copy + (r.first - f->run.first) * PAGE_BYTES, page_space_at(f->s, r.first),
			r.count * PAGE_BYTES);
	bitmap_destroy(&dirty);
}

// As a move does it, again and again, while threads write and pages are merged in between.
static void nothing_is_lost_under_writers(void)
{
	struct space f = full_space();
	uint8_t *copy = malloc(CHUNKS * HUGE_BYTES);
	struct writer w[2];

	CHECK(copy);
	for (int round = 0; round < 12; round++) {
		struct tracker *t;

		for (unsigned i = 0; i < 2; i++) {
			w[i] = (struct writer){ .f = &f, .seed = (unsigned)round * 2 + i };
			CHECK_EQ(
				pthread_create(&w[i].thread, NULL, write_here_and_there, &w[i]), 0);
		}
		if (round % 3)
			merge_all(&f); // under the writers
		CHECK_EQ(tracker_wp.open(f.s, &t, NULL), 0);
		CHECK_EQ(tracker_wp.arm(t, NULL), 0);
		memcpy(copy, byte_of(&f, 0), CHUNKS * HUGE_BYTES);
		for (int i = 0; i < 10; i++)
			copy_named(t, &f, copy);
		for (unsigned i = 0; i < 2; i++) {
			atomic_store(&w[i].stop, true);
			pthread_join(w[i].thread, NULL);
		}
		copy_named(t, &f, copy); // the last scan
		CHECK(!memcmp(copy, byte_of(&f, 0), CHUNKS * HUGE_BYTES));
		tracker_wp.close(t);
	}
	free(copy);
	page_space_close(f.s);
}

int main(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (page_huge_probe(&e))
		SKIP(e.message);
	RUN(bytes_stay);
	RUN(nothing_is_committed);
	RUN(what_is_freed_is_zero_and_no_longer_huge);
	RUN(what_comes_and_goes_is_left_alone);
	if (tracker_wp.probe(&e))
		SKIP(e.message);
	RUN(a_huge_page_is_named_whole_and_then_by_its_pages);
	RUN(a_tracker_after_a_registration_was_ended_in_part);
	RUN(nothing_is_lost_under_writers);
	return 0;
}
