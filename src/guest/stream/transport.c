// SPDX-License-Identifier: Apache-2.0
#include "guest/stream/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"

#define PORTS_MAX 93
#define PAGE      4096

// Of the descriptor opened last; a process has one.
static bool is_socket;
static int received_fd = -1; // that nobody has taken yet

static int open_port(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	is_socket = false;
	return fd >= 0 ? fd : -errno;
}

// A path that sockaddr_un cannot hold is reached through a descriptor of its folder.
static int fill_address(struct sockaddr_un *to, const char *path, int *ret_dir)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];

	to->sun_family = AF_UNIX;
	if (strlen(path) < sizeof to->sun_path) {
		strcpy(to->sun_path, path);
		return 0;
	}
	if (!slash || (size_t)(slash - path) >= sizeof dir)
		return -ENAMETOOLONG;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	*ret_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_dir < 0)
		return -errno;
	int n = snprintf(to->sun_path, sizeof to->sun_path, "/proc/self/fd/%d%s", *ret_dir, slash);
	return (size_t)n < sizeof to->sun_path ? 0 : -ENAMETOOLONG;
}

static int open_unix(const char *path)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_fd_ int dir = -1;
	struct sockaddr_un to = { 0 };

	if (fd < 0)
		return -errno;
	int r = fill_address(&to, path, &dir);
	if (r < 0)
		return r;
	while (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		if (errno != EINTR)
			return -errno;
	is_socket = true;
	return take_fd(fd);
}

int transport_open_name(const char *name)
{
	if (!strncmp(name, "unix:", 5))
		return open_unix(name + 5);
	if (!strncmp(name, "port:", 5))
		return open_port(name + 5);
	return -EINVAL;
}

int transport_open(void)
{
	const char *name = getenv("FERRY_VGPU");
	int found = -ENODEV;

	if (name && *name)
		return transport_open_name(name);
	for (int i = 0; i < PORTS_MAX; i++) {
		char path[sizeof TRANSPORT_PORTS + 12];
		snprintf(path, sizeof path, TRANSPORT_PORTS "%d", i);
		int fd = open_port(path);
		if (fd >= 0)
			return fd;
		if (fd == -ENOENT)
			break;
		found = fd;
	}
	return found;
}

bool transport_stays(void)
{
	return !is_socket;
}

static ssize_t write_some(int fd, const void *bytes, size_t n)
{
	// MSG_NOSIGNAL: a broken socket must not end the program with SIGPIPE.
	return is_socket ? send(fd, bytes, n, MSG_NOSIGNAL) : write(fd, bytes, n);
}

// Where the kernel cannot read the memory a driver's copy would raise SIGSEGV, and so does this one.
static ssize_t write_copied(int fd, const void *bytes, size_t n)
{
	char copy[PAGE];

	if (n > sizeof copy)
		n = sizeof copy;
	memcpy(copy, bytes, n);
	return write_some(fd, copy, n);
}

int transport_write(int fd, const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n) {
		ssize_t w = write_some(fd, at, n);
		if (w < 0 && errno == EFAULT)
			w = write_copied(fd, at, n);
		if (w < 0 && errno != EINTR)
			return -errno;
		if (w > 0) {
			at += w;
			n -= (size_t)w;
		}
	}
	return 0;
}

// The host passes one descriptor at most; a later one would replace it.
static void keep_fd(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		c->cmsg_len != CMSG_LEN(sizeof(int)))
		return;
	if (received_fd >= 0)
		close(received_fd);
	memcpy(&received_fd, CMSG_DATA(c), sizeof(int));
}

static ssize_t receive(int fd, void *bytes, size_t n)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec to = { bytes, n };
	struct msghdr m = { .msg_iov = &to,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control };
	ssize_t r = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);

	if (r > 0 && m.msg_controllen)
		keep_fd(&m);
	return r;
}

int transport_take_fd(void)
{
	int fd = received_fd;

	received_fd = -1;
	return fd;
}

ssize_t transport_read(int fd, void *bytes, size_t n)
{
	for (;;) {
		ssize_t r = is_socket ? receive(fd, bytes, n) : read(fd, bytes, n);
		if (r > 0)
			return r;
		if (r == 0)
			return -EPIPE;
		if (errno != EINTR)
			return -errno;
	}
}

bool transport_readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t end = clock_now_ns() + timeout_ms * NSEC_PER_MSEC, left;
	int r;

	// A program's signals interrupt it, whatever their handlers ask for.
	while ((r = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR) {
		left = end - clock_now_ns();
		timeout_ms = left > 0 ? (int)(left / NSEC_PER_MSEC) + 1 : 0;
	}
	return r > 0;
}
