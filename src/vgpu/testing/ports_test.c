// SPDX-License-Identifier: Apache-2.0
// Guest processes that end without a word: "ports.closed" against the real ferry-vgpu. The test says
// what QEMU would say; in which order that and the port's bytes are seen is left to chance.
#include "vgpu/testing/testhost.h"

#include "base/json.h"
#include "base/test.h"

#include <CL/cl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *program;

static json_int_t closed(struct testhost *h, json_int_t session)
{
	json_t *ok = testhost_call(h, "ports.closed",
		json_pack("{s:i, s:I}", "index", 0, "session", session), NULL, 0);
	json_int_t now = json_int_or(ok, "session", -1);

	json_decref(ok);
	return now;
}

static json_int_t status(struct testhost *h, const char *key)
{
	json_t *ok = testhost_call(h, "status", NULL, NULL, 0);
	json_int_t value = json_int_or(ok, key, -1);

	json_decref(ok);
	return value;
}

// A process that holds `bytes` of memory. What is asked for is sent, and not waited for.
static uint32_t begin(struct testclient *c, uint64_t bytes)
{
	SEND(c, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION, .nonce = 7);
	SEND(c, context_create, 0, .id = 1);
	SEND(c, queue_create, 0, .id = 2, .context = 1);
	uint32_t seq = SEND(c, buffer_create, P_ANSWER, .id = 4, .context = 1, .size = bytes);
	testclient_send(c);
	return seq;
}

static void a_closed_port_gives_its_memory_back(void)
{
	struct testhost h;

	testhost_start(&h, program, false, "auto");
	struct testclient c = { .fd = h.port };
	CHECK_EQ(closed(&h, 0), 0);
	CHECK_EQ(testclient_answer(&c, begin(&c, 48 << 20)), CL_SUCCESS);
	json_int_t session = closed(&h, 0);
	CHECK(session > 0);
	CHECK_EQ(status(&h, "allocated_bytes"), 48 << 20);
	CHECK_EQ(closed(&h, session + 1), session);
	CHECK_EQ(status(&h, "sessions"), 1);
	CHECK_EQ(closed(&h, session), 0);
	CHECK_EQ(status(&h, "sessions"), 0);
	CHECK_EQ(status(&h, "allocated_bytes"), 0);
	// The next process has it all.
	CHECK_EQ(testclient_answer(&c, begin(&c, 60 << 20)), CL_SUCCESS);
	testhost_stop(&h);
	testclient_close(&c);
}

static void bytes_in_flight_are_read_first(void)
{
	struct testhost h;

	testhost_start(&h, program, false, "auto");
	struct testclient c = { .fd = h.port };
	for (int i = 0; i < 50; i++) {
		begin(&c, 48 << 20);
		buf_put(&c.out, "\0\175\0\0half a frame", 16); // the next hello is no part of it
		testclient_send(&c);
		json_int_t session = closed(&h, 0);
		CHECK(session > 0);
		CHECK_EQ(closed(&h, session), 0);
		CHECK_EQ(status(&h, "allocated_bytes"), 0);
	}
	testhost_stop(&h);
	testclient_close(&c);
}

static void one_that_opens_the_port_at_once_keeps_its_session(void)
{
	struct testhost h;

	testhost_start(&h, program, false, "auto");
	struct testclient c = { .fd = h.port };
	CHECK_EQ(testclient_answer(&c, begin(&c, 1 << 20)), CL_SUCCESS);
	for (int i = 0; i < 200; i++) {
		json_int_t session = closed(&h, 0);
		CHECK(session > 0);
		uint32_t seq = begin(&c, 2 << 20);
		if (i % 2)
			CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
		json_int_t now = closed(&h, session); // late, and of the one before
		if (!(i % 2))
			CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
		CHECK(now != session);
		CHECK_EQ(status(&h, "sessions"), 1);
		seq = SEND(&c, finish, 0, .queue = 2);
		testclient_send(&c);
		CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
	}
	testhost_stop(&h);
	testclient_close(&c);
}

