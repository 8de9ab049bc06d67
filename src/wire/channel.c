// SPDX-License-Identifier: Apache-2.0
#include "wire/channel.h"

#include <errno.h>

int channel_recv_all(struct channel *c, void *to, size_t n)
{
	while (n) {
		struct iovec iov = { to, n };
		ssize_t got = channel_recv(c, &iov, 1);

		if (got < 0)
			return (int)got;
		if (!got)
			return -ECONNRESET;
		to = (char *)to + got;
		n -= (size_t)got;
	}
	return 0;
}

size_t channel_iov_bytes(const struct iovec *iov, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	return bytes;
}
