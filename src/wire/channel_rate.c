// SPDX-License-Identifier: Apache-2.0
// The rate decorator. The bucket is kept as a time: each send books its bytes after those booked
// before it, and waits until its own begin. Up to BURST_NS of unused time may be made up for.
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
	uint64_t bytes_per_s; // read only
	pthread_mutex_t lock; // no other lock is taken under it
	int64_t booked_until; // CLOCK_MONOTONIC
};

struct rate_channel {
	struct channel base, *inner;
	struct rate *rate;
	pthread_mutex_t lock; // of `woken`, for the wait; no other lock is taken under it
	pthread_cond_t wakes;
	bool woken;
};

struct rate *rate_new(uint64_t bytes_per_s)
{
	struct rate *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->bytes_per_s = bytes_per_s ? bytes_per_s : 1;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

struct rate *rate_free(struct rate *r)
{
	if (r)
		pthread_mutex_destroy(&r->lock);
	free(r);
	return NULL;
}

static int64_t book(struct rate *r, size_t bytes)
{
	int64_t takes = (int64_t)((double)bytes * 1e9 / (double)r->bytes_per_s);
	int64_t begin, oldest = clock_now_ns() - BURST_NS;

	pthread_mutex_lock(&r->lock);
	if (r->booked_until < oldest)
		r->booked_until = oldest;
	begin = r->booked_until;
	r->booked_until += takes;
	pthread_mutex_unlock(&r->lock);
	return begin;
}

static struct rate_channel *self(struct channel *c)
{
	return container_of(c, struct rate_channel, base);
}

static int rate_send(struct channel *c, const struct iovec *iov, size_t n)
{
	struct rate_channel *r = self(c);
	int64_t at = book(r->rate, channel_iov_bytes(iov, n));
	struct timespec ts = { at / NSEC_PER_SEC, at % NSEC_PER_SEC };
	bool woken;
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	while (!r->woken && rc != ETIMEDOUT && clock_now_ns() < at)
		rc = pthread_cond_timedwait(&r->wakes, &r->lock, &ts);
	woken = r->woken;
	pthread_mutex_unlock(&r->lock);
	return woken ? -ECANCELED : channel_send(r->inner, iov, n);
}

static ssize_t rate_recv(struct channel *c, const struct iovec *iov, size_t n)
{
	return channel_recv(self(c)->inner, iov, n);
}

static void rate_wake(struct channel *c)
{
	struct rate_channel *r = self(c);

	pthread_mutex_lock(&r->lock);
	r->woken = true;
	pthread_cond_broadcast(&r->wakes);
	pthread_mutex_unlock(&r->lock);
	channel_wake(r->inner);
}

static void rate_close(struct channel *c)
{
	struct rate_channel *r = self(c);

	channel_close(r->inner);
	pthread_cond_destroy(&r->wakes);
	pthread_mutex_destroy(&r->lock);
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
	pthread_condattr_t attr;

	if (!r) {
		channel_close(inner);
		return ferry_fail(e, ENOMEM, "no-memory", "channel: out of memory");
	}
	*r = (struct rate_channel){ .base.ops = &rate_ops, .inner = inner, .rate = rate };
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wakes, &attr);
	pthread_condattr_destroy(&attr);
	*ret = &r->base;
	return 0;
}
