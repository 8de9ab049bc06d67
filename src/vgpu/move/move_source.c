// SPDX-License-Identifier: Apache-2.0
// The source of a move, main thread: its life, the calls from outside, and what the loop calls.
// What happens inside of a call is in move_rounds.c.
#include "vgpu/move/move_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "vgpu/move/move_source_internal.h"

#define WATCH_MS 5000               // single-pass: a buffer not written that long is cold
#define GRACE_NS (NSEC_PER_SEC / 5) // for the peer's own reason to arrive, once sending failed

// --- What the loop calls ----------------------------------------------------------------------

static void fail(struct move_source *m, const struct ferry_error *why)
{
	struct ferry_error e = *why; // it may live in what a callback frees

	if (m->phase == MOVE_FAILED)
		return;
	move_source_set_phase(m, MOVE_FAILED);
	atomic_store(&m->stop, true);
	move_channels_wake(&m->channels);
	move_source_answer(m, NULL, &e);
	if (!m->ended && m->events.failed)
		m->events.failed(m->events.arg, &e);
}

static void fail_with(struct move_source *m, int rc, const struct ferry_error *e)
{
	struct ferry_error why = *e;

	if (!why.err)
		ferry_fail(&why, rc, "no-memory", "move: %s", strerror(-rc));
	fail(m, &why);
}

// Runs a step of a call whose beginning has already been answered for: its errors fail the move.
static void run_step(struct move_source *m, move_step_fn step)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int rc = step(m, &e);

	if (rc)
		fail_with(m, rc, &e);
}

static void check_peer(struct move_source *m, const struct move_peer_state *peer)
{
	bool grace_over = m->grace_until_ns && clock_now_ns() >= m->grace_until_ns;
	struct ferry_error e;

	if (peer->error.err && strcmp(peer->error.code, "peer-lost")) {
		fail(m, &peer->error);
		return;
	}
	if (move_source_send_error(m, &e)) {
		if (grace_over || peer->error.err) {
			fail(m, peer->error.err ? &peer->error : &e);
		} else if (!m->grace_until_ns) {
			m->grace_until_ns = clock_now_ns() + GRACE_NS;
			watch_set_timer(m->grace_timer, m->grace_until_ns);
		}
	} else if (peer->error.err) {
		fail(m, &peer->error);
	}
}

static void advance(struct move_source *m)
{
	struct move_peer_state peer = move_peer_state(m->peer);

	if (m->phase == MOVE_FAILED || m->phase == MOVE_COMPLETE)
		return;
	if (m->phase == MOVE_FINISHING && peer.done) { // it may have closed right after
		if (!move_pool_busy(m->pool))
			move_source_report(m, MOVE_COMPLETE);
		return;
	}
	check_peer(m, &peer);
	if (m->ended || m->phase == MOVE_FAILED || move_pool_busy(m->pool) ||
		move_source_send_error(m, NULL))
		return;
	// The final round's barrier needs no waiting for: FINISH follows it, and its ACK says all.
	if (m->phase == MOVE_COMPARING ||
		(m->phase == MOVE_SENDING && (peer.acked >= m->round || m->final)))
		run_step(m, m->next);
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
		run_step(m, move_source_step_watch_over);
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
	watch_set_timer(m->progress_timer, now + MOVE_PROGRESS_NS);
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

static int check_start(
	const struct move_source *m, bool legal_now, const char *what, struct ferry_error *e)
{
	if (m->phase == MOVE_IDLE && legal_now)
		return 0;
	return ferry_fail(e, EINVAL, "bad-state",
		"%s is not legal in a move that is %s, after round %u", what,
		move_phase_names[m->phase], m->round);
}

static void begin_call(struct move_source *m, move_round_fn fn, void *arg)
{
	m->fn = fn;
	m->fn_arg = arg;
	m->round++;
	m->started_ns = clock_now_ns();
	m->result = (struct move_round_result){ .n = m->round };
}

// Runs the first step of a call. Its errors are the caller's, and the move is broken all the same.
static int start_with(struct move_source *m, move_step_fn step, struct ferry_error *e)
{
	int rc = step(m, e);

	if (!rc)
		return 0;
	m->fn = NULL;
	move_source_set_phase(m, MOVE_FAILED);
	if (e && e->err)
		return rc;
	return ferry_fail(e, rc, "no-memory", "move: %s", strerror(-rc));
}

int move_source_round(
	struct move_source *m, uint32_t n, move_round_fn fn, void *arg, struct ferry_error *e)
{
	bool right = m->mode == MOVE_PRECOPY || (m->mode == MOVE_SINGLE_PASS && n == 1);
	int rc = check_start(m, right && n == m->round + 1, "this round", e);

	if (rc)
		return rc;
	begin_call(m, fn, arg);
	return start_with(
		m, m->mode == MOVE_PRECOPY ? move_source_step_round : move_source_step_watch, e);
}

int move_source_ahead(struct move_source *m, move_round_fn fn, void *arg, struct ferry_error *e)
{
	bool right = m->mode == MOVE_STOP_COPY && m->round == 0;
	int rc = check_start(m, right, "sending objects ahead", e);

	if (rc)
		return rc;
	begin_call(m, fn, arg);
	return start_with(m, move_source_step_ahead, e);
}

int move_source_set_rate(struct move_source *m, uint64_t bandwidth, struct ferry_error *e)
{
	if (!bandwidth || !m->channels.rate)
		return ferry_fail(e, EINVAL, "no-rate",
			"the bandwidth of a move can be changed where it has one, not ended");
	rate_set(m->channels.rate, bandwidth);
	return 0;
}

int move_source_final(struct move_source *m, move_round_fn fn, void *arg, struct ferry_error *e)
{
	int rc = check_start(m, true, "the final part", e);

	if (rc)
		return rc;
	begin_call(m, fn, arg);
	return start_with(m, move_source_step_final, e);
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
