// SPDX-License-Identifier: Apache-2.0
// The source of a move, main thread. One call (a round, the final part) goes through phases; each
// phase ends when the pool of workers is idle, a timer fires, or the destination has acknowledged,
// and then `next` says what follows.
#include "vgpu/move_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "vgpu/move_source_internal.h"

#define WATCH_MS    5000 // single-pass: a buffer not written that long is cold
#define PROGRESS_NS (NSEC_PER_SEC / 4)
#define GRACE_NS    (NSEC_PER_SEC / 5) // for the peer's own reason to arrive, once sending failed

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
static const char *const phase_names[] = { "idle", "watching", "comparing", "sending", "finishing",
	"complete", "failed" };

static void set_phase(struct move_source *m, enum move_phase to)
{
	if (!(legal[m->phase] & 1u << to))
		log_error("move: phase %s after %s", phase_names[to], phase_names[m->phase]);
	log_debug("move: %s -> %s", phase_names[m->phase], phase_names[to]);
	m->phase = to;
}

static int check_start(
	const struct move_source *m, bool legal_now, const char *what, struct ferry_error *e)
{
	if (m->phase == MOVE_IDLE && legal_now)
		return 0;
	return ferry_fail(e, EINVAL, "bad-state",
		"%s is not legal in a move that is %s, after round %u", what, phase_names[m->phase],
		m->round);
}

static void begin_call(struct move_source *m, move_round_fn fn, void *arg)
{
	m->fn = fn;
	m->fn_arg = arg;
	m->round++;
	m->started_ns = clock_now_ns();
	m->result = (struct move_round_result){ .n = m->round };
}

// The call under way is answered; it may start the next one, or end the move.
static void answer(
	struct move_source *m, const struct move_round_result *r, const struct ferry_error *e)
{
	move_round_fn fn = m->fn;

	m->fn = NULL;
	watch_set_timer(m->progress_timer, -1);
	if (fn)
		fn(m->fn_arg, r, e);
}

void move_source_fail(struct move_source *m, const struct ferry_error *why)
{
	struct ferry_error e = *why; // it may live in what a callback frees

	if (m->phase == MOVE_FAILED)
		return;
	set_phase(m, MOVE_FAILED);
	atomic_store(&m->stop, true);
	move_channels_wake(&m->channels);
	answer(m, NULL, &e);
	if (!m->ended && m->events.failed)
		m->events.failed(m->events.arg, &e);
}

static void fail_with(struct move_source *m, int rc, const struct ferry_error *e)
{
	struct ferry_error why = *e;

	if (!why.err)
		ferry_fail(&why, rc, "no-memory", "move: %s", strerror(-rc));
	move_source_fail(m, &why);
}

// Runs a step of a call whose beginning has already been answered for: its errors fail the move.
static void run_step(struct move_source *m, move_step_fn step)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int rc = step(m, &e);

	if (rc)
		fail_with(m, rc, &e);
}

// Runs the first step of a call. Its errors are the caller's, and the move is broken all the same.
static int start_with(struct move_source *m, move_step_fn step, struct ferry_error *e)
{
	int rc = step(m, e);

	if (!rc)
		return 0;
	m->fn = NULL;
	set_phase(m, MOVE_FAILED);
	return ferry_fail(e, rc, "no-memory", "move: %s", strerror(-rc));
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
	set_phase(m, MOVE_COMPARING);
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
	bool quiet = m->mode == MOVE_SINGLE_PASS && m->round > 1;
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
			m->round);
	return move_opening_objects(&m->opening, &m->objects, m->round, final, e);
}

// Sends the candidates in m->dirty as round m->round.
static int start_sending(struct move_source *m, struct move_batch_mode mode, bool final,
	move_step_fn next, struct ferry_error *e)
{
	int rc = round_plan_make(&m->plan, m->space, &m->dirty);

	if (!rc)
		rc = make_opening(m, final, e);
	if (rc)
		return rc;
	m->batch_mode = mode;
	m->next = next;
	atomic_store(&m->cursor, 0);
	atomic_store(&m->progress, 0);
	set_phase(m, MOVE_SENDING);
	watch_set_timer(m->progress_timer, clock_now_ns() + PROGRESS_NS);
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
}

static int report(struct move_source *m, enum move_phase to)
{
	struct move_round_result r = m->result;

	set_phase(m, to);
	answer(m, &r, NULL);
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
	return report(m, MOVE_IDLE);
}

static int round_sent(struct move_source *m, struct ferry_error *e)
{
	add_up(m);
	return look(m, report_round, e);
}

// --- Precopy ----------------------------------------------------------------------------------

