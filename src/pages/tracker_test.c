// SPDX-License-Identifier: Apache-2.0
#include "pages/tracker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include "base/test.h"
#include "pages/digest.h"

#define PAGES 512

static const struct tracker_ops *under_test;

// What a mover does with a tracker, in the least code: a copy of the space, and what was "sent".
struct copier {
	struct page_space *s;
	struct tracker *t;
	struct bitmap dirty;
	struct digest_table sent;
	uint8_t *copy; // of the destination
	struct page_run extent;
};

static void copier_open(struct copier *c)
{
	*c = (struct copier){ 0 };
	CHECK_EQ(page_space_new(PAGES * PAGE_BYTES, &c->s, NULL), 0);
	CHECK_EQ(page_space_alloc(c->s, PAGES * PAGE_BYTES, &c->extent, NULL), 0);
	CHECK_EQ(under_test->open(c->s, &c->t, NULL), 0);
	CHECK_EQ(bitmap_init(&c->dirty, page_space_pages(c->s)), 0);
	CHECK_EQ(digest_table_init(&c->sent, page_space_pages(c->s)), 0);
	c->copy = calloc(page_space_pages(c->s), PAGE_BYTES);
	CHECK(c->copy);
	page_space_note_frees(c->s, true);
	CHECK_EQ(under_test->arm(c->t, NULL), 0);
	bitmap_set(&c->dirty, c->extent); // the first round sends everything
}

static void copier_close(struct copier *c)
{
	under_test->close(c->t);
	bitmap_destroy(&c->dirty);
	digest_table_destroy(&c->sent);
	page_space_close(c->s);
	free(c->copy);
}

static uint8_t *page_at(const struct copier *c, uint64_t page)
{
	return page_space_at(c->s, c->extent.first + page);
}

static void send_page(struct copier *c, uint64_t page)
{
	static uint8_t buffer[PAGE_BYTES];
	struct page_digest d;

	memcpy(buffer, page_space_at(c->s, page), PAGE_BYTES);
	d = page_digest(buffer);
	if (page_digest_equal(d, c->sent.of[page]))
		return;
	c->sent.of[page] = d;
	memcpy(c->copy + page * PAGE_BYTES, buffer, PAGE_BYTES);
}

// Sends what the last scan named; with `rescan` scans (and re-arms) first.
static uint64_t copier_round(struct copier *c, bool rescan)
{
	struct page_run r;
	uint64_t n = 0;

	if (rescan) {
		bitmap_clear_all(&c->dirty);
		CHECK_EQ(under_test->scan(c->t, true, &c->dirty, NULL), 0);
	}
	for (uint64_t p = 0; bitmap_next_run(&c->dirty, p, c->dirty.bits, &r); p = page_run_end(r))
		for (uint64_t i = 0; i < r.count; i++, n++)
			send_page(c, r.first + i);
	return n;
}

static void check_equal(const struct copier *c)
{
	CHECK(!memcmp(c->copy, page_space_base(c->s), page_space_pages(c->s) * PAGE_BYTES));
}

static void exactly_the_written_pages_are_named(void)
{
	struct copier c;

	copier_open(&c);
	memset(page_at(&c, 0), 1, PAGES * PAGE_BYTES);
	copier_round(&c, true);
	CHECK_EQ(copier_round(&c, true), under_test->exact ? 0 : PAGES);
	page_at(&c, 17)[5] = 9;
	page_at(&c, 400)[4095] = 9;
	bitmap_clear_all(&c.dirty);
	CHECK_EQ(under_test->scan(c.t, false, &c.dirty, NULL), 0); // looks, and does not re-arm
	CHECK_EQ(copier_round(&c, true), under_test->exact ? 2 : PAGES);
	CHECK_EQ(copier_round(&c, true), under_test->exact ? 0 : PAGES);
	check_equal(&c);
	copier_close(&c);
}

static void changed_and_changed_back_is_resent(void)
{
	struct copier c;

	copier_open(&c);
	page_at(&c, 3)[0] = 'a';
	copier_round(&c, true);
	page_at(&c, 3)[1] = 'x'; // named by the scan
	bitmap_clear_all(&c.dirty);
	CHECK_EQ(under_test->scan(c.t, true, &c.dirty, NULL), 0);
	page_at(&c, 3)[0] = 'b';
	copier_round(&c, false); // sends 'b'
	CHECK_EQ(c.copy[(c.extent.first + 3) * PAGE_BYTES], 'b');
	page_at(&c, 3)[0] = 'a'; // as it was before the scan
	copier_round(&c, true);
	check_equal(&c);
	copier_close(&c);
}

static void extents_allocated_later_are_tracked(void)
{
	struct copier c;
	struct page_run r;

	copier_open(&c);
	copier_round(&c, false);
	CHECK_EQ(page_space_free(c.s, c.extent.first), 0);
	CHECK_EQ(page_space_alloc(c.s, 3 * PAGE_BYTES, &r, NULL), 0);
	memset(page_space_at(c.s, r.first), 7, PAGE_BYTES);
	copier_round(&c, true);
	memset(page_space_at(c.s, r.first + 2), 8, PAGE_BYTES);
	copier_round(&c, true);
	check_equal(&c);
	copier_close(&c);
}

