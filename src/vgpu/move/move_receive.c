// SPDX-License-Identifier: Apache-2.0
// What a destination's receiver threads do. Each field of each record is checked against the page
// space, the round and the extents that channel 0 announced, before it has any effect.
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "vgpu/move/move_dest_internal.h"

static int refuse(struct ferry_error *e, const char *what, const struct record *r)
{
	return ferry_fail(e, EBADMSG, "bad-record", "%s: type %d, round %u, first %llu, count %u",
		what, r->type, r->round, (unsigned long long)r->first, r->count);
}

// --- Pages ------------------------------------------------------------------------------------

static int compare_first(const void *key, const void *element)
{
	uint64_t page = *(const uint64_t *)key;
	const struct page_run *run = element;

	if (page < run->first)
		return -1;
	return page >= page_run_end(*run);
}

// Extents that touch count as one: a record may span buffers.
static bool in_extents(const struct move_dest *d, uint64_t first, uint64_t count)
{
	const struct page_runs *x = &d->extents;
	const struct page_run *run =
		x->n ? bsearch(&first, x->at, x->n, sizeof(*run), compare_first) : NULL;
	uint64_t end = first + count;

	for (; run && run < x->at + x->n && run->first <= first; run++) {
		first = page_run_end(*run);
		if (first >= end)
			return true;
	}
	return false;
}

static void note_page(
	struct move_dest *d, struct move_receiver *v, uint64_t page, struct page_digest now)
{
	digest_root_change(&v->root, page, d->table.of[page], now);
	d->table.of[page] = now;
}

static int take_pages(
	struct move_dest *d, struct move_receiver *v, const struct record *r, struct ferry_error *e)
{
	int rc;

	if (!in_extents(d, r->first, r->count))
		return refuse(e, "pages outside of the extents", r);
	rc = move_reader_payload(&v->reader, page_space_at(d->space, r->first), r->payload, e);
	for (uint64_t p = r->first; !rc && p < r->first + r->count; p++)
		note_page(d, v, p, page_digest(page_space_at(d->space, p)));
	return rc;
}

static int take_zero(
	struct move_dest *d, struct move_receiver *v, const struct record *r, struct ferry_error *e)
{
	if (!in_extents(d, r->first, r->count))
		return refuse(e, "zero pages outside of the extents", r);
	for (uint64_t p = r->first; p < r->first + r->count; p++) {
		if (page_digest_is_zero(d->table.of[p]))
			continue;
		memset(page_space_at(d->space, p), 0, PAGE_BYTES);
		note_page(d, v, p, (struct page_digest){ 0 });
	}
	return 0;
}

// No tracker is armed on this side, so the memory itself can go.
static int take_free(
	struct move_dest *d, struct move_receiver *v, const struct record *r, struct ferry_error *e)
{
	int rc;

	if (r->first + r->count > page_space_pages(d->space))
		return refuse(e, "free pages outside of the page space", r);
	rc = page_space_zero(d->space, (struct page_run){ r->first, r->count });
	if (rc)
		return ferry_fail(e, rc, "no-memory", "freeing pages: %s", strerror(-rc));
	for (uint64_t p = r->first; p < r->first + r->count; p++)
		if (!page_digest_is_zero(d->table.of[p]))
			note_page(d, v, p, (struct page_digest){ 0 });
	return 0;
}

// --- Rounds: channel 0 ------------------------------------------------------------------------

static int add_run(struct page_runs *x, struct page_run run)
{
	if (x->n == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 256;
		struct page_run *at = realloc(x->at, cap * sizeof(*at));

		if (!at)
			return -ENOMEM;
		x->at = at;
		x->cap = cap;
	}
	x->at[x->n++] = run;
	return 0;
}

static int check_run(const struct move_dest *d, const struct page_runs *before, struct page_run run)
{
	uint64_t pages = page_space_pages(d->space);
	uint64_t after = before->n ? page_run_end(before->at[before->n - 1]) : 0;

	if (!run.count || run.first < after || run.first >= pages || run.count > pages - run.first)
		return -EBADMSG;
	return 0;
}

