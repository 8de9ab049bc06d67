// SPDX-License-Identifier: Apache-2.0
// The destination of a move, main thread: applies objects in order, completes rounds, tells what
// happened.
#include "vgpu/move/move_dest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "base/clock.h"
#include "base/log.h"
#include "vgpu/move/move_dest_internal.h"

void move_dest_note_error(struct move_dest *d, const struct ferry_error *e)
{
	pthread_mutex_lock(&d->lock);
	if (!d->error.err && !d->complete)
		d->error = *e;
	d->stop = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	loop_wake(d->waker);
}

void move_dest_send_error(struct move_dest *d, const struct ferry_error *e)
{
	_cleanup_buf_ struct buf payload = { .limit = RECORD_MAX_ERROR };
	uint8_t header[RECORD_BYTES];
	struct record r = { .type = RECORD_ERROR, .round = 1 };
	struct iovec iov[2] = { { header, sizeof(header) } };

	record_error_encode(e, &payload);
	if (payload.failed)
		return;
	r.payload = payload.len;
	record_encode(&r, header);
	iov[1] = (struct iovec){ payload.data, payload.len };
	pthread_mutex_lock(&d->send_lock);
	channel_send(d->channels.at[0], iov, 2); // it is lost anyway when this fails
	pthread_mutex_unlock(&d->send_lock);
}

static void fail(struct move_dest *d, const struct ferry_error *why)
{
	struct ferry_error e = *why;

	d->failed = true;
	if (strcmp(e.code, "peer-lost"))
		move_dest_send_error(d, &e);
	move_channels_wake(&d->channels);
	if (d->events.failed)
		d->events.failed(d->events.arg, &e);
}

// --- Objects ----------------------------------------------------------------------------------

static struct move_object *next_object(struct move_dest *d)
{
	struct move_object *o;

	pthread_mutex_lock(&d->lock);
	o = d->first;
	if (o) {
		d->first = o->next;
		if (!d->first)
			d->last = &d->first;
		d->queued -= o->bytes.len;
		pthread_cond_broadcast(&d->changed);
	}
	pthread_mutex_unlock(&d->lock);
	return o;
}

static void apply_objects(struct move_dest *d)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct move_object *o;
	int rc = 0;

	while (!rc && (o = next_object(d))) {
		if (d->objects.apply)
			rc = d->objects.apply(d->objects.arg, o->bytes.data, o->bytes.len, &e);
		buf_free(&o->bytes);
		free(o);
	}
	if (!rc)
		return;
	ferry_fail(&e, rc, "object-state", "object state was not accepted");
	move_dest_note_error(d, &e);
}

// --- Rounds -----------------------------------------------------------------------------------

static void tell_round(struct move_dest *d)
{
	uint32_t round;
	bool quiet;

	pthread_mutex_lock(&d->lock);
	round = d->announced;
	quiet = d->quiet;
	pthread_mutex_unlock(&d->lock);
	if (round == d->told_round)
		return;
	d->told_round = round;
	if (!quiet)
		log_line_to(d->vm_log, "Migrate_ReadState: vGPU Page Transfer Start. round=%u",
			++d->lines);
	if (d->events.round)
		d->events.round(d->events.arg, round);
}

// More pages that are not zero than the profile has would be another vGPU's memory.
static int check_received(struct move_dest *d, struct ferry_error *e)
{
	struct digest_root root = { 0 };

	for (size_t i = 0; i < d->channels.n; i++)
		digest_root_add(&root, d->receivers[i].root);
	if (root.pages * PAGE_BYTES <= page_space_quota_bytes(d->space))
		return 0;
	return ferry_fail(e, ENOSPC, "over-quota", "%llu bytes arrived for a vGPU of %llu",
		(unsigned long long)root.pages * PAGE_BYTES,
		(unsigned long long)page_space_quota_bytes(d->space));
}

static bool settled(struct move_dest *d)
{
	int64_t now = clock_now_ns();

	if (!d->all_here_ns)
		d->all_here_ns = now;
	if (d->objects.settled && !d->objects.settled(d->objects.arg))
		return false;
	pthread_mutex_lock(&d->lock);
	d->waited_ms = (uint32_t)((now - d->all_here_ns) / NSEC_PER_MSEC);
	pthread_mutex_unlock(&d->lock);
	d->all_here_ns = 0;
	return true;
}

// Objects that came before the last barrier are in the queue before it is counted.
static void complete_round(struct move_dest *d)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	bool all;

	pthread_mutex_lock(&d->lock);
	all = d->barriers == d->channels.n && !d->first && !d->stop;
	pthread_mutex_unlock(&d->lock);
	if (!all || !settled(d))
		return;
	if (check_received(d, &e)) {
		move_dest_note_error(d, &e);
		return;
	}
	pthread_mutex_lock(&d->lock);
	d->barriers = 0;
	d->completed++;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static void populate_job(void *arg, size_t i)
{
	struct move_dest *d = arg;

	(void)i;
	for (size_t k = 0; k < d->coming.n && !d->stop; k++)
		page_space_populate(d->space, d->coming.at[k], &d->stop); // a hint: may fail
}

