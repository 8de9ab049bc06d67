// SPDX-License-Identifier: Apache-2.0
#include "vgpu/move/move_sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "pages/page_huge.h"
#include "vgpu/move/move_compare.h"
#include "vgpu/move/move_pool.h"

// With an exact tracker: arm, wait, scan. Where there are huge pages, which would count whole (tracker.h),
// they are watched for a moment before, so that those that are written are split. Else: digest all,
// wait, digest and compare.
enum sample_phase {
	SAMPLE_LEARNING,
	SAMPLE_SPLITTING,
	SAMPLE_WAITING,
	SAMPLE_COMPARING,
	SAMPLE_DONE
};

#define SPLITTING_PART 4 // of the time, before it

struct move_sample {
	struct page_space *space;
	const struct tracker_ops *ops;
	uint32_t ms;
	move_sample_fn fn;
	void *arg;
	enum sample_phase phase;
	int64_t started_ns;
	struct tracker *tracker; // exact ones
	struct bitmap dirty;
	struct watch *waker, *timer;
	// The main thread's while the pool is idle, else its thread's.
	struct move_pool *pool; // not for exact ones
	struct digest_table seen;
	struct round_plan plan;
	struct move_compare compare;
	atomic_bool stop;
};

static void finish(struct move_sample *m, uint64_t pages, const struct ferry_error *e)
{
	m->phase = SAMPLE_DONE;
	m->fn(m->arg, pages * PAGE_BYTES, (double)(clock_now_ns() - m->started_ns) / 1e6,
		e && e->err ? e : NULL);
}

static void compare_job(void *arg, size_t i)
{
	struct move_sample *m = arg;

	(void)i;
	move_compare_work(&m->compare);
}

static int start_compare(struct move_sample *m, bool update)
{
	struct page_run run;
	int rc;

	bitmap_clear_all(&m->dirty);
	for (uint64_t p = 0; page_space_next(m->space, p, &run); p = page_run_end(run))
		bitmap_set(&m->dirty, run);
	rc = round_plan_look(&m->plan, m->space, &m->dirty);
	if (rc)
		return rc;
	m->compare = (struct move_compare){ .space = m->space,
		.plan = &m->plan,
		.table = &m->seen,
		.update = update,
		.stop = &m->stop };
	m->phase = update ? SAMPLE_LEARNING : SAMPLE_COMPARING;
	move_pool_run(m->pool, compare_job, m);
	return 0;
}

static void start_waiting(struct move_sample *m, enum sample_phase phase, uint32_t ms)
{
	m->phase = phase;
	m->started_ns = clock_now_ns();
	watch_set_timer(m->timer, m->started_ns + ms * NSEC_PER_MSEC);
}

static uint64_t dirty_pages(struct move_sample *m)
{
	uint64_t pages = 0;
	struct page_run run;

	for (uint64_t p = 0; page_space_next(m->space, p, &run); p = page_run_end(run))
		pages += bitmap_count(&m->dirty, run.first, page_run_end(run));
	return pages;
}

static void scan_exact(struct move_sample *m)
{
	bool splitting = m->phase == SAMPLE_SPLITTING;
	struct ferry_error e = FERRY_ERROR_INIT;

	bitmap_clear_all(&m->dirty);
	int rc = m->ops->scan(m->tracker, splitting, &m->dirty, &e);
	if (!rc && splitting)
		start_waiting(m, SAMPLE_WAITING, m->ms);
	else
		finish(m, rc ? 0 : dirty_pages(m), &e);
}

static void on_timer(void *arg)
{
	struct move_sample *m = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	if (m->ops->exact) {
		scan_exact(m);
		return;
	}
	int rc = start_compare(m, false);
	if (rc) {
		ferry_fail(&e, rc, "no-memory", "sample: %s", strerror(-rc));
		finish(m, 0, &e);
	}
}

static void on_wake(void *arg)
{
	struct move_sample *m = arg;

	if (move_pool_busy(m->pool))
		return;
	if (m->phase == SAMPLE_LEARNING)
		start_waiting(m, SAMPLE_WAITING, m->ms);
	else if (m->phase == SAMPLE_COMPARING)
		finish(m, m->compare.pages, NULL);
}

static int start_exact(struct move_sample *m, struct ferry_error *e)
{
	int rc = m->ops->open(m->space, &m->tracker, e);

	if (!rc)
		rc = m->ops->arm(m->tracker, e);
	if (!rc && page_huge_any(m->space))
		start_waiting(m, SAMPLE_SPLITTING, m->ms / SPLITTING_PART);
	else if (!rc)
		start_waiting(m, SAMPLE_WAITING, m->ms);
	return rc;
}

static int start_reading(struct move_sample *m, struct ferry_error *e)
{
	int rc = digest_table_init(&m->seen, page_space_pages(m->space));

	m->pool = move_pool_new(1, m->waker);
	if (!m->pool)
		rc = -EAGAIN;
	if (!rc)
		rc = start_compare(m, true);
	return rc ? ferry_fail(e, rc, "no-memory", "sample: %s", strerror(-rc)) : 0;
}

int move_sample_begin(struct loop *l, struct page_space *s, const struct tracker_ops *tracker,
	uint32_t ms, move_sample_fn fn, void *arg, struct move_sample **ret, struct ferry_error *e)
{
	struct move_sample *m;
	int rc;

	if (!ms || ms > 60000)
		return ferry_fail(
			e, EINVAL, "bad-sample", "a sample of %u ms: 1 to 60000 are legal", ms);
	m = calloc(1, sizeof(*m));
	if (!m)
		return ferry_fail(e, ENOMEM, "no-memory", "sample: out of memory");
	*m = (struct move_sample){ .space = s, .ops = tracker, .ms = ms, .fn = fn, .arg = arg };
	m->waker = loop_waker(l, on_wake, m);
	m->timer = loop_timer(l, -1, on_timer, m);
	rc = bitmap_init(&m->dirty, page_space_pages(s));
	if (rc || !m->waker || !m->timer)
		rc = ferry_fail(e, ENOMEM, "no-memory", "sample: out of memory");
	else
		rc = tracker->exact ? start_exact(m, e) : start_reading(m, e);
	if (rc) {
		move_sample_end(m);
		return rc;
	}
	*ret = m;
	return 0;
}

bool move_sample_counts(const struct move_sample *m)
{
	return m->phase == SAMPLE_WAITING;
}

struct move_sample *move_sample_end(struct move_sample *m)
{
	if (!m)
		return NULL;
	atomic_store(&m->stop, true);
	move_pool_free(m->pool);
	m->ops->close(m->tracker);
	watch_remove(m->waker);
	watch_remove(m->timer);
	bitmap_destroy(&m->dirty);
	digest_table_destroy(&m->seen);
	round_plan_destroy(&m->plan);
	free(m);
	return NULL;
}
