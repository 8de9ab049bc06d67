// SPDX-License-Identifier: Apache-2.0
// What the driver has of a queue: small transfers, markers and barriers go to it between the commands
// around them and stop nobody. On a device whose commands end when the test says so.
#include "vgpu/session/port.h"
#include "vgpu/session/queue.h"
#include "vgpu/session/session.h"
#include "vgpu/session/transfer.h"
#include "vgpu/testing/fake_backend.h"
#include "vgpu/testing/testclient.h"
#include "vgpu/testing/testvgpu.h"

#include "base/test.h"

#include <string.h>
#include <unistd.h>

enum { CONTEXT = 1, QUEUE, BUFFER, EVENT };

#define BUFFER_BYTES (4 * TRANSFER_GIVE_BYTES)

struct run {
	struct testvgpu t;
	struct loop *loop;
	struct testclient c; // what it is sent stays in the socket until it looks
};

static void feed(struct run *r)
{
	testvgpu_feed(&r->t, r->c.out.data, r->c.out.len);
	buf_reset(&r->c.out);
}

static void begin(struct run *r, uint64_t properties)
{
	*r = (struct run){ .loop = loop_new() };
	testvgpu_start(&r->t, r->loop, &backend_fake);
	r->t.deaf = true;
	r->c.fd = r->t.guest;
	SEND(&r->c, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION, .nonce = 1);
	SEND(&r->c, context_create, 0, .id = CONTEXT);
	SEND(&r->c, queue_create, 0, .id = QUEUE, .context = CONTEXT, .properties = properties);
	SEND(&r->c, buffer_create, 0, .id = BUFFER, .context = CONTEXT, .size = BUFFER_BYTES);
	feed(r);
	CHECK_EQ(testclient_next(&r->c).op, p_op_hello_host);
	fake_hold(r->t.v->be);
}

static void release(struct run *r)
{
	fake_release(r->t.v->be);
	testvgpu_settle(&r->t);
}

static void end(struct run *r)
{
	release(r);
	testvgpu_stop(&r->t);
	buf_free(&r->c.out);
	buf_free(&r->c.in);
	buf_free(&r->c.body);
	loop_free(r->loop);
}

static void fill(struct run *r, uint8_t with)
{
	SEND(&r->c, fill, 0, .queue = QUEUE, .buffer = BUFFER, .size = BUFFER_BYTES,
		.pattern = BYTES(&with, 1));
}

static uint32_t read_of(struct run *r, uint64_t bytes)
{
	return SEND(&r->c, read, 0, .queue = QUEUE, .buffer = BUFFER, .size = bytes);
}

static void expect_bytes(struct run *r, uint32_t seq, const char *bytes)
{
	CHECK_EQ(testclient_answer(&r->c, seq), CL_SUCCESS);
	CHECK_EQ(r->c.body.len, strlen(bytes));
	CHECK(!memcmp(r->c.body.data, bytes, strlen(bytes)));
}

// ---- tests

static void small_transfers_and_markers_stop_nobody(void)
{
	struct run r;

	begin(&r, 0);
	fill(&r, 'a');
	uint32_t first = read_of(&r, 4);
	SEND(&r.c, write, 0, .queue = QUEUE, .buffer = BUFFER, .offset = 1, .size = 2,
		.bytes = BYTES("bc", 2));
	SEND(&r.c, marker, 0, .queue = QUEUE, .event = EVENT);
	SEND(&r.c, barrier, 0, .queue = QUEUE);
	uint32_t second = SEND(
		&r.c, read, 0, .queue = QUEUE, .buffer = BUFFER, .size = 4, .waits = WAITS(EVENT));
	fill(&r, 'd');
	uint32_t finish = SEND(&r.c, finish, 0, .queue = QUEUE);
	feed(&r);
	CHECK_EQ(r.t.v->in_flight, 7);
	CHECK_EQ(r.t.v->n_commands, 8);

	release(&r);
	expect_bytes(&r, first, "aaaa");
	CHECK_EQ(testclient_event(&r.c, EVENT), CL_COMPLETE);
	expect_bytes(&r, second, "abca");
	CHECK_EQ(testclient_answer(&r.c, finish), CL_SUCCESS);
	CHECK_EQ(r.t.v->n_commands, 0);
	end(&r);
}

