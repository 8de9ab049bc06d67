// SPDX-License-Identifier: Apache-2.0
#include "vgpu/move/move_peer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "vgpu/move/move_pool.h"
#include "wire/record.h"

struct move_peer {
	struct channel *channel; // read only
	struct watch *waker;     // read only
	pthread_mutex_t lock;    // of state; no other lock is taken under it
	struct move_peer_state state;
	struct move_pool *thread; // main thread only
};

static int read_error(struct move_peer *p, const struct record *r, struct ferry_error *e)
{
	uint8_t payload[RECORD_MAX_ERROR];
	int rc = channel_recv_all(p->channel, payload, r->payload);

	if (rc)
		return ferry_fail(e, rc, "peer-lost", "the destination: %s", strerror(-rc));
	record_error_decode(payload, r->payload, e);
	return ferry_error_prefix(e, "destination");
}

static int note_ack(struct move_peer *p, const struct record *r, struct ferry_error *e)
{
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	if (p->state.done)
		rc = -EBADMSG;
	else if (r->flags & RECORD_DONE && r->round == p->state.acked)
		p->state.done = true;
	else if (!(r->flags & RECORD_DONE) && r->round == p->state.acked + 1)
		p->state.acked = r->round, p->state.waited_ms = r->count;
	else
		rc = -EBADMSG;
	pthread_mutex_unlock(&p->lock);
	if (rc)
		return ferry_fail(e, rc, "bad-record", "ACK of round %u out of order", r->round);
	loop_wake(p->waker);
	return 0;
}

static int read_one(struct move_peer *p, struct ferry_error *e)
{
	uint8_t header[RECORD_BYTES];
	struct record r;
	int rc = channel_recv_all(p->channel, header, sizeof(header));

	if (rc)
		return ferry_fail(e, rc, "peer-lost", "the destination: %s", strerror(-rc));
	rc = record_decode(header, &r, e);
	if (rc)
		return rc;
	if (r.type == RECORD_ERROR)
		return read_error(p, &r, e);
	if (r.type != RECORD_ACK)
		return ferry_fail(e, EBADMSG, "bad-record",
			"a record of type %d from the destination", r.type);
	return note_ack(p, &r, e);
}

static void read_until_it_ends(void *arg, size_t i)
{
	struct move_peer *p = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	(void)i;
	while (!read_one(p, &e))
		;
	pthread_mutex_lock(&p->lock);
	p->state.error = e;
	pthread_mutex_unlock(&p->lock);
	loop_wake(p->waker);
}

struct move_peer *move_peer_new(struct channel *c, struct watch *waker)
{
	struct move_peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->channel = c;
	p->waker = waker;
	pthread_mutex_init(&p->lock, NULL);
	p->thread = move_pool_new(1, NULL);
	if (!p->thread)
		return move_peer_free(p);
	move_pool_run(p->thread, read_until_it_ends, p);
	return p;
}

struct move_peer_state move_peer_state(struct move_peer *p)
{
	struct move_peer_state s;

	pthread_mutex_lock(&p->lock);
	s = p->state;
	pthread_mutex_unlock(&p->lock);
	return s;
}

struct move_peer *move_peer_free(struct move_peer *p)
{
	if (!p)
		return NULL;
	move_pool_free(p->thread);
	pthread_mutex_destroy(&p->lock);
	free(p);
	return NULL;
}
