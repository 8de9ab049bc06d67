// SPDX-License-Identifier: Apache-2.0
// Both roles on one loop, joined by TCP; the test plays both QEMUs and both controllers.
#include "relay/relay.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/socket.h"
#include "base/test.h"
#include "wire/link.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIG (3u << 20) // more than all sockets and buffers on the way hold

static struct loop *loop;
static char dir[64];
static int answers, refusals, closes;
static json_t *last;
static char last_code[40];

static const char *path(const char *name)
{
	static char text[4][128];
	static unsigned next;
	char *to = text[next++ % 4];

	snprintf(to, sizeof text[0], "%s/%s", dir, name);
	return to;
}

static void keep(json_t *doc)
{
	json_decref(last);
	last = json_incref(doc);
}

static void on_event(void *arg, struct link *k, const char *event, json_t *message)
{
	CHECK_STR(event, "closed");
	closes++;
	keep(message);
}

static void on_link_closed(void *arg, struct link *k, const struct ferry_error *why)
{
	CHECK(!"the relay ended its control connection");
}

static void on_answer(void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n)
{
	answers++;
	refusals += !ok;
	snprintf(last_code, sizeof last_code, "%s", ok ? "" : e->code);
	keep(ok);
}

static void turn(int ms)
{
	int64_t end = clock_now_ns() + ms * NSEC_PER_MSEC;

	// Some turns in any case: the time may pass while others have the processor.
	for (int i = 0; i < 20 || clock_now_ns() < end; i++)
		loop_once(loop, 1);
}

struct side {
	struct relay *relay;
	struct link *link;
};

static struct side side_start(enum relay_role role, uint64_t bandwidth)
{
	static const struct link_ops ops = { .event = on_event, .closed = on_link_closed };
	struct side s;
	const char *control = path(role == RELAY_SOURCE ? "src.ctl" : "dst.ctl");
	struct relay_options o = { control, path(role == RELAY_SOURCE ? "out" : "in"), role,
		bandwidth };
	static char kept[2][2][128]; // the relay borrows its paths

	snprintf(kept[role][0], 128, "%s", o.control), o.control = kept[role][0];
	snprintf(kept[role][1], 128, "%s", o.stream), o.stream = kept[role][1];
	s.relay = relay_new(loop, &o, NULL);
	CHECK(s.relay);
	s.link = link_new(loop, unix_connect(control, NULL), &ops, NULL);
	CHECK(s.link);
	return s;
}

static void request_with(struct side *s, const char *op, json_t *args, int fd)
{
	int before = answers;
	CHECK_EQ(link_request(s->link, op, args, &fd, fd >= 0, on_answer, NULL), 0);
	for (int i = 0; i < 200 && answers == before; i++)
		turn(1);
	CHECK_EQ(answers, before + 1);
}

static void request(struct side *s, const char *op, int fd)
{
	request_with(s, op, NULL, fd);
}

static json_t *rate_of(json_int_t bytes_per_s)
{
	return json_pack("{s:I}", "bandwidth_bytes_per_s", bytes_per_s);
}

static void side_stop(struct side *s)
{
	link_free(s->link);
	relay_free(s->relay);
}

static void tcp_pair(int *a, int *b)
{
	char address[32];
	_cleanup_fd_ int server = tcp_listen("127.0.0.1:0", NULL);

	snprintf(address, sizeof address, "127.0.0.1:%d", tcp_local_port(server));
	*a = tcp_connect(address, 1000, NULL);
	*b = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	CHECK(*a >= 0 && *b >= 0);
}

// Two relays joined, each with its QEMU's end of the first connection.
struct joined {
	struct side source, dest;
	int listener; // the destination's QEMU
	int from, to; // the source's QEMU, the destination's QEMU
};

static void join_one(struct joined *j)
{
	int a, b;

	tcp_pair(&a, &b);
	request(&j->source, "attach", a);
	request(&j->dest, "attach", b);
	close(a), close(b);
	CHECK_EQ(refusals, 0);
	j->from = unix_connect(path("out"), NULL);
	j->to = accept4(j->listener, NULL, NULL, SOCK_CLOEXEC);
	CHECK(j->from >= 0 && j->to >= 0);
	fd_set_nonblocking(j->from, 1), fd_set_nonblocking(j->to, 1);
}

static struct joined join(uint64_t bandwidth)
{
	struct joined j;

