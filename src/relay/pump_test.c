// SPDX-License-Identifier: Apache-2.0
// A pump between a fast sender and a slow receiver, so that its buffer wraps and fills.
#include "relay/pump.h"
#include "base/clock.h"
#include "base/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOTAL (4u << 20)

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 11);
}

static int in[2], out[2];
static struct pump pump;

static void start(void)
{
	int small = 4096;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, in) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, out) == 0);
	setsockopt(out[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	CHECK_EQ(pump_init(&pump, in[1], out[0], NULL), 0);
}

static void stop(void)
{
	pump_free(&pump);
	for (int i = 0; i < 2; i++)
		close(in[i]), close(out[i]);
}

static size_t feed(size_t from)
{
	uint8_t bytes[50000];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = pattern(from + i);
	size_t n = TOTAL - from < sizeof bytes ? TOTAL - from : sizeof bytes;
	ssize_t w = n ? send(in[0], bytes, n, 0) : 0;
	return w > 0 ? (size_t)w : 0;
}

static size_t taste(size_t from)
{
	uint8_t bytes[3001];
	ssize_t n = recv(out[1], bytes, sizeof bytes, 0);

	for (ssize_t i = 0; i < n; i++)
		CHECK_EQ(bytes[i], pattern(from + (size_t)i));
	return n > 0 ? (size_t)n : 0;
}

static void a_full_and_wrapping_buffer_keeps_the_order(void)
{
	size_t fed = 0, tasted = 0, fullest = 0;

	start();
	while (tasted < TOTAL) {
		fed += feed(fed);
		CHECK_EQ(pump_read(&pump, 0), 0);
		fullest = pump.len > fullest ? pump.len : fullest;
		CHECK_EQ(pump_write(&pump), 0);
		tasted += taste(tasted);
		CHECK(pump.len <= PUMP_BYTES);
		CHECK(pump_wants_read(&pump, 0) == (pump.len < PUMP_BYTES));
	}
	CHECK_EQ(pump.bytes, TOTAL);
	CHECK_EQ(fullest, PUMP_BYTES);
	stop();
}

static void an_end_is_told_after_the_last_byte(void)
{
	char byte;

	start();
	CHECK_EQ(send(in[0], "x", 1, 0), 1);
	shutdown(in[0], SHUT_WR);
	CHECK(pump_read(&pump, 0) == 0 && pump_read(&pump, 0) == 0);
	CHECK(pump.eof && !pump.finished && pump_wants_write(&pump));
	CHECK(!pump_wants_read(&pump, 0));
	CHECK_EQ(pump_write(&pump), 0);
	CHECK(pump.finished && !pump_wants_write(&pump));
	CHECK_EQ(recv(out[1], &byte, 1, 0), 1);
	CHECK_EQ(recv(out[1], &byte, 1, 0), 0);
	stop();
}

static void a_broken_receiver_is_an_error(void)
{
	start();
	CHECK_EQ(send(in[0], "x", 1, 0), 1);
	close(out[1]);
	CHECK_EQ(pump_read(&pump, 0), 0);
	CHECK_EQ(pump_write(&pump), -EPIPE);
	out[1] = -1;
	stop();
}

static void a_rate_says_when_it_reads_again(void)
{
	struct pump_rate rate = { .bytes_per_s = 1000000 };
	int64_t now = 1000000000;

	start();
	pump.rate = &rate;
	feed(0);
	CHECK(pump_wants_read(&pump, now));
	CHECK_EQ(pump_read(&pump, now), 0);
	CHECK_EQ(pump.len, 5001); // one burst of 5 ms, and one byte so that it is never nothing
	while (pump_wants_read(&pump, now))
		CHECK_EQ(pump_read(&pump, now), 0);
	CHECK(pump_rate_until(&pump, now) > now);
	CHECK(pump_wants_read(&pump, pump_rate_until(&pump, now)));
	stop();
}

// Reads as long as the rate allows it, what it reads is gone at once; the bytes. `fed`: its sender
// always has more.
static uint64_t read_all(int64_t now, bool fed)
{
	static const uint8_t zeros[50000];
	uint64_t before = 1, bytes = 0;

	while (pump_wants_read(&pump, now) && bytes != before) {
		while (fed && send(in[0], zeros, sizeof zeros, 0) > 0)
			;
		before = bytes;
		CHECK_EQ(pump_read(&pump, now), 0);
		bytes += pump.len;
		pump.len = 0;
	}
	return bytes;
}

// Woken 8 ms late each time, as on a busy machine: 20 MB/s all the same. A time in which there was
// nothing to send is not made up for, but for the 5 ms.
static void a_late_reader_keeps_to_its_rate(void)
{
	struct pump_rate rate = { .bytes_per_s = 20000000 };
	const int64_t begin = NSEC_PER_SEC, late = 8 * NSEC_PER_MSEC;
	int64_t now = begin, until;
	uint64_t bytes = 0;

	start();
	pump.rate = &rate;
	for (; now < 2 * begin; now = until + late) {
		bytes += read_all(now, true);
		until = pump_rate_until(&pump, now);
	}
	CHECK(bytes > 19500000 && bytes < 20500000);
	read_all(now, false);
	now += NSEC_PER_SEC;
	CHECK(read_all(now, false) == 0);
	CHECK(read_all(now, true) <= 300000);
	stop();
}

int main(void)
{
	RUN(a_full_and_wrapping_buffer_keeps_the_order);
	RUN(an_end_is_told_after_the_last_byte);
	RUN(a_broken_receiver_is_an_error);
	RUN(a_rate_says_when_it_reads_again);
	RUN(a_late_reader_keeps_to_its_rate);
}