// Reads the runs of one record into v->runs: ascending, disjoint, inside the page space.
static int read_runs(
	struct move_dest *d, struct move_receiver *v, const struct record *r, struct ferry_error *e)
{
	uint64_t pairs[256][2];
	uint32_t n;

	for (uint32_t done = 0; done < r->count; done += n) {
		int rc;

		n = r->count - done < ARRAY_SIZE(pairs) ? r->count - done : ARRAY_SIZE(pairs);
		rc = move_reader_payload(&v->reader, pairs, n * sizeof(pairs[0]), e);
		if (rc)
			return rc;
		for (uint32_t i = 0; i < n; i++) {
			struct page_run run = { le64toh(pairs[i][0]), le64toh(pairs[i][1]) };

			if (check_run(d, &v->runs, run))
				return refuse(e, "a run that is out of order or out of bounds", r);
			if (add_run(&v->runs, run))
				return ferry_fail(e, ENOMEM, "no-memory", "extents: out of memory");
		}
	}
	return 0;
}

static int check_quota(const struct move_dest *d, const struct page_runs *x, struct ferry_error *e)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < x->n; i++)
		pages += x->at[i].count; // at most the page space: they are disjoint
	if (pages * PAGE_BYTES <= page_space_quota_bytes(d->space))
		return 0;
	return ferry_fail(e, ENOSPC, "over-quota",
		"the source announced %llu bytes of buffers for a vGPU of %llu",
		(unsigned long long)pages * PAGE_BYTES,
		(unsigned long long)page_space_quota_bytes(d->space));
}

// Makes `to` the list that has been read.
static void take_runs(struct move_receiver *v, struct page_runs *to)
{
	struct page_runs old = *to;

	*to = v->runs;
	v->runs = old;
	v->runs.n = 0;
}

static int take_round(
	struct move_dest *d, struct move_receiver *v, const struct record *r, struct ferry_error *e)
{
	int rc;

	if (d->announced == r->round)
		return refuse(e, "a round announced twice", r);
	if (r->flags & RECORD_SAME && (r->count || v->runs.n || r->round == 1))
		return refuse(e, "extents said to be as before", r);
	rc = read_runs(d, v, r, e);
	if (rc || r->flags & RECORD_MORE)
		return rc;
	if (!(r->flags & RECORD_SAME)) {
		rc = check_quota(d, &v->runs, e);
		if (rc)
			return rc;
		take_runs(v, &d->extents);
	}
	pthread_mutex_lock(&d->lock);
	d->announced = r->round;
	d->quiet = r->flags & RECORD_QUIET;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	loop_wake(d->waker);
	return 0;
}

static int take_coming(
	struct move_dest *d, struct move_receiver *v, const struct record *r, struct ferry_error *e)
{
	int rc;

	if (r->round != 1 || d->coming_ready)
		return refuse(e, "a hint at the wrong time", r);
	rc = read_runs(d, v, r, e);
	if (rc || r->flags & RECORD_MORE)
		return rc;
	for (size_t i = 0; i < v->runs.n; i++)
		if (!in_extents(d, v->runs.at[i].first, v->runs.at[i].count))
			return refuse(e, "a hint outside of the extents", r);
	take_runs(v, &d->coming);
	pthread_mutex_lock(&d->lock);
	d->coming_ready = true;
	pthread_mutex_unlock(&d->lock);
	loop_wake(d->waker);
	return 0;
}

// --- Objects: channel 0 -----------------------------------------------------------------------

static int queue_object(struct move_dest *d, struct buf *bytes, struct ferry_error *e)
{
	struct move_object *o = calloc(1, sizeof(*o));

	if (!o)
		return ferry_fail(e, ENOMEM, "no-memory", "object state: out of memory");
	o->bytes = *bytes;
	*bytes = (struct buf){ 0 };
	pthread_mutex_lock(&d->lock);
	while (d->queued && d->queued + o->bytes.len > MOVE_MAX_QUEUED && !d->stop)
		pthread_cond_wait(&d->changed, &d->lock);
	d->queued += o->bytes.len;
	*d->last = o;
	d->last = &o->next;
	pthread_mutex_unlock(&d->lock);
	loop_wake(d->waker);
	return 0;
}

