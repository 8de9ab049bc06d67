// SPDX-License-Identifier: Apache-2.0
// The fault decorator, for tests: the connection ends, or a byte is wrong, at a byte of the stream
// that is sent. Only send() misbehaves; put it around the end whose bytes are to be hit.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "wire/channel.h"

struct fault_channel {
	struct channel base, *inner;
	struct channel_fault fault;
	uint64_t sent; // sender's thread only
};

static struct fault_channel *self(struct channel *c)
{
	return container_of(c, struct fault_channel, base);
}

// The part of a vector before the fault, and, when the byte is to be wrong, that byte.
static int send_hit(struct fault_channel *f, const struct iovec *iov, size_t before)
{
	struct iovec part[3] = { { iov->iov_base, before } };
	uint8_t wrong = (uint8_t) ~((const uint8_t *)iov->iov_base)[before];

	if (f->fault.kind == CHANNEL_FAULT_CUT) {
		channel_send(f->inner, part, 1);
		channel_wake(f->inner);
		return -ECONNRESET;
	}
	part[1] = (struct iovec){ &wrong, 1 };
	part[2] = (struct iovec){ (char *)iov->iov_base + before + 1, iov->iov_len - before - 1 };
	return channel_send(f->inner, part, 3);
}

static int fault_send(struct channel *c, const struct iovec *iov, size_t n)
{
	struct fault_channel *f = self(c);
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		uint64_t at = f->fault.at - f->sent; // wraps when it is behind us
		bool hit = f->fault.at >= f->sent && at < iov[i].iov_len;

		rc = hit ? send_hit(f, &iov[i], at) : channel_send(f->inner, &iov[i], 1);
		f->sent += iov[i].iov_len;
	}
	return rc;
}

static ssize_t fault_recv(struct channel *c, const struct iovec *iov, size_t n)
{
	return channel_recv(self(c)->inner, iov, n);
}

static void fault_wake(struct channel *c)
{
	channel_wake(self(c)->inner);
}

static void fault_close(struct channel *c)
{
	channel_close(self(c)->inner);
	free(self(c));
}

static const struct channel_ops fault_ops = {
	.name = "fault",
	.send = fault_send,
	.recv = fault_recv,
	.wake = fault_wake,
	.close = fault_close,
};

int channel_fault_new(struct channel *inner, struct channel_fault fault, struct channel **ret,
	struct ferry_error *e)
{
	struct fault_channel *f = calloc(1, sizeof(*f));

	if (!f) {
		channel_close(inner);
		return ferry_fail(e, ENOMEM, "no-memory", "channel: out of memory");
	}
	*f = (struct fault_channel){ .base.ops = &fault_ops, .inner = inner, .fault = fault };
	*ret = &f->base;
	return 0;
}
