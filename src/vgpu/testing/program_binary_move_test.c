// SPDX-License-Identifier: Apache-2.0
// Programs' binaries on the way: which are taken, what the destination makes of them, and those that the
// guest loads.
#include "vgpu/session/seal.h"
#include "vgpu/testing/testprograms.h"

#include "base/test.h"

// A program linked of binaries is taken of the same ones again.
static void a_linked_program_is_taken_again_without_its_parts_being_compiled(void)
{
	struct run r;

	run_begin(&r);
	run_link_of_two(&r);
	run_move(&r);
	CHECK_EQ(noted.takes, 3);
	run_move(&r);
	CHECK_EQ(noted.takes, 0);
	CHECK_STR(runs_as(&r, 10, 4), "ab");
	run_move(&r);
	CHECK_EQ(noted.takes, 1);
	CHECK_STR(noted.last_input, "native");
	CHECK_EQ(noted.compiles + noted.links + noted.builds, 0);
	CHECK_STR(runs_as(&r, 10, 4), "ab");
	run_end(&r);
}

static void launch_again(struct run *r)
{
	CHECK_STR(runs_as(r, 10, 4), "a");
	CHECK_STR(runs(r, 10), "a");
}

static void a_binary_is_taken_again_only_when_a_launch_has_another_shape(void)
{
	struct run r;
	struct testvgpu to;

	run_begin(&r);
	run_source(&r, 10, "text");
	CHECK_EQ(run_answer(&r, run_build(&r, 10, "a")), CL_SUCCESS);
	launch_again(&r);
	run_move(&r);
	CHECK_EQ(noted.takes, 1);
	launch_again(&r);
	run_leave(&r, &to, launch_again);
	run_arrive(&r, &to);
	CHECK_EQ(noted.takes, 0);
	CHECK_STR(runs_as(&r, 10, 2), "a");
	run_move(&r);
	CHECK_EQ(noted.takes, 1);
	run_move(&r);
	CHECK_EQ(noted.builds + noted.compiles + noted.takes, 0);
	CHECK_STR(runs_as(&r, 10, 2), "a");
	run_end(&r);
}

static void launch_in_another_shape(struct run *r)
{
	CHECK_STR(runs_as(r, 10, 4), "a");
}

static void a_better_binary_follows_in_the_next_round(void)
{
	struct run r;
	struct testvgpu to;

	run_begin(&r);
	run_source(&r, 10, "text");
	CHECK_EQ(run_answer(&r, run_build(&r, 10, "a")), CL_SUCCESS);
	CHECK_STR(runs(&r, 10), "a");
	run_leave(&r, &to, launch_in_another_shape);
	run_arrive(&r, &to);
	CHECK_EQ(noted.takes, 2);
	launch_again(&r);
	run_move(&r); // it had both
	CHECK_EQ(noted.takes, 0);
	run_end(&r);
}

// What was refused is not passed on, and what launches had code for is compiled here again.
static void a_binary_is_taken_anew_where_the_one_before_was_refused(void)
{
	struct run r;

	run_begin(&r);
	run_source(&r, 10, "text");
	CHECK_EQ(run_answer(&r, run_build(&r, 10, "a")), CL_SUCCESS);
	launch_again(&r);
	atomic_store(&noted.refuses_natives, true);
	run_move(&r);
	CHECK_EQ(noted.builds, 1);
	atomic_store(&noted.refuses_natives, false);
	launch_again(&r);
	run_move(&r);
	CHECK_EQ(noted.takes, 1);
	CHECK_EQ(noted.builds, 0);
	launch_again(&r);
	run_end(&r);
}

static void a_parts_binary_is_had_after_a_move(void)
{
	struct run r;

	run_begin_with_moved_part(&r);
	uint32_t query = SEND(&r, program_query_binary, 0, .program = 11);
	CHECK_EQ(run_answer(&r, query), CL_SUCCESS);
	CHECK_EQ(noted.compiles, 0);
	run_end(&r);
}

// It moves while its binary is being taken for the guest.
static void a_question_for_a_binary_moves(void)
{
	struct run r;
	struct testvgpu to;

	run_begin(&r);
	run_source(&r, 11, "text");
	CHECK_EQ(run_answer(&r, run_build(&r, 11, "a")), CL_SUCCESS);
	run_move(&r); // has taken the native binary: the next move need not
	atomic_store(&noted.holds_binaries, true);
	uint32_t first = SEND(&r, program_query_binary, 0, .program = 11);
	uint32_t second = SEND(&r, program_query_binary, 0, .program = 11);
	run_leave(&r, &to, NULL);
	atomic_store(&noted.holds_binaries, false);
	run_arrive(&r, &to);
	CHECK_EQ(run_answer(&r, first), CL_SUCCESS);
	CHECK_EQ(run_answer(&r, second), CL_SUCCESS);
	run_end(&r);
}

static uint32_t query_type(struct run *r, uint32_t id)
{
	return SEND(r, program_query_type, 0, .program = id);
}

static uint32_t load(struct run *r, uint32_t id, const uint8_t *bytes, size_t n)
{
	return SEND(
		r, program_binary, 0, .id = id, .context = 1, .total = n, .bytes = { bytes, n });
}

