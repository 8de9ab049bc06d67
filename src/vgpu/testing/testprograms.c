// SPDX-License-Identifier: Apache-2.0
#include "vgpu/testing/testprograms.h"

#include "base/test.h"

#include <string.h>

// ---- the guest

void run_begin(struct run *r)
{
	*r = (struct run){ 0 };
	atomic_store(&noted.refuses_natives, false);
	testvgpu_start(&r->t, loop_new(), backend_noting());
	SEND(r, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	SEND(r, context_create, 0, .id = 1);
	SEND(r, queue_create, 0, .id = 2, .context = 1);
	SEND(r, buffer_create, 0, .id = 3, .context = 1, .size = 4096);
}

void run_end(struct run *r)
{
	struct loop *loop = r->t.loop;

	testvgpu_stop(&r->t);
	buf_free(&r->out);
	loop_free(loop);
}

static void forget_counts(void)
{
	noted.builds = noted.compiles = noted.links = noted.takes = 0;
}

void run_feed(struct run *r)
{
	testvgpu_feed(&r->t, r->out.data, r->out.len);
	buf_reset(&r->out);
}

// Looks through what came for the answer. True when it was there.
static bool find_answer(struct run *r, uint32_t seq, int32_t *ret)
{
	struct p_frame f;
	bool found = false;

	while (!found && p_frame_next(r->t.in.data, r->t.in.len, &f) == 1) {
		struct p_answer m;
		found = f.op == p_op_answer && p_get_answer(&f, &m) == 0 && m.stream == seq;
		if (found)
			*ret = m.status;
		buf_consume(&r->t.in, f.length);
	}
	return found;
}

int32_t run_answer(struct run *r, uint32_t seq)
{
	int32_t status = 0;
	int left = 5000;

	run_feed(r);
	while (!find_answer(r, seq, &status) && --left)
		testvgpu_settle(&r->t);
	CHECK(left);
	return status;
}

void run_source(struct run *r, uint32_t id, const char *text)
{
	SEND(r, program_source, 0, .id = id, .context = 1, .total = strlen(text),
		.bytes = TEXT(text));
}

uint32_t run_build(struct run *r, uint32_t id, const char *options)
{
	return SEND(r, program_build, 0, .program = id, .options = TEXT(options));
}

uint32_t run_compile(struct run *r, uint32_t id, const char *options)
{
	return SEND(r, program_compile, 0, .program = id, .options = TEXT(options));
}

uint32_t run_link(struct run *r, uint32_t id, struct p_ids parts)
{
	return SEND(r, program_link, 0, .id = id, .context = 1, .inputs = parts);
}

uint32_t run_new_kernel(struct run *r, uint32_t program)
{
	return SEND(r, kernel_create, P_ANSWER, .id = 99, .program = program, .name = TEXT("k"));
}

void run_link_of_two(struct run *r)
{
	run_source(r, 11, "first");
	run_source(r, 12, "second");
	run_compile(r, 11, "a");
	CHECK_EQ(run_answer(r, run_compile(r, 12, "b")), CL_SUCCESS);
	CHECK_EQ(run_answer(r, run_link(r, 10, WAITS(11, 12))), CL_SUCCESS);
}

static void launch_as(struct run *r, uint32_t kernel, uint64_t local)
{
	_cleanup_buf_ struct buf args = { 0 };
	uint32_t four = 4;

	p_put_arg_item(&args, &(struct p_arg){ 0, PROTO_ARG_BUFFER, 3, { 0 } });
	p_put_arg_item(&args, &(struct p_arg){ 1, PROTO_ARG_BYTES, 0, BYTES(&four, 4) });
	p_put_arg_item(&args, &(struct p_arg){ 2, PROTO_ARG_LOCAL, 64, { 0 } });
	SEND(r, launch, 0, .queue = 2, .kernel = kernel, .dims = 1, .global = { { 8, 1, 1 } },
		.local = { { local, local ? 1 : 0, local ? 1 : 0 } },
		.args = BYTES(args.data, args.len));
}

static uint32_t finish(struct run *r)
{
	return SEND(r, finish, 0, .queue = 2);
}

const char *runs_as(struct run *r, uint32_t program, uint64_t local)
{
	noted.running[0] = 0;
	CHECK_EQ(run_answer(r, run_new_kernel(r, program)), CL_SUCCESS);
	launch_as(r, 99, local);
	CHECK_EQ(run_answer(r, finish(r)), CL_SUCCESS);
	SEND(r, release, 0, .objects = WAITS(99));
	run_feed(r);
	return noted.running;
}

const char *runs(struct run *r, uint32_t program)
{
	return runs_as(r, program, 0);
}

// ---- moving

static void taken(void *arg)
{
	*(bool *)arg = true;
}

static void collect(struct run *r, struct state_source *s, bool final, struct buf *records)
{
	bool done = false;

	CHECK_EQ(state_source_take_natives(s, taken, &done), 0);
	while (!done)
		loop_once(r->t.loop, 1);
	CHECK_EQ(state_collect(s, final, testvgpu_emit, records, NULL), 0);
}

static void apply(struct testvgpu *to, struct buf *records)
{
	CHECK_EQ(testvgpu_apply(to, records, SIZE_MAX, 0), 0);
	buf_reset(records);
}

void run_leave(struct run *r, struct testvgpu *to, void (*meanwhile)(struct run *r))
{
	_cleanup_buf_ struct buf records = { 0 };
	struct state_source s;

	run_feed(r);
	forget_counts();
	state_source_begin(&s, r->t.v, true);
	testvgpu_start_incoming(to, r->t.loop, backend_noting());
	if (meanwhile) {
		collect(r, &s, false, &records);
		apply(to, &records);
		meanwhile(r);
	}
	testvgpu_close_gate(&r->t);
	collect(r, &s, true, &records);
	apply(to, &records);
	state_source_end(&s);
}

void run_arrive(struct run *r, struct testvgpu *to)
{
	testvgpu_own(to);
	testvgpu_stop(&r->t);
	r->t = *to;
}

void run_move(struct run *r)
{
	struct testvgpu to;

	run_leave(r, &to, NULL);
	run_arrive(r, &to);
}

void run_begin_with_moved_part(struct run *r)
{
	run_begin(r);
	run_source(r, 11, "text");
	CHECK_EQ(run_answer(r, run_compile(r, 11, "a")), CL_SUCCESS);
	run_move(r);
}
