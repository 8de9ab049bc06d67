// SPDX-License-Identifier: Apache-2.0
// A channel over pipe ends. Nothing ends a blocked read(2) of a pipe from outside, so the ends are
// non-blocking, waited for with poll(2) beside an eventfd(2) that waking makes readable.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/socket.h"
#include "wire/channel.h"

struct pipe_channel {
	struct channel base;
	int read_fd, write_fd;
	int wake_fd;
};

static struct pipe_channel *self(struct channel *c)
{
	return container_of(c, struct pipe_channel, base);
}

static int wait_for(const struct pipe_channel *p, int fd, short events)
{
	struct pollfd fds[2] = { { .fd = fd, .events = events },
		{ .fd = p->wake_fd, .events = POLLIN } };

	if (fd < 0)
		return -EBADF;
	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return fds[1].revents ? -ECANCELED : 0;
}

static int pipe_send_one(struct pipe_channel *p, const char *bytes, size_t n)
{
	while (n) {
		ssize_t sent;
		int rc = wait_for(p, p->write_fd, POLLOUT);

		if (rc)
			return rc;
		sent = write(p->write_fd, bytes, n);
		if (sent < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (sent > 0) {
			bytes += sent;
			n -= (size_t)sent;
		}
	}
	return 0;
}

static int pipe_send(struct channel *c, const struct iovec *iov, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = pipe_send_one(self(c), iov[i].iov_base, iov[i].iov_len);
	return rc;
}

static ssize_t pipe_recv(struct channel *c, const struct iovec *iov, size_t n)
{
	struct pipe_channel *p = self(c);

	for (;;) {
		int rc = wait_for(p, p->read_fd, POLLIN);
		ssize_t got;

		if (rc)
			return rc;
		got = readv(p->read_fd, iov, (int)n);
		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

static void pipe_wake(struct channel *c)
{
	eventfd_write(self(c)->wake_fd, 1);
}

static void pipe_close(struct channel *c)
{
	struct pipe_channel *p = self(c);

	cleanup_fd_p(&p->read_fd);
	cleanup_fd_p(&p->write_fd);
	cleanup_fd_p(&p->wake_fd);
	free(p);
}

static const struct channel_ops pipe_ops = {
	.name = "pipe",
	.send = pipe_send,
	.recv = pipe_recv,
	.wake = pipe_wake,
	.close = pipe_close,
};

int channel_pipe_new(int read_fd, int write_fd, struct channel **ret, struct ferry_error *e)
{
	struct pipe_channel *p = calloc(1, sizeof(*p));

	if (!p) {
		cleanup_fd_p(&read_fd);
		cleanup_fd_p(&write_fd);
		return ferry_fail(e, ENOMEM, "no-memory", "channel: out of memory");
	}
	*p = (struct pipe_channel){ { &pipe_ops }, read_fd, write_fd, eventfd(0, EFD_CLOEXEC) };
	if (p->wake_fd < 0 || (read_fd >= 0 && fd_set_nonblocking(read_fd, 1)) ||
		(write_fd >= 0 && fd_set_nonblocking(write_fd, 1))) {
		int err = errno;

		pipe_close(&p->base);
		return ferry_fail(e, err, "bad-channel", "pipe channel: %s", strerror(err));
	}
	*ret = &p->base;
	return 0;
}
