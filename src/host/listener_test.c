// SPDX-License-Identifier: Apache-2.0
// The port for peers, over real loopback sockets: what is no peer is closed, soon and quietly.
#include "host/listener.h"
#include "base/clock.h"
#include "base/socket.h"
#include "base/test.h"
#include "host/host.h"
#include "host/migration/migration.h"
#include "host/peer.h"
#include "host/preface.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct host h;
static char address[40];

static int dial(void)
{
	int fd = tcp_connect(address, 2000, NULL);

	CHECK(fd >= 0);
	return fd;
}

// Runs the daemon's loop until our end sees something; the byte count of a recv, 0 for closed.
static ssize_t await(int fd, void *bytes, size_t n, int timeout_ms)
{
	int64_t end = clock_now_ns() + timeout_ms * NSEC_PER_MSEC;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (clock_now_ns() < end) {
		loop_once(h.loop, 2);
		if (poll(&p, 1, 0) == 1)
			return recv(fd, bytes, n, 0);
	}
	return -ETIMEDOUT;
}

static void expect_closed(int fd)
{
	char byte[64];
	ssize_t n = await(fd, byte, sizeof byte, 20000);

	CHECK(n == 0 || (n < 0 && errno == ECONNRESET));
	close(fd);
}

static void put(int fd, const void *bytes, size_t n)
{
	CHECK_EQ(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

static void test_a_peer_is_greeted(void)
{
	uint8_t preface[PREFACE_BYTES];
	char answer[512] = "";
	int fd = dial();

	preface_encode(&(struct preface){ .kind = 'C' }, preface);
	put(fd, preface, 10); // in pieces
	loop_once(h.loop, 5);
	put(fd, preface + 10, sizeof preface - 10);
	CHECK(await(fd, answer, sizeof answer - 1, 20000) > 4);
	CHECK(strstr(answer + 4, "\"hello\""));
	CHECK(strstr(answer + 4, "\"protocol\":1"));
	close(fd);
	for (int i = 0; i < 5; i++)
		loop_once(h.loop, 2);
	CHECK(!h.accepted);
}

static void test_strangers_are_closed(void)
{
	uint8_t preface[PREFACE_BYTES];

	int fd = dial();
	put(fd, "GET / HTTP/1.1\r\nHost: somebody\r\nUser-Agent: a scanner of ports\r\n\r\n", 66);
	expect_closed(fd);

	preface_encode(&(struct preface){ .kind = 'C' }, preface);
	preface[6] = 9; // a later version
	fd = dial();
	put(fd, preface, sizeof preface);
	expect_closed(fd);

	fd = dial();
	put(fd, "FERRY", 5);
	shutdown(fd, SHUT_WR);
	expect_closed(fd);
}

// Right in form, of no migration here or with a token that nobody gave out.
static void test_channels_of_no_migration_are_closed(void)
{
	uint8_t preface[PREFACE_BYTES];

	for (const char *kind = "VR"; *kind; kind++) {
		struct preface p = { .kind = *kind, .migration = { 1 }, .token = { 2 } };
		int fd = dial();
		preface_encode(&p, preface);
		put(fd, preface, sizeof preface);
		expect_closed(fd);
	}
}

static void test_silent_ones_have_a_deadline(void)
{
	int fd = dial();
	char byte;

	put(fd, "FER", 3);
	CHECK_EQ(await(fd, &byte, 1, 30), -ETIMEDOUT);
	listener_set_timeout_ms(h.listener, 20);
	int late = dial();
	put(late, "FER", 3);
	expect_closed(late);
	close(fd);
}

int main(void)
{
	h = (struct host){ .loop = loop_new(), .config = { .host = "a" } };
	h.faults = faults_new(&h);
	h.listener = listener_new(&h, "127.0.0.1:0", NULL);
	CHECK(h.listener);
	snprintf(address, sizeof address, "127.0.0.1:%d", listener_port(h.listener));
	RUN(test_a_peer_is_greeted);
	RUN(test_strangers_are_closed);
	RUN(test_channels_of_no_migration_are_closed);
	RUN(test_silent_ones_have_a_deadline);
	h.listener = listener_free(h.listener);
	peer_close_all(&h);
	h.faults = faults_free(h.faults);
	loop_free(h.loop);
	return 0;
}
