// SPDX-License-Identifier: Apache-2.0
// What a guest can make ferry-vgpu do for a few bytes: it ends somewhere, and the others' turn comes.
#include "vgpu/testing/fake_backend.h"
#include "vgpu/testing/testclient.h"
#include "vgpu/testing/testvgpu.h"

#include "base/cleanup.h"
#include "base/test.h"
#include "vgpu/session/port.h"
#include "vgpu/session/session.h"

#include <unistd.h>

struct run {
	struct testvgpu t;
	struct loop *loop;
	struct buf out; // as a testclient has it: for SEND
	uint32_t seq;
};

static void feed(struct run *r)
{
	testvgpu_feed(&r->t, r->out.data, r->out.len);
	buf_reset(&r->out);
}

// Object 1: a context.
static void begin(struct run *r)
{
	*r = (struct run){ .loop = loop_new() };
	testvgpu_start(&r->t, r->loop, &backend_fake);
	SEND(r, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	SEND(r, context_create, 0, .id = 1);
	feed(r);
}

static void end(struct run *r)
{
	fake_hold_compilers(false);
	testvgpu_stop(&r->t);
	buf_free(&r->out);
	loop_free(r->loop);
}

// Answers and what they say, of everything that has come since the last time.
static uint32_t count_answers(struct run *r, int32_t status)
{
	struct p_frame f;
	struct p_answer m;
	uint32_t n = 0;

	for (size_t at = 0; p_frame_next(r->t.in.data + at, r->t.in.len - at, &f) > 0;
		at += f.length)
		n += p_get_answer(&f, &m) == 0 && m.status == status;
	buf_reset(&r->t.in);
	return n;
}

// ---- queues

static void make_queues(struct run *r, uint32_t first, uint32_t n)
{
	for (uint32_t id = first; id < first + n; id++)
		SEND(r, queue_create, P_ANSWER, .id = id, .context = 1);
	feed(r);
}

static void there_are_only_so_many_queues(void)
{
	struct run r;

	begin(&r);
	make_queues(&r, 2, VGPU_QUEUES_MAX);
	CHECK_EQ(count_answers(&r, CL_SUCCESS), VGPU_QUEUES_MAX);
	make_queues(&r, 10000, 3);
	CHECK_EQ(count_answers(&r, CL_OUT_OF_RESOURCES), 3);
	SEND(&r, finish, 0, .queue = 10000); // of no use, and no harm
	SEND(&r, release, 0, .objects = WAITS(2, 10000, 10001));
	make_queues(&r, 20000, 2);
	CHECK_EQ(count_answers(&r, CL_OUT_OF_RESOURCES), 2);
	CHECK_EQ(r.t.v->n_queues, VGPU_QUEUES_MAX);
	SEND(&r, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	feed(&r);
	CHECK_EQ(r.t.v->n_queues, 0);
	CHECK_EQ(r.t.v->registry.n, 1);
	end(&r);
}

// Each command of one queue waits for one of the other, all for the user's event.
#define CHAIN 1000

static void put_chain(struct run *r)
{
	SEND(r, queue_create, 0, .id = 2, .context = 1, .properties = 1);
	SEND(r, queue_create, 0, .id = 3, .context = 1, .properties = 1);
	SEND(r, user_event_create, 0, .id = 4, .context = 1);
	for (uint32_t i = 0; i < CHAIN; i++)
		SEND(r, marker, 0, .queue = 2 + i % 2, .event = 5 + i, .waits = WAITS(4 + i));
	feed(r);
	CHECK_EQ(r->t.v->n_commands, CHAIN);
}

static void a_chain_of_commands_lets_others_have_their_turn(void)
{
	struct run r;
	unsigned turns = 0;

	begin(&r);
	put_chain(&r);
	SEND(&r, user_event_set, 0, .event = 4);
	CHECK_EQ(write(r.t.guest, r.out.data, r.out.len), r.out.len);
	while (r.t.v->n_commands && ++turns < CHAIN)
		loop_once(r.loop, 1000);
	CHECK(turns > 3);
	CHECK_EQ(r.t.v->n_commands, 0);
	end(&r);
}

// ---- objects that keep one another

#define PARTS 200000

// Each is a part of the one before; that the device makes none of them does not matter. Let go of in order, they
// all end with the last.
static void a_long_line_of_parts_ends(void)
{
	static uint32_t parts[PROTO_IDS_MAX];
	struct run r;

	begin(&r);
	for (uint32_t id = 2; id < 2 + PARTS; id++)
		SEND(&r, sub_device_create, 0, .id = id, .parent = id > 2 ? id - 1 : 0,
			.units = WAITS(1, 1));
	for (uint32_t id = 2; id < 2 + PARTS;) {
		uint32_t n = 0;
		while (n < PROTO_IDS_MAX && id < 2 + PARTS)
			parts[n++] = id++;
		SEND(&r, release, 0, .objects = { .ids = parts, .n = n });
	}
	feed(&r);
	CHECK_EQ(r.t.v->registry.n, 2);
	end(&r);
}

#define BLOCK 2048

// Parts of parts of no buffer, and the guest lets go of each as soon as it has the next: few numbers, and more objects
// than it may have.
static void objects_count_as_long_as_anything_keeps_them(void)
{
	static uint32_t before[BLOCK];
	struct run r;
	uint32_t parent = 5000;

	begin(&r);
	SEND(&r, buffer_create, 0, .id = parent, .context = 1);
	for (uint32_t made = 0; made <= PROTO_OBJECTS_MAX && r.t.v->n_sessions; made += BLOCK) {
		uint32_t first = 2 + made % (2 * BLOCK);
		for (uint32_t i = 0; i < BLOCK; parent = first + i++)
			SEND(&r, sub_buffer_create, 0, .id = first + i, .parent = parent,
				.size = 1);
		if (made)
			SEND(&r, release, 0, .objects = { .ids = before, .n = BLOCK });
		for (uint32_t i = 0; i < BLOCK; i++)
			before[i] = first + i;
		if (made % (32 * BLOCK) == 0)
			feed(&r);
		buf_reset(&r.t.in);
	}
	feed(&r);
	CHECK_EQ(r.t.v->n_sessions, 0);
	CHECK_EQ(r.t.v->registry.n, 0);
	end(&r);
}

// ---- programs

static void send_text(struct run *r, uint32_t id, size_t n)
{
	_cleanup_free_ uint8_t *text = malloc(n);

	memset(text, 'p', n);
	uint32_t stream = SEND(r, program_source, 0, .id = id, .context = 1, .total = n);
	for (size_t at = 0; at < n; at += PROTO_DATA_MAX) {
		size_t part = n - at < PROTO_DATA_MAX ? n - at : PROTO_DATA_MAX;
		SEND(r, data, 0, .stream = stream, .offset = at, .bytes = BYTES(text + at, part));
		if (r->out.len > VGPU_CREDIT / 8)
			feed(r);
	}
	feed(r);
}

// Links what was compiled with a thousand long headers.
static void a_long_header_is_looked_through_once(void)
{
	static uint32_t headers[PROTO_INPUTS_MAX];
	static uint8_t names[PROTO_INPUTS_MAX];
	struct run r;

	begin(&r);
	send_text(&r, 2, PROTO_SOURCE_MAX);
	send_text(&r, 3, 4);
	for (size_t i = 0; i < PROTO_INPUTS_MAX; i++)
		headers[i] = 2;
	SEND(&r, program_compile, 0, .program = 3,
		.headers = { .ids = headers, .n = PROTO_INPUTS_MAX },
		.names = BYTES(names, sizeof names));
	feed(&r);
	for (int i = 0; i < 20; i++)
		testvgpu_settle(&r.t);
	count_answers(&r, CL_SUCCESS);
	SEND(&r, program_link, 0, .id = 4, .context = 1, .inputs = WAITS(3));
	feed(&r);
	for (int i = 0; i < 20; i++)
		testvgpu_settle(&r.t);
	CHECK_EQ(count_answers(&r, CL_SUCCESS), 1);
	end(&r);
}

// Those that ask, one message each; at most so many of them are with the worker, the others wait in the port.
static void ask(struct run *r, uint32_t n, bool binaries)
{
	for (uint32_t i = 0; i < n; i++)
		if (binaries)
			SEND(r, program_query_binary, 0, .program = 2);
		else
			SEND(r, program_build, 0, .program = 2 + i);
	feed(r);
}

static void expect_all_answered(struct run *r, uint32_t n)
{
	uint32_t answered = 0;

	fake_hold_compilers(false);
	for (int i = 0; i < 1000 && answered < n; i++) {
		testvgpu_settle(&r->t);
		answered += count_answers(r, CL_SUCCESS);
	}
	CHECK_EQ(answered, n);
}

#define PROGRAMS 300

static void only_so_many_builds_are_under_way(void)
{
	struct run r;

	begin(&r);
	for (uint32_t i = 0; i < PROGRAMS; i++)
		SEND(&r, program_source, 0, .id = 2 + i, .context = 1, .total = 4,
			.bytes = TEXT("text"));
	fake_hold_compilers(true);
	ask(&r, PROGRAMS, false);
	CHECK_EQ(r.t.v->ports[0]->session->jobs, VGPU_JOBS_MAX);
	expect_all_answered(&r, PROGRAMS);
	CHECK_EQ(r.t.v->ports[0]->session->jobs, 0);
	end(&r);
}

// A question of a few bytes makes a copy of the whole text.
static void copies_of_texts_have_a_limit(void)
{
	struct run r;

	begin(&r);
	send_text(&r, 2, PROTO_SOURCE_MAX);
	ask(&r, 1, false);
	expect_all_answered(&r, 1);
	fake_hold_compilers(true);
	ask(&r, 50, true);
	CHECK(r.t.v->job_bytes < VGPU_TEXTS_MAX + 2 * PROTO_SOURCE_MAX);
	CHECK(r.t.v->ports[0]->session->jobs < 10);
	expect_all_answered(&r, 50);
	CHECK_EQ(r.t.v->job_bytes, 0);
	end(&r);
}

int main(void)
{
	alarm(60);
	RUN(there_are_only_so_many_queues);
	RUN(a_chain_of_commands_lets_others_have_their_turn);
	RUN(a_long_line_of_parts_ends);
	RUN(objects_count_as_long_as_anything_keeps_them);
	RUN(a_long_header_is_looked_through_once);
	RUN(only_so_many_builds_are_under_way);
	RUN(copies_of_texts_have_a_limit);
}