static int start_round(struct move_source *m, struct ferry_error *e)
{
	struct move_batch_mode mode = { .live = true };
	int rc;

	bitmap_clear_all(&m->dirty);
	rc = m->ops->scan(m->tracker, true, &m->dirty, e);
	if (m->round == 1) // what was written since arming is only a part of it
		all_allocated(m, &m->dirty);
	return rc ? rc : start_sending(m, mode, false, round_sent, e);
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

static int watch_over(struct move_source *m, struct ferry_error *e)
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
	m->next = watch_over;
	set_phase(m, MOVE_WATCHING);
	watch_set_timer(m->watch_timer, clock_now_ns() + m->watch_ns);
	return 0;
}

static int start_watch(struct move_source *m, struct ferry_error *e)
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
	set_phase(m, MOVE_FINISHING);
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

static int start_final(struct move_source *m, struct ferry_error *e)
{
	struct move_batch_mode mode = { 0 };
	int rc;

	if (m->round > 1 && m->mode == MOVE_SINGLE_PASS)
		return look(m, send_final_whole, e);
	if (m->round == 1) { // stop-copy, or no round was made
		all_allocated(m, &m->dirty);
	} else {
		bitmap_clear_all(&m->dirty);
		rc = m->ops->scan(m->tracker, false, &m->dirty, e);
		if (rc)
			return rc;
	}
	return start_sending(m, mode, true, final_sent, e);
}

// --- What the loop calls ----------------------------------------------------------------------

static void check_peer(struct move_source *m, const struct move_peer_state *peer)
{
	bool grace_over = m->grace_until_ns && clock_now_ns() >= m->grace_until_ns;
	struct ferry_error e;

	if (peer->error.err && strcmp(peer->error.code, "peer-lost")) {
		move_source_fail(m, &peer->error);
		return;
	}
	if (move_source_send_error(m, &e)) {
		if (grace_over || peer->error.err) {
			move_source_fail(m, peer->error.err ? &peer->error : &e);
		} else if (!m->grace_until_ns) {
			m->grace_until_ns = clock_now_ns() + GRACE_NS;
			watch_set_timer(m->grace_timer, m->grace_until_ns);
		}
	} else if (peer->error.err) {
		move_source_fail(m, &peer->error);
	}
}

static void advance(struct move_source *m)
{
	struct move_peer_state peer = move_peer_state(m->peer);

	if (m->phase == MOVE_FAILED || (m->phase == MOVE_COMPLETE && peer.done))
		return;
	check_peer(m, &peer);
	if (m->ended || m->phase == MOVE_FAILED || move_pool_busy(m->pool) ||
		move_source_send_error(m, NULL))
		return;
	// The final round's barrier needs no waiting for: FINISH follows it, and its ACK says all.
	if (m->phase == MOVE_COMPARING ||
		(m->phase == MOVE_SENDING && (peer.acked >= m->round || m->next == final_sent)))
		run_step(m, m->next);
	else if (m->phase == MOVE_FINISHING && peer.done)
		report(m, MOVE_COMPLETE);
}

static struct move_source *release(struct move_source *m);

// Callbacks may end the move: its memory stays until the outermost of these returns.
static void enter(struct move_source *m, void (*fn)(struct move_source *m))
{
	m->calls++;
	fn(m);
	m->calls--;
	if (m->ended && !m->calls)
		release(m);
}

static void on_wake(void *arg)
{
	enter(arg, advance);
}

static void run_watch_over(struct move_source *m)
{
	if (m->phase == MOVE_WATCHING)
		run_step(m, watch_over);
}

static void on_watch_timer(void *arg)
{
	enter(arg, run_watch_over);
}

static void tell_progress(struct move_source *m)
{
	uint64_t bytes = atomic_load(&m->progress);
	int64_t now = clock_now_ns();
	double s = (double)(now - m->started_ns) / 1e9;

	if (m->phase != MOVE_SENDING)
		return;
	watch_set_timer(m->progress_timer, now + PROGRESS_NS);
	if (m->events.progress)
		m->events.progress(m->events.arg, m->round, bytes, m->plan.read_pages * PAGE_BYTES,
			s > 0 ? (double)bytes / s : 0);
}

static void on_progress_timer(void *arg)
{
	enter(arg, tell_progress);
}

// --- Calls from outside -----------------------------------------------------------------------

static int make_parts(struct move_source *m, struct loop *l, struct ferry_error *e)
{
	uint64_t pages = page_space_pages(m->space);
	int rc = digest_table_init(&m->sent, pages);

	if (!rc)
		rc = bitmap_init(&m->dirty, pages);
	if (!rc && m->mode == MOVE_SINGLE_PASS)
		rc = bitmap_init(&m->hot, pages);
	if (!rc && m->mode == MOVE_SINGLE_PASS)
		rc = digest_table_init(&m->seen, pages);
	m->waker = loop_waker(l, on_wake, m);
	m->watch_timer = loop_timer(l, -1, on_watch_timer, m);
	m->progress_timer = loop_timer(l, -1, on_progress_timer, m);
	m->grace_timer = loop_timer(l, -1, on_wake, m);
	if (!m->waker || !m->watch_timer || !m->progress_timer || !m->grace_timer)
		rc = -ENOMEM;
	for (size_t i = 0; i < m->channels.n && !rc; i++) {
		m->batches[i] = move_batch_new(m->channels.at[i], m->space, &m->sent, &m->progress);
		rc = m->batches[i] ? 0 : -ENOMEM;
	}
	return rc ? ferry_fail(e, rc, "no-memory", "move: %s", strerror(-rc)) : 0;
}