static int take_object(
	struct move_dest *d, struct move_receiver *v, const struct record *r, struct ferry_error *e)
{
	uint8_t *to;
	int rc;

	v->object.limit = MOVE_MAX_OBJECT;
	if (v->object.len + r->payload > MOVE_MAX_OBJECT)
		return refuse(e, "an object's state is too large", r);
	to = buf_reserve(&v->object, r->payload);
	if (!to)
		return ferry_fail(e, ENOMEM, "no-memory", "object state: out of memory");
	rc = move_reader_payload(&v->reader, to, r->payload, e);
	if (rc)
		return rc;
	v->object.len += r->payload;
	return r->flags & RECORD_MORE ? 0 : queue_object(d, &v->object, e);
}

// --- The ends of rounds -----------------------------------------------------------------------

static int stopped(struct ferry_error *e)
{
	return ferry_fail(e, ECANCELED, "aborted", "the move has ended");
}

static int wait_announced(struct move_dest *d, uint32_t round, struct ferry_error *e)
{
	bool stop;

	pthread_mutex_lock(&d->lock);
	while (d->announced < round && !d->stop)
		pthread_cond_wait(&d->changed, &d->lock);
	stop = d->stop;
	pthread_mutex_unlock(&d->lock);
	return stop ? stopped(e) : 0;
}

static int send_back(struct move_dest *d, const struct record *r)
{
	uint8_t header[RECORD_BYTES];
	struct iovec iov = { header, sizeof(header) };
	int rc;

	record_encode(r, header);
	pthread_mutex_lock(&d->send_lock);
	rc = channel_send(d->channels.at[0], &iov, 1);
	pthread_mutex_unlock(&d->send_lock);
	return rc;
}

static int acknowledge(struct move_dest *d, uint32_t round, uint8_t flags, uint32_t waited_ms,
	struct ferry_error *e)
{
	struct record ack = {
		.type = RECORD_ACK, .round = round, .flags = flags, .count = waited_ms
	};
	int rc = send_back(d, &ack);

	return rc ? ferry_fail(e, rc, "peer-lost", "the source: %s", strerror(-rc)) : 0;
}

static int take_barrier(struct move_dest *d, struct move_receiver *v, const struct record *r,
	size_t i, struct ferry_error *e)
{
	uint32_t waited_ms;
	bool stop;

	if (i == 0 && (v->object.len || v->runs.n))
		return refuse(e, "a barrier inside of an object or a list", r);
	v->round++;
	pthread_mutex_lock(&d->lock);
	d->barriers++;
	pthread_mutex_unlock(&d->lock);
	loop_wake(d->waker); // the main thread completes the round
	if (i != 0)
		return 0; // the next round's first record waits for its announcement
	pthread_mutex_lock(&d->lock);
	while (d->completed < r->round && !d->stop)
		pthread_cond_wait(&d->changed, &d->lock);
	stop = d->stop;
	waited_ms = d->waited_ms;
	pthread_mutex_unlock(&d->lock);
	return stop ? stopped(e) : acknowledge(d, r->round, 0, waited_ms, e);
}

static void set_complete(struct move_dest *d, bool complete)
{
	pthread_mutex_lock(&d->lock);
	d->complete = complete;
	pthread_mutex_unlock(&d->lock);
}

// All other channels are past the last barrier, so their parts of the root are at rest.
static int take_finish(
	struct move_dest *d, struct move_receiver *v, const struct record *r, struct ferry_error *e)
{
	char mine[DIGEST_ROOT_TEXT], theirs[DIGEST_ROOT_TEXT];
	struct digest_root root = { 0 }, expected;
	uint64_t payload[3];
	int rc = move_reader_payload(&v->reader, payload, sizeof(payload), e);

