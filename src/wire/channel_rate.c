// SPDX-License-Identifier: Apache-2.0
// The rate decorator. A position in bytes moves on at the rate; each send books its bytes after those
// booked before it, and waits until the position has come to its own begin. So a change of the rate
// is felt by those that wait, too. Up to BURST_NS of unused time may be made up for.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/channel.h"

#define BURST_NS (5 * NSEC_PER_MSEC)

struct rate {
	pthread_mutex_t lock; // of all below; no other lock is taken under it
	pthread_cond_t changed;
	double bytes_per_s;
	double position; // at `at`
	int64_t at;      // CLOCK_MONOTONIC
	double booked;   // position after all that was booked
};

struct rate_channel {
	struct channel base, *inner;
	struct rate *rate;
	bool woken; // under the rate's lock
};

struct rate *rate_new(uint64_t bytes_per_s)
{
	struct rate *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;

	if (!r)
		return NULL;
	r->bytes_per_s = bytes_per_s ? (double)bytes_per_s : 1;
	r->at = clock_now_ns();
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	return r;
}

struct rate *rate_free(struct rate *r)
{
	if (r) {
		pthread_cond_destroy(&r->changed);
		pthread_mutex_destroy(&r->lock);
	}
	free(r);
	return NULL;
}

// Moves the position on to now.
static void move_on(struct rate *r)
{
	int64_t now = clock_now_ns();

	r->position += (double)(now - r->at) / 1e9 * r->bytes_per_s;
	r->at = now;
}

void rate_set(struct rate *r, uint64_t bytes_per_s)
{
	pthread_mutex_lock(&r->lock);
	move_on(r);
	r->bytes_per_s = bytes_per_s ? (double)bytes_per_s : 1;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

// Where a send of so many bytes begins.
static double book(struct rate *r, size_t bytes)
{
	double oldest = r->position - (double)BURST_NS / 1e9 * r->bytes_per_s;
	double begin = r->booked > oldest ? r->booked : oldest;

	r->booked = begin + (double)bytes;
	return begin;
}

// When the position comes to `begin`, as the rate is now; a second away at most.
static struct timespec due(const struct rate *r, double begin)
{
	double s = (begin - r->position) / r->bytes_per_s;
	int64_t at = r->at + (int64_t)((s < 1 ? s : 1) * 1e9) + 1;

	return (struct timespec){ at / NSEC_PER_SEC, at % NSEC_PER_SEC };
}

static struct rate_channel *self(struct channel *c)
{
	return container_of(c, struct rate_channel, base);
}

static int rate_send(struct channel *c, const struct iovec *iov, size_t n)
{
	struct rate_channel *ch = self(c);
	struct rate *r = ch->rate;

	pthread_mutex_lock(&r->lock);
	move_on(r);
	double begin = book(r, channel_iov_bytes(iov, n));
	while (!ch->woken && r->position < begin) {
		struct timespec until = due(r, begin);
		pthread_cond_timedwait(&r->changed, &r->lock, &until);
		move_on(r);
	}
	bool woken = ch->woken;
	pthread_mutex_unlock(&r->lock);
	return woken ? -ECANCELED : channel_send(ch->inner, iov, n);
}

static ssize_t rate_recv(struct channel *c, const struct iovec *iov, size_t n)
{
	return channel_recv(self(c)->inner, iov, n);
}

static void rate_wake(struct channel *c)
{
	struct rate_channel *r = self(c);

	pthread_mutex_lock(&r->rate->lock);
	r->woken = true;
	pthread_cond_broadcast(&r->rate->changed);
	pthread_mutex_unlock(&r->rate->lock);
	channel_wake(r->inner);
}

static void rate_close(struct channel *c)
{
	struct rate_channel *r = self(c);

	channel_close(r->inner);
	free(r);
}

static const struct channel_ops rate_ops = {
	.name = "rate",
	.send = rate_send,
	.recv = rate_recv,
	.wake = rate_wake,
	.close = rate_close,
};

int channel_rate_new(
	struct channel *inner, struct rate *rate, struct channel **ret, struct ferry_error *e)
{
	struct rate_channel *r = calloc(1, sizeof(*r));

	if (!r) {
		channel_close(inner);
		return ferry_fail(e, ENOMEM, "no-memory", "channel: out of memory");
	}
	*r = (struct rate_channel){ .base.ops = &rate_ops, .inner = inner, .rate = rate };
	*ret = &r->base;
	return 0;
}
