// SPDX-License-Identifier: Apache-2.0
#include "base/socket.h"
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

static const struct timeval CONNECT_WAIT = { .tv_sec = 1 }, NO_LIMIT = { 0 };

// Fills `sa` for `path`; a long path goes through an open folder, which the caller closes after
// use.
static int unix_address(
	const char *path, struct sockaddr_un *sa, int *ret_folder, struct ferry_error *e)
{
	char copy[PATH_MAX], base[PATH_MAX];

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*ret_folder = -1;
	if (strlen(path) < sizeof sa->sun_path) {
		strcpy(sa->sun_path, path);
		return 0;
	}
	if (strlen(path) >= sizeof copy)
		return ferry_fail(e, ENAMETOOLONG, "socket", "socket path too long");
	strcpy(copy, path);
	strcpy(base, path);
	*ret_folder = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_folder < 0)
		return ferry_fail(e, errno, "socket", "cannot open the folder of %s: %m", path);
	int n = snprintf(sa->sun_path, sizeof sa->sun_path, "/proc/self/fd/%d/%.60s", *ret_folder,
		basename(base));
	if (n < 0 || (size_t)n >= sizeof sa->sun_path)
		return ferry_fail(e, ENAMETOOLONG, "socket", "socket name too long: %s", path);
	return 0;
}

// A new socket and the address of `path`: the descriptor, or -errno.
static int unix_socket(
	const char *path, struct sockaddr_un *sa, int *ret_folder, struct ferry_error *e)
{
	int r = unix_address(path, sa, ret_folder, e);
	if (r < 0)
		return r;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd >= 0 ? fd : ferry_fail(e, errno, "socket", "cannot make a unix socket: %m");
}

int unix_bind(const char *path, struct ferry_error *e)
{
	struct sockaddr_un sa;
	_cleanup_fd_ int folder = -1;
	_cleanup_fd_ int fd = unix_socket(path, &sa, &folder, e);

	if (fd < 0)
		return fd;
	unlink(sa.sun_path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
		return ferry_fail(e, errno, "socket", "cannot listen on %s: %m", path);
	return take_fd(fd);
}

int unix_listen(const char *path, struct ferry_error *e)
{
	_cleanup_fd_ int fd = unix_bind(path, e);

	if (fd >= 0 && listen(fd, UNIX_BACKLOG) < 0)
		return ferry_fail(e, errno, "socket", "cannot listen on %s: %m", path);
	return fd < 0 ? fd : take_fd(fd);
}

int unix_connect(const char *path, struct ferry_error *e)
{
	struct sockaddr_un sa;
	_cleanup_fd_ int folder = -1;
	_cleanup_fd_ int fd = unix_socket(path, &sa, &folder, e);

	if (fd < 0)
		return fd;
	// A listener that hangs lets its queue fill, and connect(2) would then wait for ever (unix(7)).
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &CONNECT_WAIT, sizeof CONNECT_WAIT);
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
		return ferry_fail(e, errno, "socket", "cannot connect to %s: %m", path);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &NO_LIMIT, sizeof NO_LIMIT);
	return take_fd(fd);
}

static int parse_address(
	const char *text, struct sockaddr_storage *sa, socklen_t *ret_len, struct ferry_error *e)
{
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(text, ':');
	char *end = NULL;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (!colon || !colon[1] || *end || port > 65535 || n >= sizeof host)
		return ferry_fail(e, EINVAL, "bad-address", "'%s' is not ADDRESS:PORT", text);
	snprintf(host, sizeof host, "%.*s", (int)n, text);
	*sa = (struct sockaddr_storage){ 0 };
	struct sockaddr_in *v4 = (void *)sa;
	struct sockaddr_in6 *v6 = (void *)sa;
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*ret_len = sizeof *v4;
		return 0;
	}
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1) {
			v6->sin6_family = AF_INET6;
			v6->sin6_port = htons((uint16_t)port);
			*ret_len = sizeof *v6;
			return 0;
		}
	}
	return ferry_fail(e, EINVAL, "bad-address", "'%s' is not a numeric ADDRESS:PORT", text);
}

int tcp_listen(const char *address, struct ferry_error *e)
{
	struct sockaddr_storage sa;
	socklen_t len = 0;
	int one = 1;

	int r = parse_address(address, &sa, &len, e);
	if (r < 0)
		return r;
	_cleanup_fd_ int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ferry_fail(e, errno, "socket", "cannot make a TCP socket: %m");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, 64) < 0)
		return ferry_fail(e, errno, "socket", "cannot listen on %s: %m", address);
	return take_fd(fd);
}

int tcp_connect_begin(const char *address, struct ferry_error *e)
{
	struct sockaddr_storage sa;
	socklen_t len = 0;
	int one = 1;

	int r = parse_address(address, &sa, &len, e);
	if (r < 0)
		return r;
	_cleanup_fd_ int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ferry_fail(e, errno, "socket", "cannot make a TCP socket: %m");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		return ferry_fail(
			e, errno, "peer-unreachable", "cannot connect to %s: %m", address);
	return take_fd(fd);
}

int tcp_connect_end(int fd, const char *address, struct ferry_error *e)
{
	int why = 0;
	socklen_t len = sizeof why;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
		why = errno;
	if (why)
		return ferry_fail(e, why, "peer-unreachable", "cannot connect to %s: %s", address,
			strerror(why));
	return 0;
}

int tcp_connect(const char *address, int timeout_ms, struct ferry_error *e)
{
	_cleanup_fd_ int fd = tcp_connect_begin(address, e);

	if (fd < 0)
		return fd;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n = poll(&p, 1, timeout_ms);
	if (n <= 0)
		return ferry_fail(e, n ? errno : ETIMEDOUT, "peer-unreachable",
			"cannot connect to %s: %s", address, strerror(n ? errno : ETIMEDOUT));
	int r = tcp_connect_end(fd, address, e);
	if (r < 0)
		return r;
	fd_set_nonblocking(fd, 0);
	return take_fd(fd);
}

int tcp_local_port(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	if (sa.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
	return ntohs(((struct sockaddr_in *)&sa)->sin_port);
}

int fd_set_nonblocking(int fd, int on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

ssize_t socket_send_fds(int fd, const void *bytes, size_t n, const int *fds, size_t n_fds)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * SOCKET_MAX_FDS)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)bytes, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > SOCKET_MAX_FDS)
		return -E2BIG;
	if (n_fds) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	ssize_t sent;
	do
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static void take_rights(struct cmsghdr *c, int *ret_fds, size_t max_fds, size_t *n)
{
	size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < count; i++) {
		int one;
		memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof one);
		if (*n < max_fds)
			ret_fds[(*n)++] = one;
		else
			close(one);
	}
}

ssize_t socket_recv_fds(
	int fd, void *bytes, size_t n, int *ret_fds, size_t max_fds, size_t *ret_n_fds)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * SOCKET_MAX_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = bytes, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof control.space };
	ssize_t got;

	*ret_n_fds = 0;
	do
		got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			take_rights(c, ret_fds, max_fds, ret_n_fds);
	return got;
}
