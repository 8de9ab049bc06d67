// SPDX-License-Identifier: Apache-2.0
// A guest process whose vGPU moves under it, many times and at awkward moments: between two real
// ferry-vgpu processes, over real channels. It must not be able to tell.
#include "vgpu/testing/testhost.h"

#include "base/test.h"

#include <CL/cl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *program, *tracker;
static const char source[] =
	"__kernel void advance(__global uint *a, uint k)\n"
	"{ size_t i = get_global_id(0); a[i] = a[i] * 1664525u + k + (uint)i; }\n"
	"__kernel void twice(__global uint *a) { a[get_global_id(0)] *= 2; }\n";

#define N 4096

static struct p_blob step_args(struct buf *b, uint32_t buffer, uint32_t k)
{
	struct p_arg items[] = { { 0, PROTO_ARG_BUFFER, buffer, { 0 } },
		{ 1, PROTO_ARG_BYTES, 0, BYTES(&k, sizeof k) } };

	buf_reset(b);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(p_put_arg_item(b, &items[i]), 0);
	return BYTES(b->data, b->len);
}

#define ONE_D(n) .dims = 1, .global = { { n, 1, 1 } }

static struct p_blob k_arg(struct buf *b, uint32_t k)
{
	struct p_arg item = { 1, PROTO_ARG_BYTES, 0, BYTES(&k, sizeof k) };

	buf_reset(b);
	CHECK_EQ(p_put_arg_item(b, &item), 0);
	return BYTES(b->data, b->len);
}

struct run {
	struct testhost host;
	struct testclient c;
	uint32_t k;
	uint32_t expect[N];
};

static void begin(struct run *r)
{
	testhost_start(&r->host, program, false, tracker);
	r->c = (struct testclient){ .fd = r->host.port };
	r->k = 0;
	for (uint32_t i = 0; i < N; i++)
		r->expect[i] = i;
	testclient_prepare(&r->c, source);
	SEND(&r->c, buffer_create, 0, .id = 4, .context = 1, .size = sizeof r->expect);
	SEND(&r->c, kernel_create, 0, .id = 5, .program = 3, .name = TEXT("advance"));
	SEND(&r->c, write, 0, .queue = 2, .buffer = 4, .size = sizeof r->expect,
		.bytes = BYTES(r->expect, sizeof r->expect));
}

static void expect_step(struct run *r)
{
	for (uint32_t i = 0; i < N; i++)
		r->expect[i] = r->expect[i] * 1664525u + r->k + i;
}

// Launches without looking at the result; the first names the buffer too.
static void steps(struct run *r, int n)
{
	_cleanup_buf_ struct buf args = { 0 };

	for (int i = 0; i < n; i++) {
		r->k++;
		SEND(&r->c, launch, 0, .queue = 2, .kernel = 5, ONE_D(N),
			.args = r->k == 1 ? step_args(&args, 4, r->k) : k_arg(&args, r->k));
		expect_step(r);
	}
	testclient_send(&r->c);
}

static void check(struct run *r)
{
	testclient_expect_bytes(&r->c, 2, 4, r->expect, sizeof r->expect);
}

static void more_steps(void *arg)
{
	steps(arg, 20);
}

static void move(struct run *r, int rounds)
{
	testhost_move(&r->host, program, tracker, rounds, more_steps, r);
	r->c.fd = r->host.port;
}

static void end(struct run *r)
{
	testhost_stop(&r->host);
	testclient_close(&r->c);
}

static void results_are_those_of_an_unmoved_run(void)
{
	static struct run r;

	begin(&r);
	steps(&r, 50);
	for (int n = 0; n < 4; n++) {
		move(&r, n % 3);
		steps(&r, 30);
		check(&r);
	}
	end(&r);
}