// Order is law: everything is armed before the first page is copied.
static int arm(struct move_source *m, struct ferry_error *e)
{
	int rc;

	page_space_note_frees(m->space, true);
	if (m->mode == MOVE_STOP_COPY)
		return 0;
	rc = m->ops->open(m->space, &m->tracker, e);
	return rc ? rc : m->ops->arm(m->tracker, e);
}

static int start_threads(struct move_source *m, struct ferry_error *e)
{
	m->pool = move_pool_new(m->channels.n, m->waker);
	m->peer = m->pool ? move_peer_new(m->channels.at[0], m->waker) : NULL;
	return m->peer ? 0 : ferry_fail(e, EAGAIN, "no-threads", "move: cannot start threads");
}

int move_source_begin(
	const struct move_source_spec *spec, struct move_source **ret, struct ferry_error *e)
{
	struct move_source *m = calloc(1, sizeof(*m));
	struct move_channels channels = { 0 };
	int rc = move_channels_open(&channels, spec->fds, spec->n_fds, spec->bandwidth, e);

	if (rc || !m) {
		move_channels_close(&channels);
		free(m);
		return rc ? rc : ferry_fail(e, ENOMEM, "no-memory", "move: out of memory");
	}
	*m = (struct move_source){ .space = spec->space,
		.ops = spec->tracker,
		.mode = spec->mode,
		.vm_log = spec->vm_log,
		.watch_ns = (spec->watch_ms ? spec->watch_ms : WATCH_MS) * NSEC_PER_MSEC,
		.objects = spec->objects,
		.events = spec->events,
		.channels = channels };
	pthread_mutex_init(&m->lock, NULL);
	rc = make_parts(m, spec->loop, e);
	if (!rc)
		rc = arm(m, e);
	if (!rc)
		rc = start_threads(m, e);
	if (rc) {
		move_source_abort(m);
		return rc;
	}
	*ret = m;
	return 0;
}

int move_source_round(
	struct move_source *m, uint32_t n, move_round_fn fn, void *arg, struct ferry_error *e)
{
	bool right = m->mode == MOVE_PRECOPY || (m->mode == MOVE_SINGLE_PASS && n == 1);
	int rc = check_start(m, right && n == m->round + 1, "this round", e);

	if (rc)
		return rc;
	begin_call(m, fn, arg);
	return start_with(m, m->mode == MOVE_PRECOPY ? start_round : start_watch, e);
}

int move_source_final(struct move_source *m, move_round_fn fn, void *arg, struct ferry_error *e)
{
	int rc = check_start(m, true, "the final part", e);

	if (rc)
		return rc;
	begin_call(m, fn, arg);
	return start_with(m, start_final, e);
}

// Everything but the struct itself and a callback's way out of it.
static void tear_down(struct move_source *m)
{
	atomic_store(&m->stop, true);
	move_channels_wake(&m->channels);
	m->pool = move_pool_free(m->pool);
	m->peer = move_peer_free(m->peer);
	move_channels_close(&m->channels);
	if (m->tracker)
		m->ops->close(m->tracker);
	page_space_note_frees(m->space, false);
	for (size_t i = 0; i < MOVE_MAX_CHANNELS; i++)
		m->batches[i] = move_batch_free(m->batches[i]);
	m->waker = watch_remove(m->waker);
	m->watch_timer = watch_remove(m->watch_timer);
	m->progress_timer = watch_remove(m->progress_timer);
	m->grace_timer = watch_remove(m->grace_timer);
	round_plan_destroy(&m->plan);
	bitmap_destroy(&m->dirty);
	bitmap_destroy(&m->hot);
	digest_table_destroy(&m->sent);
	digest_table_destroy(&m->seen);
	move_opening_destroy(&m->opening);
}

static struct move_source *release(struct move_source *m)
{
	pthread_mutex_destroy(&m->lock);
	free(m);
	return NULL;
}

struct move_source *move_source_abort(struct move_source *m)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	move_round_fn fn;

	if (!m || m->ended)
		return NULL;
	m->ended = true;
	tear_down(m);
	fn = m->fn;
	m->fn = NULL;
	ferry_fail(&e, ECANCELED, "aborted", "the move was aborted");
	if (fn)
		fn(m->fn_arg, NULL, &e);
	return m->calls ? NULL : release(m);
}
