// SPDX-License-Identifier: Apache-2.0
// What happens inside of a call of a source (a round, the final part), main thread. A call goes
// through phases; each ends when the pool of workers is idle, a timer fires, or the destination has
// acknowledged, and then m->next says what follows.
#include <errno.h>
#include "base/clock.h"
#include "base/log.h"
#include "vgpu/move/move_source_internal.h"

// Which phase may follow which.
#define P(x) (1u << MOVE_##x)
static const unsigned legal[] = {
	[MOVE_IDLE] = P(WATCHING) | P(COMPARING) | P(SENDING) | P(FAILED),
	[MOVE_WATCHING] = P(COMPARING) | P(SENDING) | P(FAILED),
	[MOVE_COMPARING] = P(WATCHING) | P(SENDING) | P(IDLE) | P(FAILED),
	[MOVE_SENDING] = P(COMPARING) | P(FINISHING) | P(IDLE) | P(FAILED),
	[MOVE_FINISHING] = P(COMPLETE) | P(FAILED),
	[MOVE_COMPLETE] = P(FAILED),
	[MOVE_FAILED] = 0,
};
const char *const move_phase_names[] = { "idle", "watching", "comparing", "sending", "finishing",
	"complete", "failed" };

void move_source_set_phase(struct move_source *m, enum move_phase to)
{
	if (!(legal[m->phase] & 1u << to))
		log_error("move: phase %s after %s", move_phase_names[to],
			move_phase_names[m->phase]);
	log_debug("move: %s -> %s", move_phase_names[m->phase], move_phase_names[to]);
	m->phase = to;
}

void move_source_answer(
	struct move_source *m, const struct move_round_result *r, const struct ferry_error *e)
{
	move_round_fn fn = m->fn;

	m->fn = NULL;
	watch_set_timer(m->progress_timer, -1);
	if (fn)
		fn(m->fn_arg, r, e);
}

// --- Comparing: which pages differ from a table, by reading -----------------------------------

static void compare_job(void *arg, size_t i)
{
	struct move_source *m = arg;

	(void)i;
	move_compare_work(&m->compare);
}

static void all_allocated(struct move_source *m, struct bitmap *to)
{
	struct page_run run;

	bitmap_clear_all(to);
	for (uint64_t p = 0; page_space_next(m->space, p, &run); p = page_run_end(run))
		bitmap_set(to, run);
}

// Finds what differs from `table` into m->dirty, then goes on with `next`.
static int start_compare(
	struct move_source *m, struct digest_table *table, bool update, move_step_fn next)
{
	int rc;

	all_allocated(m, &m->dirty);
	rc = round_plan_look(&m->plan, m->space, &m->dirty);
	if (rc)
		return rc;
	bitmap_clear_all(&m->dirty);
	bitmap_expect_all(&m->dirty);
	m->compare = (struct move_compare){ .space = m->space,
		.plan = &m->plan,
		.table = table,
		.update = update,
		.differs = &m->dirty,
		.stop = &m->stop };
	m->next = next;
	move_source_set_phase(m, MOVE_COMPARING);
	move_pool_run(m->pool, compare_job, m);
	return 0;
}

// What has been written since the last look goes into m->dirty; then `next`.
static int look(struct move_source *m, move_step_fn next, struct ferry_error *e)
{
	int rc;

	if (!m->ops->exact)
		return start_compare(m, &m->sent, false, next);
	bitmap_clear_all(&m->dirty);
	rc = m->ops->scan(m->tracker, false, &m->dirty, e);
	return rc ? rc : next(m, e);
}

// --- Sending ----------------------------------------------------------------------------------