static void freed_and_reused_pages_are_seen(void)
{
	struct copier c;
	struct page_run r;

	copier_open(&c);
	memset(page_at(&c, 0), 1, PAGES * PAGE_BYTES);
	copier_round(&c, true);
	memset(page_at(&c, 8), 2, PAGE_BYTES); // written, then freed: its entry goes
	CHECK_EQ(page_space_free(c.s, c.extent.first), 0);
	CHECK_EQ(page_space_alloc(c.s, PAGES * PAGE_BYTES, &r, NULL), 0);
	CHECK_EQ(r.first, c.extent.first);
	for (uint64_t p = 0; p < PAGES; p += 2)
		page_at(&c, p)[0] = 3;
	copier_round(&c, true);
	for (uint64_t p = 0; p < PAGES; p += 2)
		CHECK(!memcmp(c.copy + (r.first + p) * PAGE_BYTES, page_at(&c, p), PAGE_BYTES));
	// What was not written again is in the space's own notes.
	CHECK_EQ(bitmap_count(page_space_freed(c.s), r.first, page_run_end(r)), PAGES);
	copier_close(&c);
}

static long faults(void)
{
	struct rusage u;

	CHECK_EQ(getrusage(RUSAGE_SELF, &u), 0);
	return u.ru_minflt;
}

// What was written while it was tracked costs nothing once that has ended, and a later tracker knows only
// of what was written since it was armed.
static void a_tracker_after_another(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct tracker *second = NULL;
	struct copier c;
	long before;

	copier_open(&c);
	memset(page_at(&c, 0), 1, PAGES * PAGE_BYTES);
	copier_round(&c, true);
	memset(page_at(&c, 0), 2, PAGES / 2 * PAGE_BYTES);
	if (under_test->exact) {
		CHECK_EQ(under_test->open(c.s, &second, &e), -EBUSY);
		CHECK_STR(e.code, "tracker-busy");
	}
	under_test->close(c.t);
	before = faults();
	memset(page_at(&c, 0), 3, PAGES / 2 * PAGE_BYTES);
	CHECK(faults() - before < PAGES / 8);
	memset(page_at(&c, PAGES - 8), 3, 4 * PAGE_BYTES);
	CHECK_EQ(under_test->open(c.s, &c.t, NULL), 0);
	CHECK_EQ(under_test->arm(c.t, NULL), 0);
	memset(page_at(&c, PAGES - 6), 4, 4 * PAGE_BYTES);
	CHECK_EQ(copier_round(&c, true), under_test->exact ? 4 : PAGES);
	copier_close(&c);
}

struct writer {
	pthread_t thread;
	const struct copier *c;
	atomic_bool stop;
};

static void *write_randomly(void *arg)
{
	struct writer *w = arg;
	unsigned seed = 3;

	while (!atomic_load(&w->stop)) {
		uint64_t page = (uint64_t)rand_r(&seed) % PAGES;

		memset(page_at(w->c, page) + rand_r(&seed) % 2048, rand_r(&seed) % 3, 2048);
	}
	return NULL;
}

static void nothing_is_lost_under_a_writer(void)
{
	struct copier c;
	struct writer w = { .c = &c };
	uint64_t named = 0;

	copier_open(&c);
	CHECK_EQ(pthread_create(&w.thread, NULL, write_randomly, &w), 0);
	for (int round = 0; round < 60 || named < 4 * PAGES; round++)
		named += copier_round(&c, round > 0);
	atomic_store(&w.stop, true);
	pthread_join(w.thread, NULL);
	copier_round(&c, true); // the last scan, after the drain
	check_equal(&c);
	copier_close(&c);
}

static void run_all(const struct tracker_ops *ops)
{
	under_test = ops;
	printf("tracker %s\n", ops->name);
	RUN(exactly_the_written_pages_are_named);
	RUN(changed_and_changed_back_is_resent);
	RUN(extents_allocated_later_are_tracked);
	RUN(freed_and_reused_pages_are_seen);
	RUN(a_tracker_after_another);
	RUN(nothing_is_lost_under_a_writer);
}

static void choice_by_name(void)
{
	const struct tracker_ops *ops = NULL;
	char reason[TRACKER_REASON_MAX];
	struct ferry_error e = FERRY_ERROR_INIT;

	CHECK_EQ(tracker_choose("soft-dirty", &ops, reason, &e), -EINVAL);
	CHECK_STR(e.code, "bad-tracker");
	setenv("FERRY_TRACKER", "digest", 1);
	CHECK_EQ(tracker_choose("auto", &ops, reason, NULL), 0);
	CHECK_STR(ops->name, "digest");
	unsetenv("FERRY_TRACKER");
	CHECK_EQ(tracker_choose("auto", &ops, reason, NULL), 0);
	printf("auto: %s (%s)\n", ops->name, reason);
}

int main(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	RUN(choice_by_name);
	run_all(&tracker_digest);
	if (tracker_wp.probe(&e))
		printf("not tested: wp: %s\n", e.message);
	else
		run_all(&tracker_wp);
	return 0;
}