static void a_binary_is_one_that_this_device_gave(void)
{
	_cleanup_buf_ struct buf sealed = { 0 };
	const struct p_blob binary = { (const uint8_t *)"binary", 7 };
	struct run r;

	run_begin(&r);
	seal_put(&sealed, "another key", binary);
	CHECK_EQ(run_answer(&r, load(&r, 11, sealed.data, sealed.len)), CL_INVALID_BINARY);
	CHECK_EQ(run_answer(&r, load(&r, 12, binary.at, binary.n)), CL_INVALID_BINARY);
	CHECK_EQ(run_answer(&r, run_build(&r, 12, "")), CL_INVALID_BINARY);
	uint32_t query = SEND(&r, program_query_binary, 0, .program = 12);
	// The device of this test makes one of anything.
	CHECK_EQ(run_answer(&r, query), CL_SUCCESS);
	run_end(&r);
}

// It moves while its bytes arrive.
static void a_binary_arrives_in_two_places(void)
{
	_cleanup_buf_ struct buf sealed = { 0 };
	struct run r;

	run_begin(&r);
	seal_put(&sealed, "key", (struct p_blob){ (const uint8_t *)"binary", 7 });
	uint32_t stream = SEND(&r, program_binary, 0, .id = 11, .context = 1, .total = sealed.len,
		.bytes = { sealed.data, 20 });
	run_move(&r);
	SEND(&r, data, 0, .stream = stream, .offset = 20,
		.bytes = { sealed.data + 20, sealed.len - 20 });
	CHECK_EQ(run_answer(&r, stream), CL_SUCCESS);
	CHECK_EQ(run_answer(&r, run_build(&r, 11, "")), CL_SUCCESS);
	CHECK_STR(runs(&r, 11), "binary");
	run_end(&r);
}

static void leave_and_build(struct run *r, struct testvgpu *to)
{
	run_leave(r, to, NULL);
	while (to->v->restoring)
		loop_once(r->t.loop, 1);
}

static void move_a_binary_to(struct run *r, struct testvgpu *to, bool takes_it)
{
	_cleanup_buf_ struct buf sealed = { 0 };

	run_begin(r);
	seal_put(&sealed, "key", (struct p_blob){ (const uint8_t *)"binary", 7 });
	CHECK_EQ(run_answer(r, load(r, 11, sealed.data, sealed.len)), CL_SUCCESS);
	CHECK_EQ(run_answer(r, run_build(r, 11, "")), CL_SUCCESS);
	atomic_store(&noted.refuses_natives, !takes_it);
	leave_and_build(r, to);
}

// There is no source to build it of: the guest's launches would fail there, and nobody would say so.
static void a_binary_that_the_other_device_refuses_is_noted(void)
{
	struct run r;
	struct testvgpu to;

	move_a_binary_to(&r, &to, false);
	CHECK_EQ(to.v->not_rebuilt, CL_INVALID_BINARY);
	testvgpu_stop(&to);
	gate_open(r.t.v);
	atomic_store(&noted.refuses_natives, false);
	CHECK_STR(runs(&r, 11), "binary");
	run_end(&r);
	move_a_binary_to(&r, &to, true);
	CHECK_EQ(to.v->not_rebuilt, 0);
	run_arrive(&r, &to);
	CHECK_STR(runs(&r, 11), "binary");
	run_end(&r);
}

// Neither a build that failed nor one that is under way was executable.
static void programs_that_do_not_build_move(void)
{
	struct run r;
	struct testvgpu to;

	run_begin(&r);
	run_source(&r, 11, "wrong");
	CHECK_EQ(run_answer(&r, run_compile(&r, 11, "")), CL_COMPILE_PROGRAM_FAILURE);
	CHECK_EQ(run_answer(&r, load(&r, 12, (const uint8_t *)"no binary", 9)), CL_INVALID_BINARY);
	CHECK_EQ(run_answer(&r, run_build(&r, 12, "")), CL_INVALID_BINARY);
	leave_and_build(&r, &to);
	CHECK_EQ(to.v->not_rebuilt, 0);
	run_arrive(&r, &to);
	run_end(&r);
}

// What a binary is was asked for, and it is built after a move.
static void a_loaded_binary_moves(void)
{
	_cleanup_buf_ struct buf sealed = { 0 };
	struct run r;

	run_begin(&r);
	seal_put(&sealed, "key", (struct p_blob){ (const uint8_t *)"binary", 7 });
	CHECK_EQ(run_answer(&r, load(&r, 11, sealed.data, sealed.len)), CL_SUCCESS);
	CHECK_EQ(run_answer(&r, query_type(&r, 11)), CL_SUCCESS);
	run_move(&r);
	CHECK_EQ(run_answer(&r, run_build(&r, 11, "")), CL_SUCCESS);
	CHECK_STR(runs(&r, 11), "binary");
	CHECK_EQ(run_answer(&r, query_type(&r, 11)), CL_INVALID_OPERATION);
	run_end(&r);
}

int main(void)
{
	RUN(a_linked_program_is_taken_again_without_its_parts_being_compiled);
	RUN(a_binary_is_taken_again_only_when_a_launch_has_another_shape);
	RUN(a_better_binary_follows_in_the_next_round);
	RUN(a_binary_is_taken_anew_where_the_one_before_was_refused);
	RUN(a_parts_binary_is_had_after_a_move);
	RUN(a_question_for_a_binary_moves);
	RUN(a_binary_is_one_that_this_device_gave);
	RUN(a_binary_arrives_in_two_places);
	RUN(a_loaded_binary_moves);
	RUN(a_binary_that_the_other_device_refuses_is_noted);
	RUN(programs_that_do_not_build_move);
}