static void what_waits_moves_along(void)
{
	static struct run r;
	_cleanup_buf_ struct buf args = { 0 };
	uint32_t one = 1;

	begin(&r);
	steps(&r, 3);
	check(&r);
	// A launch and a read behind a user event, with arguments that later launches change.
	SEND(&r.c, user_event_create, 0, .id = 8, .context = 1);
	SEND(&r.c, queue_create, 0, .id = 9, .context = 1);
	SEND(&r.c, buffer_create, 0, .id = 10, .context = 1, .size = 4096);
	SEND(&r.c, write, 0, .queue = 2, .buffer = 10, .event = 11, .size = 4,
		.bytes = BYTES(&one, 4));
	SEND(&r.c, launch, 0, .queue = 9, .kernel = 5, .event = 12, ONE_D(1), .waits = WAITS(8),
		.args = step_args(&args, 10, 1000));
	uint32_t late = SEND(&r.c, read, 0, .queue = 9, .buffer = 10, .size = 4);
	SEND(&r.c, launch, 0, .queue = 2, .kernel = 5, ONE_D(N),
		.args = step_args(&args, 4, ++r.k));
	expect_step(&r);
	// The guest lets go of all that the waiting launch needs.
	SEND(&r.c, release, 0, .objects = WAITS(10, 11));
	testclient_send(&r.c);
	move(&r, 1);
	check(&r);
	move(&r, 0);
	SEND(&r.c, user_event_set, 0, .event = 8, .status = CL_COMPLETE);
	testclient_send(&r.c);
	CHECK_EQ(testclient_event(&r.c, 12), CL_COMPLETE);
	CHECK_EQ(testclient_answer(&r.c, late), CL_SUCCESS);
	CHECK_EQ(*(uint32_t *)r.c.body.data, 1664525u + 1000);
	end(&r);
}

static void half_a_frame_and_half_a_write_move_along(void)
{
	static struct run r;
	static uint8_t data[100000];
	uint32_t seq;

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7);
	begin(&r);
	SEND(&r.c, buffer_create, 0, .id = 6, .context = 1, .size = sizeof data);
	uint32_t write = SEND(&r.c, write, 0, .queue = 2, .buffer = 6, .size = sizeof data,
		.bytes = BYTES(data, 10));
	SEND(&r.c, data, 0, .stream = write, .offset = 10, .bytes = BYTES(data + 10, 30000));
	testclient_send(&r.c);
	SEND(&r.c, data, 0, .stream = write, .offset = 30010, .bytes = BYTES(data + 30010, 30000));
	struct buf rest = { 0 };
	buf_put(&rest, r.c.out.data + 12345, r.c.out.len - 12345);
	r.c.out.len = 12345; // in the middle of a frame
	testclient_send(&r.c);
	move(&r, 0);
	buf_put(&r.c.out, rest.data, rest.len);
	buf_free(&rest);
	SEND(&r.c, data, 0, .stream = write, .offset = 60010, .bytes = BYTES(data + 60010, 32000));
	testclient_send(&r.c);
	move(&r, 2);
	SEND(&r.c, data, 0, .stream = write, .offset = 92010,
		.bytes = BYTES(data + 92010, sizeof data - 92010));
	seq = SEND(&r.c, read, 0, .queue = 2, .buffer = 6, .size = sizeof data);
	testclient_send(&r.c);
	CHECK_EQ(testclient_answer(&r.c, seq), CL_SUCCESS);
	CHECK(r.c.body.len == sizeof data && !memcmp(r.c.body.data, data, sizeof data));
	end(&r);
}

