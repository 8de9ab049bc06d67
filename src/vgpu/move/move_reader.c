// SPDX-License-Identifier: Apache-2.0
#include "vgpu/move/move_reader.h"

#include <errno.h>
#include <string.h>

static int lost(int rc, struct ferry_error *e)
{
	return ferry_fail(e, rc, "peer-lost", "the source: %s", strerror(-rc));
}

int move_reader_next(struct move_reader *r, struct record *ret, struct ferry_error *e)
{
	int rc = channel_recv_all(r->channel, r->header + r->have, RECORD_BYTES - r->have);

	if (rc)
		return lost(rc, e);
	r->bytes += RECORD_BYTES;
	r->have = 0;
	rc = record_decode(r->header, ret, e);
	if (!rc)
		r->left = ret->payload;
	return rc;
}

int move_reader_payload(struct move_reader *r, void *to, size_t n, struct ferry_error *e)
{
	bool last = n == r->left;
	size_t got = 0;

	if (n > r->left)
		return ferry_fail(e, EINVAL, "bad-record", "read past a payload's end");
	while (got < n) {
		struct iovec iov[2] = { { (char *)to + got, n - got },
			{ r->header, RECORD_BYTES } };
		ssize_t now = channel_recv(r->channel, iov, last ? 2 : 1);

		if (now <= 0)
			return lost(now ? (int)now : -ECONNRESET, e);
		got += (size_t)now;
	}
	r->have = got - n;
	r->left -= n;
	r->bytes += n;
	return 0;
}