// As a guest's library does: all before the answer to its own hello is another's.
static void find_hello(struct testclient *c)
{
	_cleanup_buf_ struct buf key = { 0 };
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	uint8_t *at;

	buf_put_u64(&key, PROTO_HELLO_MAGIC);
	buf_put_u64(&key, 7);
	while (!(at = memmem(c->in.data, c->in.len, key.data, key.len))) {
		CHECK(poll(&p, 1, 30000) == 1);
		ssize_t n = recv(c->fd, buf_reserve(&c->in, 65536), 65536, 0);
		CHECK(n > 0);
		c->in.len += (size_t)n;
	}
	buf_consume(&c->in, (size_t)(at - c->in.data) - PROTO_HEADER);
}

static void one_that_never_read_its_answers_leaves_nothing(void)
{
	enum { BIG = 6 << 20 };
	struct testhost h;

	testhost_start(&h, program, false, "auto");
	struct testclient c = { .fd = h.port };
	CHECK_EQ(testclient_answer(&c, begin(&c, BIG)), CL_SUCCESS);
	for (int i = 0; i < 4; i++)
		SEND(&c, read, 0, .queue = 2, .buffer = 4, .size = BIG);
	testclient_send(&c);
	usleep(20000);
	CHECK_EQ(closed(&h, closed(&h, 0)), 0);
	for (int i = 0; i < 3000 && status(&h, "allocated_bytes"); i++)
		usleep(1000);
	CHECK_EQ(status(&h, "allocated_bytes"), 0);
	uint32_t seq = begin(&c, 60 << 20);
	find_hello(&c);
	CHECK_EQ(testclient_answer(&c, seq), CL_SUCCESS);
	testhost_stop(&h);
	testclient_close(&c);
}

static void nothing_ends_while_the_gate_is_closed(void)
{
	struct testhost h;
	json_t *args = json_pack("{s:i, s:i}", "index", 0, "session", 1);

	testhost_start(&h, program, false, "auto");
	struct testclient c = { .fd = h.port };
	CHECK_EQ(testclient_answer(&c, begin(&c, 1 << 20)), CL_SUCCESS);
	json_int_t session = closed(&h, 0);
	testhost_do(&h, "gate.close", NULL);
	testhost_refused(&h, "ports.closed", args, "bad-state");
	CHECK_EQ(status(&h, "sessions"), 1);
	testhost_do(&h, "gate.open", NULL);
	testhost_refused(&h, "ports.closed", json_pack("{s:i}", "index", 1), "bad-args");
	testhost_refused(
		&h, "ports.closed", json_pack("{s:i, s:i}", "index", 0, "session", -1), "bad-args");
	CHECK_EQ(closed(&h, session), 0);
	testhost_stop(&h);
	testclient_close(&c);
}

static void end_and_begin(void *arg)
{
	struct testhost *h = arg;
	struct testclient c = { .fd = h->port };

	CHECK_EQ(closed(h, closed(h, 0)), 0);
	CHECK_EQ(testclient_answer(&c, begin(&c, 3 << 20)), CL_SUCCESS);
	buf_free(&c.out);
	buf_free(&c.in);
	buf_free(&c.body);
}

static void sessions_end_between_rounds(void)
{
	struct testhost h, to;

	testhost_start(&h, program, false, "auto");
	testhost_start(&to, program, true, "auto");
	struct testclient c = { .fd = h.port };
	CHECK_EQ(testclient_answer(&c, begin(&c, 48 << 20)), CL_SUCCESS);
	testhost_refused(&to, "ports.closed", json_pack("{s:i}", "index", 0), "bad-state");
	testhost_precopy(&h, &to, 3, end_and_begin, &h);
	json_int_t session = closed(&h, 0);
	testhost_switch(&h, &to);
	testhost_refused(&h, "ports.closed", json_pack("{s:i}", "index", 0), "bad-state");
	CHECK_EQ(status(&to, "allocated_bytes"), 3 << 20);
	CHECK_EQ(closed(&to, 0), session); // it moved, and its number with it
	CHECK_EQ(closed(&to, session), 0);
	CHECK_EQ(status(&to, "allocated_bytes"), 0);
	testhost_stop(&h);
	testhost_stop(&to);
	close(to.port);
	testclient_close(&c);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	program = argv[1];
	RUN(a_closed_port_gives_its_memory_back);
	RUN(bytes_in_flight_are_read_first);
	RUN(one_that_opens_the_port_at_once_keeps_its_session);
	RUN(one_that_never_read_its_answers_leaves_nothing);
	RUN(nothing_ends_while_the_gate_is_closed);
	RUN(sessions_end_between_rounds);
}
