// SPDX-License-Identifier: Apache-2.0
// Opening sockets, and passing descriptors over unix ones. All are close-on-exec; all are blocking
// unless said otherwise.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

#define SOCKET_MAX_FDS 64
#define UNIX_BACKLOG   64

// A path may be longer than sockaddr_un holds (108 bytes): it is then reached through
// /proc/self/fd. An old socket file at `path` is replaced.
int unix_listen(const char *path, struct ferry_error *e);
// The same without listen(2), which takes UNIX_BACKLOG: nobody can connect yet.
int unix_bind(const char *path, struct ferry_error *e);
// -EAGAIN after a second where the listener does not accept and its queue is full.
int unix_connect(const char *path, struct ferry_error *e);

// "10.0.0.1:7000" or "[::1]:7000", numeric. Port 0 lets the kernel choose; see tcp_local_port().
int tcp_listen(const char *address, struct ferry_error *e);
int tcp_connect(const char *address, int timeout_ms, struct ferry_error *e);
// The same in two steps, for a loop: a non-blocking socket that becomes writable when the connection
// is there or has failed; tcp_connect_end() then says which, with code "peer-unreachable".
int tcp_connect_begin(const char *address, struct ferry_error *e);
int tcp_connect_end(int fd, const char *address, struct ferry_error *e);
int tcp_local_port(int fd);
int fd_set_nonblocking(int fd, int on);

// One sendmsg(2)/recvmsg(2) on a unix socket with descriptors (SCM_RIGHTS, unix(7)). Return bytes,
// or -errno (-EAGAIN as the socket is). Received descriptors are the caller's; those beyond
// max_fds are closed.
ssize_t socket_send_fds(int fd, const void *bytes, size_t n, const int *fds, size_t n_fds);
ssize_t socket_recv_fds(
	int fd, void *bytes, size_t n, int *ret_fds, size_t max_fds, size_t *ret_n_fds);