// The bytes of a write that the guest keeps are asked for once, wherever its turn comes.
static void a_write_is_asked_for_after_a_move(void)
{
	static struct run r;
	static uint8_t data[60000];
	struct p_wanted wanted;

	memset(data, 7, sizeof data);
	begin(&r);
	SEND(&r.c, buffer_create, 0, .id = 6, .context = 1, .size = sizeof data);
	SEND(&r.c, user_event_create, 0, .id = 8, .context = 1);
	uint32_t write = SEND(&r.c, write, P_LATER, .queue = 2, .buffer = 6, .size = sizeof data,
		.waits = WAITS(8));
	testclient_send(&r.c);
	move(&r, 1);
	SEND(&r.c, user_event_set, 0, .event = 8, .status = CL_COMPLETE);
	testclient_send(&r.c);
	struct p_frame f = testclient_next(&r.c);
	CHECK_EQ(f.op, p_op_wanted);
	CHECK_EQ(p_get_wanted(&f, &wanted), 0);
	CHECK_EQ(wanted.stream, write);
	SEND(&r.c, data, 0, .stream = write, .bytes = BYTES(data, 30000));
	testclient_send(&r.c);
	move(&r, 0);
	SEND(&r.c, data, 0, .stream = write, .offset = 30000, .bytes = BYTES(data + 30000, 30000));
	uint32_t last = SEND(&r.c, finish, 0, .queue = 2);
	testclient_send(&r.c);
	f = testclient_next(&r.c);
	CHECK_EQ(f.op, p_op_answer); // nothing else comes
	CHECK_EQ(f.body[0], last & 0xff);
	testclient_expect_bytes(&r.c, 2, 6, data, sizeof data);
	end(&r);
}

// One that fails before its turn asks too: what its bytes are kept for is over then.
static void a_write_that_fails_asks_for_its_bytes(void)
{
	static struct run r;
	static const uint8_t data[1000];
	uint32_t write;

	begin(&r);
	SEND(&r.c, buffer_create, 0, .id = 6, .context = 1, .size = sizeof data);
	SEND(&r.c, user_event_create, 0, .id = 8, .context = 1);
	write = SEND(&r.c, write, P_LATER, .queue = 2, .buffer = 6, .event = 9, .size = sizeof data,
		.waits = WAITS(8));
	SEND(&r.c, user_event_set, 0, .event = 8, .status = -5);
	testclient_send(&r.c);
	struct p_frame f = testclient_next(&r.c);
	while (f.op != p_op_wanted)
		f = testclient_next(&r.c);
	SEND(&r.c, data, 0, .stream = write, .bytes = BYTES(data, sizeof data));
	steps(&r, 1);
	check(&r);
	// And one that can only fail: its window is wrong.
	write = SEND(
		&r.c, write, P_LATER, .queue = 2, .buffer = 6, .offset = 1, .size = sizeof data);
	testclient_send(&r.c);
	f = testclient_next(&r.c);
	CHECK_EQ(f.op, p_op_wanted);
	SEND(&r.c, data, 0, .stream = write, .bytes = BYTES(data, sizeof data));
	testclient_send(&r.c);
	end(&r);
}

static void answers_nobody_read_move_along(void)
{
	static struct run r;
	static uint8_t zero[3 << 20];

	begin(&r);
	SEND(&r.c, buffer_create, 0, .id = 6, .context = 1, .size = sizeof zero);
	// More than the socket and the backlog hold: the read itself is cut in two.
	uint32_t seq = SEND(&r.c, read, 0, .queue = 2, .buffer = 6, .size = sizeof zero);
	testclient_send(&r.c);
	usleep(50000);
	move(&r, 1);
	CHECK_EQ(testclient_answer(&r.c, seq), CL_SUCCESS);
	CHECK(r.c.body.len == sizeof zero && !memcmp(r.c.body.data, zero, sizeof zero));
	check(&r);
	end(&r);
}

#define BULK (4u << 20) // numbers: 16 MiB

// Reads answer_data of message `seq` until the body has at least `bytes`.
static void read_until(struct run *r, uint32_t seq, size_t bytes)
{
	struct p_answer_data m;

	while (r->c.body.len < bytes) {
		struct p_frame f = testclient_next(&r->c);
		CHECK_EQ(p_get_answer_data(&f, &m), 0);
		CHECK(m.stream == seq && m.offset == r->c.body.len);
		buf_put(&r->c.body, m.bytes.at, m.bytes.n);
	}
}

