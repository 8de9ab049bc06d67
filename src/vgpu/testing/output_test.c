// SPDX-License-Identifier: Apache-2.0
// What kernels print: it reaches the process whose kernel it was and no other, before the launch's end,
// once, also when the vGPU moves; and who prints all the time does not keep others from their turn.
#include "vgpu/testing/testhost.h"

#include "base/test.h"

#include <CL/cl.h>
#include <signal.h>
#include <unistd.h>

static const char *program;
static const char source[] = "__kernel void say(__global uint *a, uint who, uint rounds)\n"
			     "{ for (uint i = 0; i < rounds; i++) a[0] = a[0] * 1664525u + i;\n"
			     "  printf(\"%c%u\\n\", (char)who, a[0] ? 1 : 0); }\n";

enum { CONTEXT = 1, QUEUE, PROGRAM, BUFFER, KERNEL, EVENT };

struct listener {
	struct testclient c;
	struct buf heard;
};

static void prepare(struct listener *l, char who, uint32_t rounds)
{
	const uint32_t seed = 1, name = (uint32_t)who;
	_cleanup_buf_ struct buf args = { 0 };
	struct p_arg items[] = { { 0, PROTO_ARG_BUFFER, BUFFER, { 0 } },
		{ 1, PROTO_ARG_BYTES, 0, BYTES(&name, 4) },
		{ 2, PROTO_ARG_BYTES, 0, BYTES(&rounds, 4) } };

	testclient_prepare(&l->c, source);
	SEND(&l->c, buffer_create, 0, .id = BUFFER, .context = CONTEXT, .size = 4);
	SEND(&l->c, kernel_create, 0, .id = KERNEL, .program = PROGRAM, .name = TEXT("say"));
	SEND(&l->c, write, 0, .queue = QUEUE, .buffer = BUFFER, .size = 4,
		.bytes = BYTES(&seed, 4));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(p_put_arg_item(&args, &items[i]), 0);
	SEND(&l->c, kernel_args, 0, .kernel = KERNEL, .args = BYTES(args.data, args.len));
	testclient_send(&l->c);
}

static void say(struct listener *l, uint32_t event, struct p_ids waits)
{
	SEND(&l->c, launch, 0, .queue = QUEUE, .kernel = KERNEL, .event = event, .dims = 1,
		.global = { { 1, 1, 1 } }, .waits = waits);
	testclient_send(&l->c);
}

// Everything up to that event's status.
static void listen_until(struct listener *l, uint32_t event)
{
	for (;;) {
		struct p_frame f = testclient_next(&l->c);
		struct p_event_status status;
		struct p_output output;
		if (f.op == p_op_output) {
			CHECK_EQ(p_get_output(&f, &output), 0);
			buf_put(&l->heard, output.text.at, output.text.n);
		} else if (f.op == p_op_event_status) {
			CHECK_EQ(p_get_event_status(&f, &status), 0);
			CHECK_EQ(status.status, CL_COMPLETE);
			if (status.event == event)
				return;
		}
	}
}

static void check_heard(struct listener *l, const char *line, size_t times)
{
	size_t n = strlen(line);

	CHECK_EQ(l->heard.len, n * times);
	for (size_t i = 0; i < times; i++)
		CHECK(!memcmp(l->heard.data + i * n, line, n));
	buf_reset(&l->heard);
}

static void end(struct listener *l)
{
	testclient_close(&l->c);
	buf_free(&l->heard);
}

#define MANY 400

static void everybody_gets_a_turn(void)
{
	struct listener a = { 0 }, b = { 0 };
	char path[128];
	pid_t pid = testclient_start(program, NULL, path, sizeof path);

	testclient_connect(&a.c, path);
	testclient_connect(&b.c, path);
	prepare(&a, 'a', 1000000); // about a millisecond each
	prepare(&b, 'b', 1);
	for (uint32_t i = 0; i < MANY; i++)
		say(&a, EVENT + i, (struct p_ids){ 0 });
	say(&b, EVENT, (struct p_ids){ 0 });
	listen_until(&b, EVENT);
	check_heard(&b, "b1\n", 1);
	uint32_t seq =
		SEND(&a.c, user_event_create, P_ANSWER, .id = EVENT + MANY, .context = CONTEXT);
	testclient_send(&a.c);
	// The answer overtakes the launches that are not over: there must be some.
	size_t over = 0;
	for (struct p_frame f = testclient_next(&a.c);; f = testclient_next(&a.c)) {
		struct p_output output;
		struct p_answer answer;
		if (f.op == p_op_answer && p_get_answer(&f, &answer) == 0 && answer.stream == seq)
			break;
		over += f.op == p_op_event_status;
		if (f.op == p_op_output && p_get_output(&f, &output) == 0)
			buf_put(&a.heard, output.text.at, output.text.n);
	}
	CHECK(over < MANY);
	listen_until(&a, EVENT + MANY - 1);
	check_heard(&a, "a1\n", MANY);
	end(&a);
	end(&b);
	testclient_stop(pid, path);
}

static void what_was_printed_moves_along_once(void)
{
	struct testhost host;
	struct listener l = { 0 };

	testhost_start(&host, program, false, "auto");
	l.c.fd = host.port;
	prepare(&l, 'm', 1);
	SEND(&l.c, user_event_create, 0, .id = EVENT, .context = CONTEXT);
	say(&l, EVENT + 1, (struct p_ids){ 0 });
	say(&l, EVENT + 2, WAITS(EVENT));
	usleep(100000); // the first is over and told, but nobody reads
	testhost_move(&host, program, "auto", 1, NULL, NULL);
	testhost_move(&host, program, "auto", 0, NULL, NULL);
	l.c.fd = host.port;
	listen_until(&l, EVENT + 1);
	check_heard(&l, "m1\n", 1);
	SEND(&l.c, user_event_set, 0, .event = EVENT, .status = CL_COMPLETE);
	testclient_send(&l.c);
	listen_until(&l, EVENT + 2);
	check_heard(&l, "m1\n", 1);
	testhost_stop(&host);
	end(&l);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	program = argv[1];
	RUN(everybody_gets_a_turn);
	RUN(what_was_printed_moves_along_once);
}