	answers = refusals = closes = 0;
	j.listener = unix_listen(path("in"), NULL);
	j.source = side_start(RELAY_SOURCE, bandwidth);
	j.dest = side_start(RELAY_DESTINATION, 0);
	join_one(&j);
	return j;
}

static void part(struct joined *j)
{
	side_stop(&j->source);
	side_stop(&j->dest);
	close(j->listener), close(j->from), close(j->to);
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

// Pushes BIG patterned bytes from one end to the other while the loop turns; checks each.
static void carry(int from, int to)
{
	static uint8_t bytes[65536];
	size_t sent = 0, got = 0;
	int64_t end = clock_now_ns() + 20 * NSEC_PER_SEC;

	while (got < BIG && clock_now_ns() < end) {
		size_t n = BIG - sent < sizeof bytes ? BIG - sent : sizeof bytes;
		for (size_t i = 0; i < n; i++)
			bytes[i] = pattern(sent + i);
		ssize_t w = n ? send(from, bytes, n, MSG_NOSIGNAL) : 0;
		sent += w > 0 ? (size_t)w : 0;
		loop_once(loop, 1);
		ssize_t r = recv(to, bytes, sizeof bytes, 0);
		for (ssize_t i = 0; i < r; i++)
			CHECK_EQ(bytes[i], pattern(got + (size_t)i));
		got += r > 0 ? (size_t)r : 0;
	}
	CHECK_EQ(got, BIG);
}

static void a_source_is_held_until_released(void)
{
	struct joined j = join(0);
	char byte;

	CHECK_EQ(send(j.from, "abc", 3, 0), 3);
	turn(50);
	CHECK(recv(j.to, &byte, 1, 0) < 0 && errno == EAGAIN);
	request(&j.source, "status", -1);
	CHECK(json_is_true(json_object_get(last, "held")));
	CHECK_EQ(json_int_or(last, "bytes_out", -1), 0);
	CHECK_EQ(json_int_or(last, "connections", -1), 1);
	// The way back is open all the time.
	CHECK_EQ(send(j.to, "x", 1, 0), 1);
	turn(20);
	CHECK_EQ(recv(j.from, &byte, 1, 0), 1);
	request(&j.source, "release", -1);
	turn(20);
	CHECK_EQ(recv(j.to, &byte, 1, 0), 1);
	request(&j.source, "hold", -1);
	CHECK_EQ(send(j.from, "def", 3, 0), 3);
	turn(50);
	char rest[8];
	CHECK_EQ(recv(j.to, rest, sizeof rest, 0), 2);
	request(&j.dest, "hold", -1);
	CHECK_STR(last_code, "wrong-role");
	request(&j.dest, "nonsense", -1);
	CHECK_STR(last_code, "unknown-op");
	request(&j.dest, "attach", -1);
	CHECK_STR(last_code, "bad-message");
	part(&j);
}

static void bytes_are_the_same_both_ways(void)
{
	struct joined j = join(0);

	request(&j.source, "release", -1);
	carry(j.from, j.to);
	carry(j.to, j.from);
	request(&j.dest, "status", -1);
	CHECK_EQ(json_int_or(last, "bytes_in", -1), BIG);
	CHECK_EQ(json_int_or(last, "bytes_out", -1), BIG);
	part(&j);
}

static void connections_pair_up_in_order(void)
{
	struct joined j = join(0), second;
	char byte;

	request(&j.source, "release", -1);
	second = j;
	join_one(&second);
	CHECK_EQ(send(second.from, "2", 1, 0), 1);
	CHECK_EQ(send(j.from, "1", 1, 0), 1);
	turn(20);
	CHECK(recv(j.to, &byte, 1, 0) == 1 && byte == '1');
	CHECK(recv(second.to, &byte, 1, 0) == 1 && byte == '2');
	close(second.from), close(second.to);
	turn(20);
	CHECK_EQ(closes, 0);
	part(&j);
}

static void an_end_in_good_order_reaches_the_other_side_and_both_end(void)
{
	struct joined j = join(0);
	char byte;

	request(&j.source, "release", -1);
	CHECK_EQ(send(j.from, "last", 4, 0), 4);
	shutdown(j.from, SHUT_WR);
	turn(30);
	char text[8];
	CHECK_EQ(recv(j.to, text, sizeof text, 0), 4);
	CHECK_EQ(recv(j.to, &byte, 1, 0), 0);
	CHECK_EQ(send(j.to, "ok", 2, 0), 2); // half-closed: the way back still works
	turn(30);
	CHECK_EQ(recv(j.from, text, sizeof text, 0), 2);
	CHECK_EQ(closes, 0);
	shutdown(j.to, SHUT_WR);
	turn(30);
	CHECK_EQ(closes, 2);
	CHECK(!json_object_get(last, "error"));
	CHECK(!relay_done(j.source.relay));
	turn(350);
	CHECK(relay_done(j.source.relay) && relay_done(j.dest.relay));
	part(&j);
}

static void a_peer_that_vanishes_is_an_error(void)
{
	struct linger now = { 1, 0 };
	int a, b;
	struct joined j = { .listener = unix_listen(path("in"), NULL) };

	closes = 0;
	j.source = side_start(RELAY_SOURCE, 0);
	tcp_pair(&a, &b);
	request(&j.source, "attach", a);
	close(a);
	j.from = unix_connect(path("out"), NULL);
	turn(10);
	setsockopt(b, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(b); // a reset
	turn(30);
	CHECK_EQ(closes, 1);
	CHECK_STR(json_string_or(json_object_get(last, "error"), "code", ""), "relay-broken");
	char byte;
	CHECK_EQ(recv(j.from, &byte, 1, 0), 0);
	side_stop(&j.source);
	close(j.listener), close(j.from);
}

static void qemu_may_give_up_while_it_is_held(void)
{
	struct joined j = join(0);

	CHECK_EQ(send(j.from, "abc", 3, 0), 3);
	close(j.from);
	j.from = -1;
	turn(30);
	CHECK_EQ(closes, 1);
	char byte;
	CHECK_EQ(recv(j.to, &byte, 1, 0), 0);
	close(j.to);
	j.to = -1;
	turn(30);
	CHECK_EQ(closes, 2);
	part(&j);
}

static void the_rate_is_kept(void)
{
	struct joined j = join(20u << 20);
	int64_t began = clock_now_ns();

	request(&j.source, "release", -1);
	carry(j.from, j.to);
	int64_t ms = (clock_now_ns() - began) / NSEC_PER_MSEC;
	CHECK(ms >= 140); // 3 MiB at 20 MiB/s is 150 ms, less one burst
	part(&j);
}

static void the_rate_can_be_changed(void)
{
	struct joined j = join(1000); // it would take an hour

	request(&j.source, "release", -1);
	int64_t began = clock_now_ns();
	request_with(&j.source, "rate", rate_of(20 << 20), -1);
	CHECK_STR(last_code, "");
	carry(j.from, j.to);
	int64_t ms = (clock_now_ns() - began) / NSEC_PER_MSEC;
	CHECK(ms >= 140);
	request_with(&j.source, "rate", rate_of(0), -1);
	CHECK_STR(last_code, "no-rate");
	request(&j.source, "rate", -1);
	CHECK_STR(last_code, "bad-message");
	request_with(&j.dest, "rate", rate_of(1), -1);
	CHECK_STR(last_code, "wrong-role");
	part(&j);
}

static void a_destination_without_qemu_refuses(void)
{
	struct side s = side_start(RELAY_DESTINATION, 0);
	int a, b;

	unlink(path("in"));
	tcp_pair(&a, &b);
	request(&s, "attach", a);
	CHECK_STR(last_code, "socket");
	close(a), close(b);
	request(&s, "quit", -1);
	CHECK(relay_done(s.relay));
	side_stop(&s);
}

int main(void)
{
	loop = loop_new();
	snprintf(dir, sizeof dir, "/tmp/ferry-relay-%d", (int)getpid());
	CHECK_EQ(dir_make(dir, NULL), 0);
	RUN(a_source_is_held_until_released);
	RUN(bytes_are_the_same_both_ways);
	RUN(connections_pair_up_in_order);
	RUN(an_end_in_good_order_reaches_the_other_side_and_both_end);
	RUN(a_peer_that_vanishes_is_an_error);
	RUN(qemu_may_give_up_while_it_is_held);
	RUN(the_rate_is_kept);
	RUN(the_rate_can_be_changed);
	RUN(a_destination_without_qemu_refuses);
	json_decref(last);
	loop_free(loop);
	CHECK_EQ(path_remove(dir, NULL), 0);
}
