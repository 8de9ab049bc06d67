// SPDX-License-Identifier: Apache-2.0
#include "base/socket.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void descriptors_travel(void)
{
	int pair[2], pipefd[2], got[2];
	size_t n;
	char byte;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipefd) == 0);
	CHECK_EQ(socket_send_fds(pair[0], "x", 1, &pipefd[1], 1), 1);
	CHECK_EQ(socket_recv_fds(pair[1], &byte, 1, got, 2, &n), 1);
	CHECK_EQ(n, 1);
	CHECK(write(got[0], "y", 1) == 1 && read(pipefd[0], &byte, 1) == 1 && byte == 'y');
}

static void long_socket_paths_work(void)
{
	char folder[300], path[400];

	snprintf(folder, sizeof folder, "/tmp/ferry-test-%d/%0120d", (int)getpid(), 7);
	snprintf(path, sizeof path, "%s/s.sock", folder);
	CHECK_EQ(dir_make(folder, NULL), 0);
	int fd = unix_listen(path, NULL);
	CHECK(fd >= 0);
	CHECK(unix_connect(path, NULL) >= 0);
	snprintf(folder, sizeof folder, "/tmp/ferry-test-%d", (int)getpid());
	CHECK_EQ(path_remove(folder, NULL), 0);
	CHECK(unix_connect(path, NULL) < 0);
}

static void addresses_are_checked(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	char address[32];

	CHECK_EQ(tcp_listen("nonsense", &e), -EINVAL);
	CHECK_STR(e.code, "bad-address");
	CHECK_EQ(tcp_listen("127.0.0.1:65536", NULL), -EINVAL);
	CHECK_EQ(tcp_listen("localhost:1", NULL), -EINVAL);
	int fd = tcp_listen("127.0.0.1:0", NULL);
	CHECK(fd >= 0);
	snprintf(address, sizeof address, "127.0.0.1:%d", tcp_local_port(fd));
	CHECK(tcp_connect(address, 1000, NULL) >= 0);
	close(fd);
	e = FERRY_ERROR_INIT;
	CHECK_EQ(tcp_connect(address, 1000, &e), -ECONNREFUSED);
	CHECK_STR(e.code, "peer-unreachable");
}

static void a_listener_that_hangs_does_not_hang_us(void)
{
	char path[64];
	int fds[80], r = 0, n = 0;

	snprintf(path, sizeof path, "/tmp/ferry-socket-%d", (int)getpid());
	int server = unix_listen(path, NULL);
	CHECK(server >= 0 && listen(server, 1) == 0);
	while (n < (int)ARRAY_SIZE(fds) && (r = unix_connect(path, NULL)) >= 0)
		fds[n++] = r;
	CHECK_EQ(r, -EAGAIN);
	while (n > 0)
		close(fds[--n]);
	close(server);
	unlink(path);
}

int main(void)
{
	RUN(descriptors_travel);
	RUN(long_socket_paths_work);
	RUN(addresses_are_checked);
	RUN(a_listener_that_hangs_does_not_hang_us);
}