static void a_large_transfer_waits_for_its_turn(void)
{
	struct run r;

	begin(&r, 0);
	fill(&r, 'a');
	read_of(&r, TRANSFER_GIVE_BYTES);
	read_of(&r, TRANSFER_GIVE_BYTES + 1);
	fill(&r, 'b');
	feed(&r);
	CHECK_EQ(r.t.v->in_flight, 2);
	end(&r);
}

static void nothing_before_it_nothing_for_the_driver(void)
{
	struct run r;

	begin(&r, 0);
	uint32_t seq = read_of(&r, 4);
	feed(&r);
	CHECK_EQ(testclient_answer(&r.c, seq), CL_SUCCESS);
	CHECK_EQ(r.t.v->in_flight, 0);
	end(&r);
}

// Where the guest reads none of its answers, what it reads waits in its queue and not in our memory.
static void answers_are_not_made_ahead_of_a_guest_that_does_not_look(void)
{
	const unsigned reads = 8 * VGPU_ANSWER_AHEAD / TRANSFER_GIVE_BYTES;
	struct run r;

	begin(&r, 0);
	for (unsigned i = 0; i < reads; i++) {
		fill(&r, 'a');
		read_of(&r, TRANSFER_GIVE_BYTES);
		feed(&r);
	}
	release(&r);
	CHECK(r.t.v->n_commands > 0);
	CHECK(port_backlog(r.t.v->ports[0]) <
		VGPU_ANSWER_AHEAD + QUEUE_DEPTH * (TRANSFER_GIVE_BYTES + 64));
	end(&r);
}

static void note(void *arg)
{
	*(bool *)arg = true;
}

static void a_given_read_is_answered_before_the_gate_is_drained(void)
{
	struct run r;
	bool drained = false;

	begin(&r, 0);
	fill(&r, 'a');
	uint32_t seq = read_of(&r, 4);
	feed(&r);
	CHECK_EQ(gate_close(r.t.v, note, &drained), 0);
	testvgpu_settle(&r.t);
	CHECK(!drained);
	release(&r);
	CHECK(drained);
	expect_bytes(&r, seq, "aaaa");
	end(&r);
}

// The bytes that wait in the driver are paid for as those that wait here.
static void a_given_writes_credit_comes_back_when_it_is_over(void)
{
	uint8_t bytes[TRANSFER_GIVE_BYTES] = { 0 };
	struct run r;

	begin(&r, 0);
	fill(&r, 'a');
	feed(&r);
	const struct session *s = r.t.v->ports[0]->session;
	int64_t before = s->credit;
	SEND(&r.c, write, 0, .queue = QUEUE, .buffer = BUFFER, .size = sizeof bytes,
		.bytes = BYTES(bytes, sizeof bytes));
	fill(&r, 'b');
	feed(&r);
	CHECK_EQ(r.t.v->in_flight, 3);
	CHECK(s->credit < before - (int64_t)sizeof bytes);
	release(&r);
	CHECK(s->credit + (int64_t)s->credit_due > before - (int64_t)sizeof bytes);
	end(&r);
}

static void a_session_may_end_meanwhile(void)
{
	struct run r;

	begin(&r, 0);
	fill(&r, 'a');
	read_of(&r, 4);
	SEND(&r.c, write, 0, .queue = QUEUE, .buffer = BUFFER, .size = 2, .bytes = BYTES("bc", 2));
	feed(&r);
	SEND(&r.c, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION, .nonce = 2);
	feed(&r);
	release(&r);
	CHECK_EQ(r.t.v->n_commands, 0);
	end(&r);
}

int main(void)
{
	alarm(60);
	RUN(small_transfers_and_markers_stop_nobody);
	RUN(a_large_transfer_waits_for_its_turn);
	RUN(nothing_before_it_nothing_for_the_driver);
	RUN(answers_are_not_made_ahead_of_a_guest_that_does_not_look);
	RUN(a_given_read_is_answered_before_the_gate_is_drained);
	RUN(a_given_writes_credit_comes_back_when_it_is_over);
	RUN(a_session_may_end_meanwhile);
}
