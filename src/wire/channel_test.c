// SPDX-License-Identifier: Apache-2.0
#include "wire/channel.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/test.h"

#define BYTES (1u << 20)

static void socket_pair(struct channel *ret[2])
{
	int fds[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	CHECK_EQ(channel_socket_new(fds[0], &ret[0], NULL), 0);
	CHECK_EQ(channel_socket_new(fds[1], &ret[1], NULL), 0);
}

static void pipe_pair(struct channel *ret[2])
{
	int fds[2];

	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(channel_pipe_new(-1, fds[1], &ret[0], NULL), 0);
	CHECK_EQ(channel_pipe_new(fds[0], -1, &ret[1], NULL), 0);
}

static uint8_t outgoing[BYTES], incoming[BYTES];

static void *send_vectors(void *arg)
{
	struct iovec iov[7];
	size_t at = 0;

	for (size_t i = 0; i < 7; i++) {
		size_t n = i == 6 ? BYTES - at : i * 30001; // the first is empty

		iov[i] = (struct iovec){ outgoing + at, n };
		at += n;
	}
	return (void *)(intptr_t)channel_send(arg, iov, 7);
}

static void transfer(struct channel *pair[2])
{
	pthread_t t;
	void *rc;

	for (size_t i = 0; i < BYTES; i++)
		outgoing[i] = (uint8_t)(i * 31 >> 3);
	memset(incoming, 0, BYTES);
	CHECK_EQ(pthread_create(&t, NULL, send_vectors, pair[0]), 0);
	CHECK_EQ(channel_recv_all(pair[1], incoming, BYTES), 0);
	pthread_join(t, &rc);
	CHECK_EQ((intptr_t)rc, 0);
	CHECK(!memcmp(outgoing, incoming, BYTES));
	pair[0] = channel_close(pair[0]);
	CHECK_EQ(channel_recv_all(pair[1], incoming, 1), -ECONNRESET);
	channel_close(pair[1]);
}

static void bytes_arrive(void)
{
	struct channel *pair[2];

	socket_pair(pair);
	transfer(pair);
	pipe_pair(pair);
	transfer(pair);
	socket_pair(pair);
	CHECK_EQ(channel_trace_new(pair[0], "out", &pair[0], NULL), 0);
	CHECK_EQ(channel_trace_new(pair[1], "in", &pair[1], NULL), 0);
	transfer(pair);
}

static void *recv_one(void *arg)
{
	return (void *)(intptr_t)channel_recv_all(arg, incoming, 1);
}

static void *send_without_end(void *arg)
{
	struct iovec iov = { outgoing, BYTES };
	int rc = 0;

	while (!rc)
		rc = channel_send(arg, &iov, 1);
	return (void *)(intptr_t)rc;
}

static void wake_ends(void *(*fn)(void *), struct channel *c)
{
	pthread_t t;
	void *rc;

	CHECK_EQ(pthread_create(&t, NULL, fn, c), 0);
	usleep(5000);
	channel_wake(c);
	pthread_join(t, &rc);
	CHECK_EQ((intptr_t)rc, -ECANCELED);
}

static void waking_ends_blocked_calls(void)
{
	struct channel *pair[2];
	struct rate *r = rate_new(10);

	for (int kind = 0; kind < 5;
		kind++) { // 0, 1: sockets; 2, 3: pipes; 4: waiting for its turn
		(kind / 2 == 1 ? pipe_pair : socket_pair)(pair);
		if (kind == 4)
			CHECK_EQ(channel_rate_new(pair[0], r, &pair[0], NULL), 0);
		if (kind % 2)
			wake_ends(recv_one, pair[1]);
		else
			wake_ends(send_without_end, pair[0]);
		channel_close(pair[0]);
		channel_close(pair[1]);
	}
	rate_free(r);
}

static void rate_is_shared_and_kept(void)
{
	struct channel *pair[2], *other[2];
	struct rate *r = rate_new(1000000);
	struct iovec iov = { outgoing, 5000 };
	int64_t start;
	double s;

	socket_pair(pair);
	socket_pair(other);
	CHECK_EQ(channel_rate_new(pair[0], r, &pair[0], NULL), 0);
	CHECK_EQ(channel_rate_new(other[0], r, &other[0], NULL), 0);
	start = clock_now_ns();
	for (int i = 0; i < 10; i++) { // 100,000 bytes: 0.1 s less burst and the last send
		CHECK_EQ(channel_send(pair[0], &iov, 1), 0);
		CHECK_EQ(channel_send(other[0], &iov, 1), 0);
	}
	s = (double)(clock_now_ns() - start) / 1e9;
	CHECK(s > 0.080 && s < 10);
	for (int i = 0; i < 2; i++) {
		channel_close(pair[i]);
		channel_close(other[i]);
	}
	rate_free(r);
}

static void *raise_soon(void *arg)
{
	usleep(50000);
	rate_set(arg, 1000000000);
	return NULL;
}

// 5,000 bytes at 100 a second: without the change the second send would wait for 50 s.
static void a_new_rate_is_felt_by_those_that_wait(void)
{
	struct channel *pair[2];
	struct rate *r = rate_new(100);
	struct iovec iov = { outgoing, 5000 };
	pthread_t t;

	socket_pair(pair);
	CHECK_EQ(channel_rate_new(pair[0], r, &pair[0], NULL), 0);
	CHECK_EQ(channel_send(pair[0], &iov, 1), 0);
	int64_t start = clock_now_ns();
	CHECK_EQ(pthread_create(&t, NULL, raise_soon, r), 0);
	CHECK_EQ(channel_send(pair[0], &iov, 1), 0);
	double s = (double)(clock_now_ns() - start) / 1e9;
	CHECK(s > 0.040 && s < 25);
	pthread_join(t, NULL);
	// And a lower one holds for what comes next.
	rate_set(r, 50000);
	start = clock_now_ns();
	for (int i = 0; i < 2; i++)
		CHECK_EQ(channel_send(pair[0], &iov, 1), 0);
	s = (double)(clock_now_ns() - start) / 1e9;
	CHECK(s > 0.080 && s < 20);
	channel_close(pair[0]);
	channel_close(pair[1]);
	rate_free(r);
}

static void faults_hit_their_byte(void)
{
	struct channel *pair[2];
	struct channel_fault f = { CHANNEL_FAULT_CORRUPT, 5 };
	struct iovec iov[2] = { { "0123", 4 }, { "4567", 4 } };

	socket_pair(pair);
	CHECK_EQ(channel_fault_new(pair[0], f, &pair[0], NULL), 0);
	CHECK_EQ(channel_send(pair[0], iov, 2), 0);
	CHECK_EQ(channel_recv_all(pair[1], incoming, 8), 0);
	CHECK(!memcmp(incoming, "01234", 5) && incoming[5] == (uint8_t) ~'5');
	CHECK(!memcmp(incoming + 6, "67", 2));
	channel_close(pair[0]);
	channel_close(pair[1]);

	f.kind = CHANNEL_FAULT_CUT;
	socket_pair(pair);
	CHECK_EQ(channel_fault_new(pair[0], f, &pair[0], NULL), 0);
	CHECK(channel_send(pair[0], iov, 2) < 0);
	CHECK_EQ(channel_recv_all(pair[1], incoming, 5), 0);
	CHECK_EQ(channel_recv_all(pair[1], incoming, 1), -ECONNRESET);
	channel_close(pair[0]);
	channel_close(pair[1]);
}

static void only_stream_sockets(void)
{
	struct channel *c = NULL;
	int fds[2];

	CHECK_EQ(pipe(fds), 0);
	CHECK(channel_socket_new(fds[0], &c, NULL) < 0);
	CHECK(close(fds[0]) < 0); // it was taken
	close(fds[1]);
	CHECK(channel_socket_new(-1, &c, NULL) < 0);
}

int main(void)
{
	RUN(bytes_arrive);
	RUN(waking_ends_blocked_calls);
	RUN(rate_is_shared_and_kept);
	RUN(a_new_rate_is_felt_by_those_that_wait);
	RUN(faults_hit_their_byte);
	RUN(only_stream_sockets);
	return 0;
}
