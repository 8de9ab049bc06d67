// SPDX-License-Identifier: Apache-2.0
// Programs that move, on a device that notes what it is asked to build: what the destination has
// afterwards, and what that took.
#include "vgpu/testing/testprograms.h"

#include "base/test.h"

#include <sys/socket.h>

static void build_anew(struct run *r)
{
	CHECK_EQ(run_answer(r, run_build(r, 10, "new")), CL_SUCCESS);
}

static void a_program_that_was_built_anew_is_the_new_one(void)
{
	struct run r;

	run_begin(&r);
	run_source(&r, 10, "text");
	CHECK_EQ(run_answer(&r, run_build(&r, 10, "old")), CL_SUCCESS);
	run_move(&r);
	CHECK_STR(runs(&r, 10), "old");
	run_move(&r);
	build_anew(&r);
	run_move(&r);
	CHECK_STR(runs(&r, 10), "new");
	run_end(&r);
}

static void a_program_that_is_built_anew_while_it_moves_is_the_new_one(void)
{
	struct run r;
	struct testvgpu to;

	run_begin(&r);
	run_source(&r, 10, "text");
	CHECK_EQ(run_answer(&r, run_build(&r, 10, "old")), CL_SUCCESS);
	CHECK_STR(runs(&r, 10), "old");
	run_leave(&r, &to, build_anew);
	run_arrive(&r, &to);
	CHECK_STR(runs(&r, 10), "new");
	run_end(&r);
}

// A launch of a kernel that is none waits for its turn to fail.
static void a_launch_that_failed_moves(void)
{
	struct run r;

	run_begin(&r);
	run_source(&r, 10, "text");
	SEND(&r, kernel_create, 0, .id = 20, .program = 10, .name = TEXT("k"));
	SEND(&r, user_event_create, 0, .id = 21, .context = 1);
	SEND(&r, launch, 0, .queue = 2, .kernel = 20, .dims = 1, .global = { { 1, 1, 1 } });
	SEND(&r, marker, 0, .queue = 2, .waits = WAITS(21));
	SEND(&r, launch, 0, .queue = 2, .kernel = 20, .dims = 1, .global = { { 1, 1, 1 } });
	run_move(&r);
	SEND(&r, user_event_set, 0, .event = 21, .status = CL_COMPLETE);
	uint32_t seq = SEND(&r, finish, 0, .queue = 2);
	CHECK_EQ(run_answer(&r, seq), CL_SUCCESS);
	run_end(&r);
}

static void linked_programs_move(void)
{
	struct run r;

	run_begin(&r);
	run_link_of_two(&r);
	CHECK_STR(runs(&r, 10), "ab");
	run_move(&r);
	CHECK_STR(runs(&r, 10), "ab");
	run_end(&r);
}

static void parts_are_not_compiled_where_the_binary_came_along(void)
{
	struct run r;

	run_begin(&r);
	run_link_of_two(&r);
	run_move(&r);
	run_move(&r); // made of the binary here, whose parts were never compiled here
	CHECK_STR(runs(&r, 10), "ab");
	CHECK_EQ(noted.compiles + noted.links + noted.builds, 0);
	run_end(&r);
}

static void parts_are_compiled_where_the_driver_refuses_the_binary(void)
{
	struct run r;

	run_begin(&r);
	run_link_of_two(&r);
	SEND(&r, release, 0, .objects = WAITS(11, 12));
	run_move(&r);
	atomic_store(&noted.refuses_natives, true);
	run_move(&r);
	CHECK_EQ(noted.compiles, 2);
	CHECK_EQ(noted.links, 1);
	CHECK_STR(runs(&r, 10), "ab");
	run_end(&r);
}

static void link_parts_again(struct run *r, int late)
{
	CHECK_EQ(run_answer(r, run_link(r, 20, WAITS(12))), CL_SUCCESS);
	CHECK_EQ(noted.compiles, late);
	CHECK_STR(runs(r, 20), "b");
	CHECK_EQ(run_answer(r, run_link(r, 21, WAITS(12, 11))), CL_SUCCESS);
	CHECK_EQ(noted.compiles, 2 * late);
	CHECK_STR(runs(r, 21), "ba");
	CHECK_STR(runs(r, 10), "ab");
}

static void parts_come_compiled_for_what_the_guest_links_of_them(void)
{
	struct run r;

	run_begin(&r);
	run_link_of_two(&r);
	run_move(&r);
	run_move(&r);
	link_parts_again(&r, 0);
	run_end(&r);
}