	if (rc)
		return rc;
	expected.sum = (unsigned __int128)le64toh(payload[1]) << 64 | le64toh(payload[0]);
	expected.pages = le64toh(payload[2]);
	for (size_t i = 0; i < d->channels.n; i++)
		digest_root_add(&root, d->receivers[i].root);
	if (!digest_root_equal(root, expected)) {
		digest_root_format(root, mine);
		digest_root_format(expected, theirs);
		return ferry_fail(e, EBADMSG, "roots-differ",
			"what arrived (%s, %llu pages) is not what was sent (%s, %llu pages)", mine,
			(unsigned long long)root.pages, theirs, (unsigned long long)expected.pages);
	}
	set_complete(d, true); // the source may close as soon as it has heard
	d->root = root;
	rc = acknowledge(d, r->round, RECORD_DONE, 0, e);
	if (rc)
		set_complete(d, false);
	return rc;
}

// --- One record -------------------------------------------------------------------------------

// What may come on which channel. Channel 0 announces a round before anything else of it, and ends
// after FINISH, the only record of the round that has just been completed.
static int check_order(struct move_dest *d, const struct move_receiver *v, const struct record *r,
	size_t i, struct ferry_error *e)
{
	bool control = r->type == RECORD_ROUND || r->type == RECORD_COMING ||
		       r->type == RECORD_OBJECT || r->type == RECORD_FINISH;

	if (r->type == RECORD_ACK || r->type == RECORD_ERROR)
		return refuse(e, "a record for the source", r);
	if (control && i != 0)
		return refuse(e, "a control record outside of channel 0", r);
	if (r->type == RECORD_FINISH ? v->round == 1 || r->round != v->round - 1
				     : r->round != v->round)
		return refuse(e, "a record of another round", r);
	if (r->type == RECORD_FINISH && d->announced >= v->round)
		return refuse(e, "the end inside of a round", r);
	if (i != 0)
		return wait_announced(d, r->round, e);
	if (r->type != RECORD_ROUND && r->type != RECORD_FINISH && d->announced < r->round)
		return refuse(e, "a round that was not announced", r);
	if (v->object.len && r->type != RECORD_OBJECT)
		return refuse(e, "a record inside of an object", r);
	if (v->runs.n && r->type != RECORD_ROUND && r->type != RECORD_COMING)
		return refuse(e, "a record inside of a list", r);
	return 0;
}

static int take_record(struct move_dest *d, struct move_receiver *v, const struct record *r,
	size_t i, struct ferry_error *e)
{
	int rc = check_order(d, v, r, i, e);

	if (rc)
		return rc;
	switch (r->type) {
	case RECORD_PAGES:
		return take_pages(d, v, r, e);
	case RECORD_ZERO:
		return take_zero(d, v, r, e);
	case RECORD_FREE:
		return take_free(d, v, r, e);
	case RECORD_OBJECT:
		return take_object(d, v, r, e);
	case RECORD_BARRIER:
		return take_barrier(d, v, r, i, e);
	case RECORD_ROUND:
		return take_round(d, v, r, e);
	case RECORD_COMING:
		return take_coming(d, v, r, e);
	case RECORD_FINISH:
		return take_finish(d, v, r, e);
	case RECORD_ACK:
	case RECORD_ERROR:
		break;
	}
	return refuse(e, "a record for the source", r);
}

static int receive_until_finish(struct move_dest *d, size_t i, struct ferry_error *e)
{
	struct move_receiver *v = &d->receivers[i];
	struct record r;
	int rc;

	do {
		rc = move_reader_next(&v->reader, &r, e);
		if (!rc)
			rc = take_record(d, v, &r, i, e);
	} while (!rc && r.type != RECORD_FINISH);
	return rc;
}

void move_dest_receive_job(void *arg, size_t i)
{
	struct move_dest *d = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	if (receive_until_finish(d, i, &e)) {
		ferry_error_prefix(&e, "data channel %zu", i);
		move_dest_note_error(d, &e);
		return;
	}
	pthread_mutex_lock(&d->lock);
	d->finished = true;
	pthread_mutex_unlock(&d->lock);
	loop_wake(d->waker);
}