static int make_opening(struct move_source *m, bool final, struct ferry_error *e)
{
	uint64_t generation = page_space_generation(m->space);
	bool same = m->announced && m->announced_generation == generation;
	bool quiet = m->ahead || (m->mode == MOVE_SINGLE_PASS && m->round > 1);
	int rc;

	move_opening_reset(&m->opening);
	rc = move_opening_round(&m->opening, m->space, m->round, same, quiet);
	if (!rc && !m->announced)
		rc = move_opening_coming(&m->opening, &m->plan, m->round);
	if (rc)
		return rc;
	m->announced = true;
	m->announced_generation = generation;
	if (!quiet)
		log_line_to(m->vm_log, "Migrate_ReadState: vGPU Page Transfer Start. round=%u",
			++m->lines);
	return move_opening_objects(&m->opening, &m->objects, m->round, final, e);
}

// Sends the candidates in m->dirty as round m->round.
static int start_sending(struct move_source *m, struct move_batch_mode mode, bool final,
	move_step_fn next, struct ferry_error *e)
{
	bool written = m->ops->exact && m->mode == MOVE_PRECOPY && m->round > 1;
	int rc = round_plan_make(&m->plan, m->space, &m->dirty,
		written ? ROUND_PLAN_NO_HOLES : ROUND_PLAN_FIND_HOLES);

	if (!rc)
		rc = make_opening(m, final, e);
	if (rc)
		return rc;
	if (m->ahead)
		round_plan_clear(&m->plan);
	m->batch_mode = mode;
	m->next = next;
	m->final = final;
	atomic_store(&m->cursor, 0);
	atomic_store(&m->progress, 0);
	move_source_set_phase(m, MOVE_SENDING);
	watch_set_timer(m->progress_timer, clock_now_ns() + MOVE_PROGRESS_NS);
	move_pool_run(m->pool, move_source_send_job, m);
	return 0;
}

static void add_up(struct move_source *m)
{
	for (size_t i = 0; i < m->channels.n; i++) {
		struct move_batch_counts c = move_batch_counts(m->batches[i]);

		m->result.bytes += c.bytes;
		m->result.zero_bytes += c.named_pages * PAGE_BYTES;
		m->sent_bytes += c.sent_bytes;
	}
	m->result.pages = m->result.bytes / PAGE_BYTES;
	m->result.object_bytes = m->opening.object_bytes;
	m->result.sent_bytes = m->sent_bytes;
	m->result.ms = (double)(clock_now_ns() - m->started_ns) / 1e6;
	if (!m->final) // the destination's compiler says nothing about the link
		m->result.ms -= move_peer_state(m->peer).waited_ms;
}

int move_source_report(struct move_source *m, enum move_phase to)
{
	struct move_round_result r = m->result;

	move_source_set_phase(m, to);
	move_source_answer(m, &r, NULL);
	return 0;
}

// Bytes of allocated extents that `b` names.
static uint64_t allocated_bytes_in(struct move_source *m, const struct bitmap *b)
{
	uint64_t pages = 0;
	struct page_run run;

	for (uint64_t p = 0; page_space_next(m->space, p, &run); p = page_run_end(run))
		pages += bitmap_count(b, run.first, page_run_end(run));
	return pages * PAGE_BYTES;
}

// Single-pass: each extent with a dirty page becomes hot as a whole.
static void heat_extents(struct move_source *m)
{
	struct page_run run, hit;

	for (uint64_t p = 0; page_space_next(m->space, p, &run); p = page_run_end(run))
		if (bitmap_next_run(&m->dirty, run.first, page_run_end(run), &hit))
			bitmap_set(&m->hot, run);
}

static int report_round(struct move_source *m, struct ferry_error *e)
{
	(void)e;
	if (m->mode == MOVE_SINGLE_PASS)
		heat_extents(m);
	m->result.dirty_bytes =
		allocated_bytes_in(m, m->mode == MOVE_SINGLE_PASS ? &m->hot : &m->dirty);
	return move_source_report(m, MOVE_IDLE);
}

static int round_sent(struct move_source *m, struct ferry_error *e)
{
	add_up(m);
	return look(m, report_round, e);
}

// --- Precopy ----------------------------------------------------------------------------------