static void parts_are_compiled_when_the_guest_links_them(void)
{
	struct run r;

	run_begin(&r);
	run_link_of_two(&r);
	run_move(&r);
	run_move(&r);
	atomic_store(&noted.refuses_natives, true);
	link_parts_again(&r, 1);
	run_end(&r);
}

static void a_part_that_failed_is_no_part_afterwards(void)
{
	struct run r;

	run_begin(&r);
	run_source(&r, 11, "wrong");
	run_source(&r, 12, "never compiled");
	CHECK_EQ(run_answer(&r, run_compile(&r, 11, "")), CL_COMPILE_PROGRAM_FAILURE);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(run_answer(&r, run_link(&r, 20, WAITS(11))), CL_INVALID_OPERATION);
		CHECK_EQ(run_answer(&r, run_link(&r, 21, WAITS(12))), CL_INVALID_PROGRAM);
		SEND(&r, release, 0, .objects = WAITS(20, 21));
		run_move(&r);
	}
	run_end(&r);
}

// A part that has to be compiled here before anything is linked of it, and is not until holds is cleared.
static void begin_with_late_part(struct run *r)
{
	run_begin_with_moved_part(r);
	atomic_store(&noted.refuses_natives, true);
	atomic_store(&noted.holds, true);
}

// Everything that the guest may do to a part while it is compiled late.
static void a_part_can_be_used_while_it_is_compiled(void)
{
	struct run r;

	begin_with_late_part(&r);
	uint32_t first = run_link(&r, 20, WAITS(11));
	uint32_t second = run_link(&r, 21, WAITS(11));
	uint32_t anew = run_compile(&r, 11, "b");
	run_feed(&r);
	uint32_t refused = run_link(&r, 22, WAITS(11));
	CHECK_EQ(run_answer(&r, refused), CL_INVALID_PROGRAM);
	CHECK_EQ(run_answer(&r, run_compile(&r, 11, "c")), CL_INVALID_OPERATION);
	atomic_store(&noted.holds, false);
	CHECK_EQ(run_answer(&r, first), CL_SUCCESS);
	CHECK_EQ(run_answer(&r, second), CL_SUCCESS);
	CHECK_EQ(run_answer(&r, anew), CL_SUCCESS);
	CHECK_EQ(noted.compiles, 2);
	CHECK_STR(runs(&r, 20), "a");
	CHECK_STR(runs(&r, 21), "a");
	CHECK_EQ(run_answer(&r, run_link(&r, 23, WAITS(11))), CL_SUCCESS);
	CHECK_STR(runs(&r, 23), "b");
	run_end(&r);
}

// It moves while it is compiled late, with another compilation asked for.
static void a_part_that_is_compiled_late_moves_on(void)
{
	struct run r;
	struct testvgpu to;

	begin_with_late_part(&r);
	uint32_t linked = run_link(&r, 20, WAITS(11));
	uint32_t anew = run_compile(&r, 11, "b");
	run_leave(&r, &to, NULL);
	atomic_store(&noted.holds, false);
	run_arrive(&r, &to);
	CHECK_EQ(run_answer(&r, anew), CL_SUCCESS); // in the objects' order
	CHECK_EQ(run_answer(&r, linked), CL_SUCCESS);
	CHECK_EQ(run_answer(&r, run_link(&r, 21, WAITS(11))), CL_SUCCESS);
	CHECK_STR(runs(&r, 21), "b");
	run_end(&r);
}

static uint32_t compile_with(struct run *r, uint32_t id, uint32_t header)
{
	return SEND(r, program_compile, 0, .program = id, .headers = WAITS(header),
		.names = BYTES("h", 2));
}

static void a_header_moves_with_what_needs_it(void)
{
	struct run r;

	run_begin(&r);
	run_source(&r, 11, "part");
	run_source(&r, 12, "header");
	CHECK_EQ(run_answer(&r, compile_with(&r, 11, 12)), CL_SUCCESS);
	CHECK_STR(noted.last_header, "header");
	noted.last_header[0] = 0;
	run_move(&r);
	CHECK_EQ(run_answer(&r, run_link(&r, 10, WAITS(11))), CL_SUCCESS);
	CHECK_STR(noted.last_header, "header");
	run_end(&r);
}