static void a_bulk_read_moves_twice_in_the_middle(void)
{
	static struct run r;
	_cleanup_buf_ struct buf args = { 0 };
	struct p_answer end_of_it;

	begin(&r);
	SEND(&r.c, buffer_create, 0, .id = 6, .context = 1, .size = BULK * 4);
	SEND(&r.c, launch, 0, .queue = 2, .kernel = 5, ONE_D(BULK), .args = step_args(&args, 6, 9));
	uint32_t seq = SEND(&r.c, read, 0, .queue = 2, .buffer = 6, .size = BULK * 4);
	// What comes after the read must not show in it.
	SEND(&r.c, launch, 0, .queue = 2, .kernel = 5, ONE_D(BULK), .args = step_args(&args, 6, 1));
	testclient_send(&r.c);
	buf_reset(&r.c.body);
	read_until(&r, seq, BULK);
	move(&r, 1);
	read_until(&r, seq, BULK * 2);
	move(&r, 0);
	read_until(&r, seq, BULK * 4);
	struct p_frame f = testclient_next(&r.c);
	CHECK_EQ(p_get_answer(&f, &end_of_it), 0);
	CHECK(end_of_it.status == CL_SUCCESS && end_of_it.bytes == BULK * 4);
	const uint32_t *got = (const uint32_t *)r.c.body.data;
	for (uint32_t i = 0; i < BULK; i++)
		CHECK_EQ(got[i], i + 9);
	end(&r);
}

static void an_aborted_move_leaves_no_trace(void)
{
	static struct run r;
	struct testhost to;

	begin(&r);
	steps(&r, 10);
	for (int when = 0; when < 3; when++) {
		int pair[2];
		testhost_start(&to, program, true, tracker);
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		json_decref(testhost_call(
			&to, "move.receive", json_pack("{s:i}", "channels", 1), &pair[1], 1));
		json_decref(testhost_call(&r.host, "move.begin",
			json_pack("{s:s, s:i, s:i}", "mode", "precopy", "channels", 1,
				"bandwidth_bytes_per_s", when ? 1000000000 : 0),
			&pair[0], 1));
		close(pair[0]);
		close(pair[1]);
		if (when)
			testhost_do(&r.host, "move.rate",
				json_pack(
					"{s:I}", "bandwidth_bytes_per_s", (json_int_t)2000000000));
		else
			testhost_refused(&r.host, "move.rate",
				json_pack("{s:i}", "bandwidth_bytes_per_s", 1), "no-rate");
		testhost_refused(&r.host, "move.rate",
			json_pack("{s:i}", "bandwidth_bytes_per_s", 0), "no-rate");
		testhost_do(&r.host, "move.round", json_pack("{s:i}", "n", 1));
		steps(&r, 5);
		if (when > 0) {
			testhost_do(&r.host, "gate.close", NULL);
			testhost_do(&r.host, "ports.drain", NULL);
			testhost_do(&r.host, "ports.take-back", NULL);
		}
		if (when > 1)
			testhost_do(&r.host, "move.final", NULL);
		testhost_stop(&to);
		close(to.port);
		testhost_do(&r.host, "move.abort", NULL);
		steps(&r, 5);
		check(&r);
	}
	testhost_refused(&r.host, "own", NULL, "bad-state");
	testhost_refused(&r.host, "move.final", NULL, "bad-state");
	testhost_refused(
		&r.host, "move.rate", json_pack("{s:i}", "bandwidth_bytes_per_s", 1), "bad-state");
	testhost_refused(&r.host, "nonsense", NULL, "unknown-op");
	move(&r, 1);
	check(&r);
	end(&r);
}