int move_source_step_round(struct move_source *m, struct ferry_error *e)
{
	struct move_batch_mode mode = { .live = true };
	int rc;

	bitmap_clear_all(&m->dirty);
	rc = m->ops->scan(m->tracker, true, &m->dirty, e);
	if (m->round == 1) // what was written since arming is only a part of it
		all_allocated(m, &m->dirty);
	return rc ? rc : start_sending(m, mode, false, round_sent, e);
}

// --- Stop-copy --------------------------------------------------------------------------------

static int report_ahead(struct move_source *m, struct ferry_error *e)
{
	(void)e;
	add_up(m);
	m->ahead = false;
	return move_source_report(m, MOVE_IDLE);
}

// Nothing was sent before, so there is no page that must be named now.
int move_source_step_ahead(struct move_source *m, struct ferry_error *e)
{
	struct move_batch_mode mode = { .live = true };

	m->ahead = true;
	all_allocated(m, &m->dirty);
	return start_sending(m, mode, false, report_ahead, e);
}

// --- Single-pass ------------------------------------------------------------------------------

static int send_cold(struct move_source *m, struct ferry_error *e)
{
	struct move_batch_mode mode = { .live = true };
	struct page_run run, hit;

	heat_extents(m);
	bitmap_clear_all(&m->dirty);
	for (uint64_t p = 0; page_space_next(m->space, p, &run); p = page_run_end(run))
		if (!bitmap_next_run(&m->hot, run.first, page_run_end(run), &hit))
			bitmap_set(&m->dirty, run);
	return start_sending(m, mode, false, round_sent, e);
}

int move_source_step_watch_over(struct move_source *m, struct ferry_error *e)
{
	int rc;

	if (!m->ops->exact)
		return start_compare(m, &m->seen, false, send_cold);
	bitmap_clear_all(&m->dirty);
	rc = m->ops->scan(m->tracker, true, &m->dirty, e);
	return rc ? rc : send_cold(m, e);
}

static int watch(struct move_source *m, struct ferry_error *e)
{
	(void)e;
	m->next = move_source_step_watch_over;
	move_source_set_phase(m, MOVE_WATCHING);
	watch_set_timer(m->watch_timer, clock_now_ns() + m->watch_ns);
	return 0;
}

int move_source_step_watch(struct move_source *m, struct ferry_error *e)
{
	int rc;

	if (!m->ops->exact)
		return start_compare(m, &m->seen, true, watch);
	rc = m->ops->scan(m->tracker, true, &m->dirty, e);
	return rc ? rc : watch(m, e);
}

// --- The final part ---------------------------------------------------------------------------

static void finish_job(void *arg, size_t i)
{
	struct move_source *m = arg;

	if (i == 0)
		move_source_send_finish(m);
}

static int final_sent(struct move_source *m, struct ferry_error *e)
{
	(void)e;
	add_up(m);
	for (size_t i = 0; i < m->channels.n; i++)
		digest_root_add(&m->result.root, move_batch_root(m->batches[i]));
	move_source_set_phase(m, MOVE_FINISHING);
	move_pool_run(m->pool, finish_job, m);
	return 0;
}

static int send_final_whole(struct move_source *m, struct ferry_error *e)
{
	struct move_batch_mode mode = { .whole = true };
	struct page_run run;

	heat_extents(m);
	bitmap_clear_all(&m->dirty);
	for (uint64_t p = 0; bitmap_next_run(&m->hot, p, m->hot.bits, &run); p = page_run_end(run))
		bitmap_set(&m->dirty, run);
	return start_sending(m, mode, true, final_sent, e);
}

int move_source_step_final(struct move_source *m, struct ferry_error *e)
{
	struct move_batch_mode mode = { 0 };
	int rc;

	if (m->round > 1 && m->mode == MOVE_SINGLE_PASS)
		return look(m, send_final_whole, e);
	if (m->round == 1 || m->mode == MOVE_STOP_COPY) { // no page was sent yet
		all_allocated(m, &m->dirty);
	} else {
		bitmap_clear_all(&m->dirty);
		rc = m->ops->scan(m->tracker, false, &m->dirty, e);
		if (rc)
			return rc;
	}
	return start_sending(m, mode, true, final_sent, e);
}
