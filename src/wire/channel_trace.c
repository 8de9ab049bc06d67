// SPDX-License-Identifier: Apache-2.0
// The trace decorator: one debug line per call.
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/channel.h"

struct trace_channel {
	struct channel base, *inner;
	char name[32];
};

static struct trace_channel *self(struct channel *c)
{
	return container_of(c, struct trace_channel, base);
}

static int trace_send(struct channel *c, const struct iovec *iov, size_t n)
{
	struct trace_channel *t = self(c);
	int64_t start = clock_now_ns();
	int rc = channel_send(t->inner, iov, n);

	log_debug("%s: send %zu bytes in %zu parts: %d, %lld us", t->name,
		channel_iov_bytes(iov, n), n, rc, (long long)(clock_now_ns() - start) / 1000);
	return rc;
}

static ssize_t trace_recv(struct channel *c, const struct iovec *iov, size_t n)
{
	struct trace_channel *t = self(c);
	int64_t start = clock_now_ns();
	ssize_t got = channel_recv(t->inner, iov, n);

	log_debug("%s: recv %zd of %zu bytes, %lld us", t->name, got, channel_iov_bytes(iov, n),
		(long long)(clock_now_ns() - start) / 1000);
	return got;
}

static void trace_wake(struct channel *c)
{
	log_debug("%s: wake", self(c)->name);
	channel_wake(self(c)->inner);
}

static void trace_close(struct channel *c)
{
	log_debug("%s: close", self(c)->name);
	channel_close(self(c)->inner);
	free(self(c));
}

static const struct channel_ops trace_ops = {
	.name = "trace",
	.send = trace_send,
	.recv = trace_recv,
	.wake = trace_wake,
	.close = trace_close,
};

int channel_trace_new(
	struct channel *inner, const char *name, struct channel **ret, struct ferry_error *e)
{
	struct trace_channel *t = calloc(1, sizeof(*t));

	if (!t) {
		channel_close(inner);
		return ferry_fail(e, ENOMEM, "no-memory", "channel: out of memory");
	}
	*t = (struct trace_channel){ .base.ops = &trace_ops, .inner = inner };
	snprintf(t->name, sizeof(t->name), "%s", name);
	*ret = &t->base;
	return 0;
}