static void objects_come_and_go_between_rounds(void *arg)
{
	struct run *r = arg;
	_cleanup_buf_ struct buf args = { 0 };
	uint32_t id = 20 + r->k;

	SEND(&r->c, release, 0, .objects = WAITS(4, 5));
	SEND(&r->c, buffer_create, 0, .id = 5, .context = 1, .size = sizeof r->expect);
	SEND(&r->c, kernel_create, 0, .id = 4, .program = 3, .name = TEXT("advance"));
	SEND(&r->c, write, 0, .queue = 2, .buffer = 5, .size = sizeof r->expect,
		.bytes = BYTES(r->expect, sizeof r->expect));
	SEND(&r->c, launch, 0, .queue = 2, .kernel = 4, .event = id, ONE_D(N),
		.args = step_args(&args, 5, ++r->k));
	expect_step(r);
	SEND(&r->c, marker, 0, .queue = 2, .event = id + 1);
	// Back to the old numbers: types swap in the table.
	SEND(&r->c, buffer_create, 0, .id = 6, .context = 1, .size = sizeof r->expect);
	SEND(&r->c, copy, 0, .queue = 2, .from = 5, .to = 6, .size = sizeof r->expect);
	SEND(&r->c, release, 0, .objects = WAITS(4, 5, id));
	SEND(&r->c, buffer_create, 0, .id = 4, .context = 1, .size = sizeof r->expect);
	SEND(&r->c, kernel_create, 0, .id = 5, .program = 3, .name = TEXT("advance"));
	SEND(&r->c, copy, 0, .queue = 2, .from = 6, .to = 4, .size = sizeof r->expect);
	SEND(&r->c, launch, 0, .queue = 2, .kernel = 5, ONE_D(N),
		.args = step_args(&args, 4, ++r->k));
	expect_step(r);
	SEND(&r->c, release, 0, .objects = WAITS(6));
	check(r);
}

static void numbers_are_used_again_while_it_moves(void)
{
	static struct run r;

	begin(&r);
	steps(&r, 1);
	for (int n = 0; n < 2; n++) {
		testhost_move(&r.host, program, tracker, 3, objects_come_and_go_between_rounds, &r);
		r.c.fd = r.host.port;
		objects_come_and_go_between_rounds(&r);
	}
	end(&r);
}

static void a_build_under_way_is_answered_once(void)
{
	static struct run r;
	static const char other[] = "__kernel void other(__global int *a) { a[0] = 42; }";
	_cleanup_buf_ struct buf args = { 0 };
	struct p_arg item = { 0, PROTO_ARG_BUFFER, 4, { 0 } };

	begin(&r);
	SEND(&r.c, program_source, 0, .id = 6, .context = 1, .total = strlen(other),
		.bytes = TEXT(other));
	uint32_t seq = SEND(&r.c, program_build, 0, .program = 6);
	testclient_send(&r.c);
	move(&r, 0);
	CHECK_EQ(testclient_answer(&r.c, seq), CL_SUCCESS);
	SEND(&r.c, kernel_create, 0, .id = 7, .program = 6, .name = TEXT("other"));
	CHECK_EQ(p_put_arg_item(&args, &item), 0);
	SEND(&r.c, launch, 0, .queue = 2, .kernel = 7, ONE_D(1),
		.args = BYTES(args.data, args.len));
	r.expect[0] = 42;
	check(&r);
	end(&r);
}

static uint32_t new_source(struct run *r, uint32_t id, const char *text)
{
	return SEND(&r->c, program_source, 0, .id = id, .context = 1, .total = strlen(text),
		.bytes = TEXT(text));
}

// Program `id` of the parts 20 and 21; then what its kernel gives.
static void check_linked(struct run *r, uint32_t id)
{
	_cleanup_buf_ struct buf args = { 0 };
	struct p_arg item = { 0, PROTO_ARG_BUFFER, 4, { 0 } };

	CHECK_EQ(p_put_arg_item(&args, &item), 0);
	SEND(&r->c, kernel_create, 0, .id = id + 1, .program = id, .name = TEXT("answer"));
	SEND(&r->c, launch, 0, .queue = 2, .kernel = id + 1, ONE_D(1),
		.args = BYTES(args.data, args.len));
	r->expect[0] = 42;
	check(r);
	r->expect[0] = id;
	SEND(&r->c, write, 0, .queue = 2, .buffer = 4, .size = 4, .bytes = BYTES(&id, 4));
	SEND(&r->c, release, 0, .objects = WAITS(id + 1));
	check(r);
}