static void programs_can_be_each_others_headers(void)
{
	struct run r;

	run_begin(&r);
	run_source(&r, 11, "first");
	run_source(&r, 12, "second");
	CHECK_EQ(run_answer(&r, compile_with(&r, 11, 12)), CL_SUCCESS);
	CHECK_EQ(run_answer(&r, compile_with(&r, 12, 11)), CL_SUCCESS);
	uint32_t query = SEND(&r, program_query_binary, 0, .program = 11);
	CHECK_EQ(run_answer(&r, query), CL_SUCCESS);
	run_move(&r);
	CHECK_EQ(run_answer(&r, run_link(&r, 10, WAITS(11, 12))), CL_SUCCESS);
	SEND(&r, release, 0, .objects = WAITS(11, 12));
	run_feed(&r);
	shutdown(r.t.guest, SHUT_RDWR);
	for (int i = 0; r.t.v->registry.n && i < 1000; i++)
		testvgpu_settle(&r.t);
	CHECK_EQ(r.t.v->registry.n, 0);
	run_end(&r);
}

static void what_nobody_defines_fails_on_every_host(void)
{
	struct run r;

	run_begin(&r);
	run_source(&r, 11, "overloadable nobody");
	run_source(&r, 12, "overloadable somebody");
	run_source(&r, 13, "overloadable nobody");
	CHECK_EQ(run_answer(&r, run_build(&r, 11, "")), CL_BUILD_PROGRAM_FAILURE);
	CHECK_EQ(run_answer(&r, run_build(&r, 12, "")), CL_SUCCESS);
	CHECK_EQ(run_answer(&r, run_compile(&r, 13, "")), CL_SUCCESS);
	CHECK_EQ(run_answer(&r, run_link(&r, 14, WAITS(13))), CL_LINK_PROGRAM_FAILURE);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(run_answer(&r, run_new_kernel(&r, 11)), CL_INVALID_PROGRAM_EXECUTABLE);
		SEND(&r, release, 0, .objects = WAITS(99));
		CHECK_EQ(run_answer(&r, run_new_kernel(&r, 14)), CL_INVALID_PROGRAM_EXECUTABLE);
		SEND(&r, release, 0, .objects = WAITS(99));
		CHECK_EQ(run_answer(&r, run_new_kernel(&r, 12)), CL_SUCCESS);
		SEND(&r, release, 0, .objects = WAITS(99));
		if (i == 0)
			run_move(&r);
	}
	CHECK_EQ(run_answer(&r, run_build(&r, 11, "")), CL_BUILD_PROGRAM_FAILURE);
	run_end(&r);
}

// Each noted.holds the one before twice: nobody follows that all the way down.
static void libraries_of_libraries_end(void)
{
	const uint32_t levels = 18;
	struct run r;

	run_begin(&r);
	run_source(&r, 10, "part");
	CHECK_EQ(run_answer(&r, run_compile(&r, 10, "")), CL_SUCCESS);
	for (uint32_t i = 0; i < levels; i++)
		run_answer(&r, run_link(&r, 11 + i, WAITS(10 + i, 10 + i)));
	uint32_t query = SEND(&r, program_query_binary, 0, .program = 10 + levels);
	CHECK_EQ(run_answer(&r, query), CL_OUT_OF_RESOURCES);
	run_move(&r);
	query = SEND(&r, program_query_binary, 0, .program = 10);
	CHECK_EQ(run_answer(&r, query), CL_SUCCESS);
	run_end(&r);
}

int main(void)
{
	RUN(a_launch_that_failed_moves);
	RUN(linked_programs_move);
	RUN(parts_are_not_compiled_where_the_binary_came_along);
	RUN(parts_are_compiled_where_the_driver_refuses_the_binary);
	RUN(parts_come_compiled_for_what_the_guest_links_of_them);
	RUN(parts_are_compiled_when_the_guest_links_them);
	RUN(a_part_that_failed_is_no_part_afterwards);
	RUN(a_part_can_be_used_while_it_is_compiled);
	RUN(a_part_that_is_compiled_late_moves_on);
	RUN(a_header_moves_with_what_needs_it);
	RUN(programs_can_be_each_others_headers);
	RUN(what_nobody_defines_fails_on_every_host);
	RUN(libraries_of_libraries_end);
	RUN(a_program_that_was_built_anew_is_the_new_one);
	RUN(a_program_that_is_built_anew_while_it_moves_is_the_new_one);
}
