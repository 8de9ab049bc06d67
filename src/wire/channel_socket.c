// SPDX-License-Identifier: Apache-2.0
// A channel over a stream socket. Waking is shutdown(2), which ends blocked calls on both sides.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/socket.h"
#include "wire/channel.h"

struct socket_channel {
	struct channel base;
	int fd;
	atomic_bool woken;
};

static struct socket_channel *self(struct channel *c)
{
	return container_of(c, struct socket_channel, base);
}

static int failure(const struct socket_channel *s, int err)
{
	return atomic_load(&s->woken) ? -ECANCELED : -err;
}

// Drops the first `sent` bytes of the vectors.
static void advance(struct msghdr *msg, size_t sent)
{
	while (msg->msg_iovlen && sent >= msg->msg_iov->iov_len) {
		sent -= msg->msg_iov->iov_len;
		msg->msg_iov++;
		msg->msg_iovlen--;
	}
	if (msg->msg_iovlen) {
		msg->msg_iov->iov_base = (char *)msg->msg_iov->iov_base + sent;
		msg->msg_iov->iov_len -= sent;
	}
}

static int socket_send(struct channel *c, const struct iovec *iov, size_t n)
{
	struct socket_channel *s = self(c);
	struct iovec left[CHANNEL_MAX_IOV];
	struct msghdr msg = { .msg_iov = left, .msg_iovlen = n };

	if (n > CHANNEL_MAX_IOV)
		return -EINVAL;
	memcpy(left, iov, n * sizeof(*iov));
	while (msg.msg_iovlen) {
		ssize_t sent = sendmsg(s->fd, &msg, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return failure(s, errno);
		if (sent >= 0)
			advance(&msg, (size_t)sent);
	}
	return 0;
}

static ssize_t socket_recv(struct channel *c, const struct iovec *iov, size_t n)
{
	struct socket_channel *s = self(c);
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };
	ssize_t got;

	do
		got = recvmsg(s->fd, &msg, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return failure(s, errno);
	return !got && atomic_load(&s->woken) ? -ECANCELED : got;
}

static void socket_wake(struct channel *c)
{
	atomic_store(&self(c)->woken, true);
	shutdown(self(c)->fd, SHUT_RDWR);
}

static void socket_close(struct channel *c)
{
	close(self(c)->fd);
	free(self(c));
}

static const struct channel_ops socket_ops = {
	.name = "socket",
	.send = socket_send,
	.recv = socket_recv,
	.wake = socket_wake,
	.close = socket_close,
};

// Options of tcp(7). A unix socket refuses them, rightly.
static void set_tcp_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, CHANNEL_LOST_MS },
		{ IPPROTO_TCP, TCP_KEEPIDLE, CHANNEL_LOST_MS / 3000 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, CHANNEL_LOST_MS / 3000 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

int channel_socket_new(int fd, struct channel **ret, struct ferry_error *e)
{
	struct socket_channel *s = calloc(1, sizeof(*s));
	int type = 0;
	socklen_t len = sizeof(type);

	if (!s) {
		close(fd);
		return ferry_fail(e, ENOMEM, "no-memory", "channel: out of memory");
	}
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM ||
		fd_set_nonblocking(fd, 0)) {
		if (fd >= 0)
			close(fd);
		free(s);
		return ferry_fail(e, ENOTSOCK, "bad-channel", "a data channel is no stream socket");
	}
	set_tcp_options(fd);
	s->base.ops = &socket_ops;
	s->fd = fd;
	*ret = &s->base;
	return 0;
}