static void parts_of_a_program_can_be_linked_after_a_move(void)
{
	static struct run r;
	uint32_t seq;

	begin(&r);
	new_source(&r, 20,
		"#include \"part.h\"\n"
		"__kernel void answer(__global uint *a) { a[0] = part(); }");
	new_source(&r, 21, "uint part(void) { return 42; }");
	new_source(&r, 22, "uint part(void);");
	SEND(&r.c, program_compile, 0, .program = 20, .headers = WAITS(22),
		.names = BYTES("part.h", 7));
	seq = SEND(&r.c, program_compile, 0, .program = 21);
	testclient_send(&r.c);
	CHECK_EQ(testclient_answer(&r.c, seq), CL_SUCCESS);
	seq = SEND(&r.c, program_link, 0, .id = 30, .context = 1, .inputs = WAITS(20, 21));
	testclient_send(&r.c);
	CHECK_EQ(testclient_answer(&r.c, seq), CL_SUCCESS);
	check_linked(&r, 30);
	move(&r, 1);
	move(&r, 0);
	check_linked(&r, 30);
	seq = SEND(&r.c, program_link, 0, .id = 40, .context = 1, .inputs = WAITS(20, 21));
	testclient_send(&r.c);
	CHECK_EQ(testclient_answer(&r.c, seq), CL_SUCCESS);
	check_linked(&r, 40);
	end(&r);
}

#define ONE_UNIT .property = CL_DEVICE_PARTITION_EQUALLY, .units = WAITS(1)

static int32_t divide(struct run *r, uint32_t parent, uint32_t id)
{
	uint32_t seq =
		SEND(&r->c, sub_device_create, P_ANSWER, .id = id, .parent = parent, ONE_UNIT);

	testclient_send(&r->c);
	return testclient_answer(&r->c, seq);
}

// A queue on a part of the device, with a launch that waits. A part of one compute unit cannot be
// divided, which tells it from the whole device.
static void queues_on_parts_move_along(void)
{
	static struct run r;
	_cleanup_buf_ struct buf args = { 0 };

	begin(&r);
	steps(&r, 3);
	int32_t status = divide(&r, 0, 20);
	CHECK_EQ(status, CL_SUCCESS);
	SEND(&r.c, queue_create_on, 0, .id = 21, .context = 1, .device = 20);
	SEND(&r.c, user_event_create, 0, .id = 22, .context = 1);
	SEND(&r.c, release, 0, .objects = WAITS(20));
	status = divide(&r, 0, 20); // the number belongs to another part now
	CHECK_EQ(status, CL_SUCCESS);
	check(&r);
	SEND(&r.c, launch, 0, .queue = 21, .kernel = 5, .event = 23, ONE_D(N), .waits = WAITS(22),
		.args = step_args(&args, 4, 5000));
	testclient_send(&r.c);
	testhost_move(&r.host, program, tracker, 1, NULL, NULL);
	testhost_move(&r.host, program, tracker, 0, NULL, NULL);
	r.c.fd = r.host.port;
	CHECK(divide(&r, 20, 24) < 0);
	SEND(&r.c, user_event_set, 0, .event = 22, .status = CL_COMPLETE);
	testclient_send(&r.c);
	CHECK_EQ(testclient_event(&r.c, 23), CL_COMPLETE);
	r.k = 5000;
	expect_step(&r);
	check(&r);
	end(&r);
}

int main(int argc, char **argv)
{
	CHECK(argc == 3);
	program = argv[1];
	tracker = argv[2];
	RUN(results_are_those_of_an_unmoved_run);
	RUN(what_waits_moves_along);
	RUN(half_a_frame_and_half_a_write_move_along);
	RUN(a_write_is_asked_for_after_a_move);
	RUN(a_write_that_fails_asks_for_its_bytes);
	RUN(answers_nobody_read_move_along);
	RUN(a_bulk_read_moves_twice_in_the_middle);
	RUN(an_aborted_move_leaves_no_trace);
	RUN(numbers_are_used_again_while_it_moves);
	RUN(a_build_under_way_is_answered_once);
	RUN(queues_on_parts_move_along);
	RUN(parts_of_a_program_can_be_linked_after_a_move);
}