static void start_populate(struct move_dest *d)
{
	bool ready;

	if (d->populate)
		return;
	pthread_mutex_lock(&d->lock);
	ready = d->coming_ready;
	pthread_mutex_unlock(&d->lock);
	if (!ready)
		return;
	d->populate = move_pool_new(1, NULL);
	if (d->populate)
		move_pool_run(d->populate, populate_job, d);
}

static void tell_end(struct move_dest *d)
{
	struct ferry_error e;
	uint64_t bytes = 0;
	bool finished;

	pthread_mutex_lock(&d->lock);
	finished = d->finished;
	e = d->error;
	pthread_mutex_unlock(&d->lock);
	if (finished && !d->told_received) {
		d->told_received = true;
		for (size_t i = 0; i < d->channels.n; i++)
			bytes += d->receivers[i].reader.bytes;
		if (d->events.received)
			d->events.received(d->events.arg, d->root, bytes);
	} else if (e.err && !d->failed && !finished) {
		fail(d, &e);
	}
}

static struct move_dest *release(struct move_dest *d);

static void on_wake(void *arg)
{
	struct move_dest *d = arg;

	d->calls++;
	tell_round(d);
	if (!d->ended)
		start_populate(d);
	if (!d->ended)
		apply_objects(d);
	if (!d->ended)
		complete_round(d);
	if (!d->ended)
		tell_end(d);
	d->calls--;
	if (d->ended && !d->calls)
		release(d);
}

void move_dest_settled(struct move_dest *d)
{
	loop_wake(d->waker);
}

// --- Calls from outside -----------------------------------------------------------------------

// What goes back is a few bytes into an empty socket buffer; a peer that does not read at all must
// not hold anybody for longer than this.
static void limit_sending(int fd)
{
	struct timeval second = { .tv_sec = 1 };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
}

int move_dest_receive(
	const struct move_dest_spec *spec, struct move_dest **ret, struct ferry_error *e)
{
	struct move_dest *d = calloc(1, sizeof(*d));
	struct move_channels channels = { 0 };
	int rc;

	if (spec->n_fds)
		limit_sending(spec->fds[0]);
	rc = move_channels_open(&channels, spec->fds, spec->n_fds, 0, e);
	if (rc || !d) {
		move_channels_close(&channels);
		free(d);
		return rc ? rc : ferry_fail(e, ENOMEM, "no-memory", "move: out of memory");
	}
	*d = (struct move_dest){ .space = spec->space,
		.vm_log = spec->vm_log,
		.objects = spec->objects,
		.events = spec->events,
		.channels = channels };
	d->last = &d->first;
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->send_lock, NULL);
	pthread_cond_init(&d->changed, NULL);
	for (size_t i = 0; i < channels.n; i++) {
		d->receivers[i].reader.channel = channels.at[i];
		d->receivers[i].round = 1;
	}
	d->waker = loop_waker(spec->loop, on_wake, d);
	d->pool = d->waker ? move_pool_new(channels.n, d->waker) : NULL;
	if (!d->pool || digest_table_init(&d->table, page_space_pages(d->space))) {
		move_dest_close(d);
		return ferry_fail(e, ENOMEM, "no-memory", "move: out of memory or threads");
	}
	page_space_set_incoming(d->space, true);
	move_pool_run(d->pool, move_dest_receive_job, d);
	*ret = d;
	return 0;
}

static void tear_down(struct move_dest *d)
{
	struct move_object *o;

	pthread_mutex_lock(&d->lock);
	d->stop = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	move_channels_wake(&d->channels);
	d->pool = move_pool_free(d->pool);
	d->populate = move_pool_free(d->populate);
	for (size_t i = 0; i < d->channels.n; i++) {
		buf_free(&d->receivers[i].object);
		free(d->receivers[i].runs.at);
	}
	move_channels_close(&d->channels);
	while ((o = next_object(d))) {
		buf_free(&o->bytes);
		free(o);
	}
	free(d->extents.at);
	free(d->coming.at);
	digest_table_destroy(&d->table);
	d->waker = watch_remove(d->waker);
}

static struct move_dest *release(struct move_dest *d)
{
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->send_lock);
	pthread_mutex_destroy(&d->lock);
	free(d);
	return NULL;
}

struct move_dest *move_dest_close(struct move_dest *d)
{
	if (!d || d->ended)
		return NULL;
	d->ended = true;
	tear_down(d);
	return d->calls ? NULL : release(d);
}

int move_dest_own(struct move_dest *d, struct ferry_error *e)
{
	if (!d->told_received)
		return ferry_fail(e, EINVAL, "bad-state", "not everything has been received");
	page_space_set_incoming(d->space, false);
	move_dest_close(d);
	return 0;
}
