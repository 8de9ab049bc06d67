// SPDX-License-Identifier: Apache-2.0
// Programs that move, on a device that notes what it is asked to build: what the destination has
// afterwards, and what that took.
#include "vgpu/testing/fake_backend.h"
#include "vgpu/testing/testclient.h"
#include "vgpu/testing/testvgpu.h"
#include "vgpu/session/seal.h"

#include "base/test.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

// ---- the device: a program is its text and what it was made with

struct be_program {
	bool is_built, is_native;
	int kind;
	char text[64], made_with[64]; // options; of a linked one its parts'
};

static struct backend_ops device;
static atomic_int builds, compiles, links, takes;
static atomic_bool refuses_natives;
static atomic_bool holds; // compilations wait
static atomic_bool holds_binaries;
static char running[64];     // made_with of the program whose kernel was made last
static char last_header[64]; // text of the header that was last compiled with
static const char
	*last_input; // what the last part was that a binary was taken of: "native", "text"

static int open_device(const struct be_config *config, struct backend **ret, struct ferry_error *e)
{
	int r = backend_fake.open(config, ret, e);

	if (r == 0)
		(*ret)->ops = &device;
	return r;
}

static struct be_program *new_program(const char *text, size_t n)
{
	struct be_program *p = calloc(1, sizeof *p);

	CHECK(p && n < sizeof p->text);
	memcpy(p->text, text, n);
	return p;
}

static cl_int note_source(struct backend *be, const char *text, size_t n, struct be_program **ret)
{
	*ret = new_program(text, n);
	return CL_SUCCESS;
}

static cl_int note_binary(struct backend *be, const void *bytes, size_t n, struct be_program **ret)
{
	if (atomic_load(&refuses_natives))
		return CL_INVALID_BINARY;
	*ret = new_program("", 0);
	(*ret)->is_native = true;
	CHECK(n < sizeof(*ret)->made_with);
	memcpy((*ret)->made_with, bytes, n);
	return CL_SUCCESS;
}

static void note_free(struct be_program *p)
{
	free(p);
}

static cl_int compile(struct be_program *p, const struct be_build *how)
{
	while (atomic_load(&holds))
		usleep(1000);
	atomic_fetch_add(&compiles, 1);
	for (uint32_t i = 0; i < how->n_inputs; i++)
		snprintf(last_header, sizeof last_header, "%s", how->inputs[i]->text);
	p->is_built = !strstr(p->text, "wrong");
	return p->is_built ? CL_SUCCESS : CL_COMPILE_PROGRAM_FAILURE;
}

static cl_int link_parts(struct be_program **ret, const struct be_build *how)
{
	atomic_fetch_add(&links, 1);
	*ret = new_program("", 0);
	for (uint32_t i = 0; i < how->n_inputs; i++) {
		const struct be_program *part = how->inputs[i];
		if (!part->is_built || part->kind != BE_COMPILE)
			return CL_INVALID_OPERATION;
		size_t n = strlen((*ret)->made_with);
		snprintf((*ret)->made_with + n, sizeof(*ret)->made_with - n, "%s", part->made_with);
	}
	(*ret)->is_built = true;
	return CL_SUCCESS;
}

static cl_int note_build(struct backend *be, struct be_program **p, const struct be_build *how)
{
	cl_int err = CL_SUCCESS;

	if (how->kind == BE_LINK)
		err = link_parts(p, how);
	else if (how->kind == BE_COMPILE)
		err = compile(*p, how);
	else if (how->kind == BE_LOAD)
		(*p)->is_built = (*p)->is_native;
	else if (!(*p)->is_native)
		atomic_fetch_add(&builds, 1);
	(*p)->kind = how->kind == BE_LOAD ? BE_COMPILE : how->kind;
	if (how->kind == BE_LINK || (*p)->is_native)
		return err;
	snprintf((*p)->made_with, sizeof(*p)->made_with, "%s", how->options);
	return err;
}

static int note_result(struct be_program *p, struct buf *body)
{
	return p_put_build_result_item(
		body, &(struct p_build_result){ .build_status = CL_BUILD_SUCCESS,
			      .binary_type = p->kind == BE_COMPILE
						     ? CL_PROGRAM_BINARY_TYPE_COMPILED_OBJECT
						     : CL_PROGRAM_BINARY_TYPE_EXECUTABLE });
}

static void put_binary(const struct be_origin *from, struct buf *binary)
{
	if (from->binary)
		buf_put(binary, from->bytes.data, from->bytes.len);
	else if (from->kind == BE_LINK)
		for (uint32_t i = 0; i < from->n_inputs; i++) {
			last_input = from->inputs[i].binary ? "native" : "text";
			put_binary(&from->inputs[i], binary);
		}
	else
		buf_put(binary, from->options, strlen(from->options));
}

// The bytes are what it was made with.
static cl_int note_get_binary(struct backend *be, const struct be_origin *from, struct buf *binary)
{
	while (atomic_load(&holds_binaries))
		usleep(1000);
	atomic_fetch_add(&takes, 1);
	put_binary(from, binary);
	return CL_SUCCESS;
}

static void note_lacks(struct backend *be, const struct be_origin *from, struct buf *name)
{
	if (from->bytes.len && memmem(from->bytes.data, from->bytes.len, "nobody", 6))
		buf_put(name, "nobody", 6);
	for (uint32_t i = 0; i < from->n_inputs; i++)
		note_lacks(be, &from->inputs[i], name);
}

static cl_int note_kernel(
	struct be_program *p, const char *name, struct be_kernel **ret, uint32_t *ret_args)
{
	snprintf(running, sizeof running, "%s", p->made_with);
	return backend_fake.kernel_new(p, name, ret, ret_args);
}

static void set_up_device(void)
{
	device = backend_fake;
	device.open = open_device;
	device.program_source = note_source;
	device.program_binary = note_binary;
	device.program_free = note_free;
	device.build = note_build;
	device.build_result = note_result;
	device.program_get_binary = note_get_binary;
	device.program_lacks = note_lacks;
	device.kernel_new = note_kernel;
}

// ---- the guest

struct run {
	struct testvgpu t;
	struct buf out; // as a testclient has it: for SEND
	uint32_t seq;
};

static void begin(struct run *r)
{
	*r = (struct run){ 0 };
	atomic_store(&refuses_natives, false);
	testvgpu_start(&r->t, loop_new(), &device);
	SEND(r, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	SEND(r, context_create, 0, .id = 1);
	SEND(r, queue_create, 0, .id = 2, .context = 1);
	SEND(r, buffer_create, 0, .id = 3, .context = 1, .size = 4096);
}

static void end(struct run *r)
{
	struct loop *loop = r->t.loop;

	testvgpu_stop(&r->t);
	buf_free(&r->out);
	loop_free(loop);
}

static void forget_counts(void)
{
	builds = compiles = links = takes = 0;
}

static void feed(struct run *r)
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

static int32_t answer(struct run *r, uint32_t seq)
{
	int32_t status = 0;
	int left = 5000;

	feed(r);
	while (!find_answer(r, seq, &status) && --left)
		testvgpu_settle(&r->t);
	CHECK(left);
	return status;
}

static void source(struct run *r, uint32_t id, const char *text)
{
	SEND(r, program_source, 0, .id = id, .context = 1, .total = strlen(text),
		.bytes = TEXT(text));
}

static uint32_t build(struct run *r, uint32_t id, const char *options)
{
	return SEND(r, program_build, 0, .program = id, .options = TEXT(options));
}

static uint32_t compile_part(struct run *r, uint32_t id, const char *options)
{
	return SEND(r, program_compile, 0, .program = id, .options = TEXT(options));
}

static uint32_t compile_with(struct run *r, uint32_t id, uint32_t header)
{
	return SEND(r, program_compile, 0, .program = id, .headers = WAITS(header),
		.names = BYTES("h", 2));
}

static uint32_t link_program(struct run *r, uint32_t id, struct p_ids parts)
{
	return SEND(r, program_link, 0, .id = id, .context = 1, .inputs = parts);
}

static uint32_t new_kernel(struct run *r, uint32_t program)
{
	return SEND(r, kernel_create, P_ANSWER, .id = 99, .program = program, .name = TEXT("k"));
}

// Program 10 of the parts 11 and 12, as hashcat does it: the parts are let go of at once.
static void link_of_two(struct run *r)
{
	source(r, 11, "first");
	source(r, 12, "second");
	compile_part(r, 11, "a");
	CHECK_EQ(answer(r, compile_part(r, 12, "b")), CL_SUCCESS);
	CHECK_EQ(answer(r, link_program(r, 10, WAITS(11, 12))), CL_SUCCESS);
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

// What a kernel of this program is made of that is made now and launched with this local size.
static const char *runs_as(struct run *r, uint32_t program, uint64_t local)
{
	running[0] = 0;
	CHECK_EQ(answer(r, new_kernel(r, program)), CL_SUCCESS);
	launch_as(r, 99, local);
	CHECK_EQ(answer(r, finish(r)), CL_SUCCESS);
	SEND(r, release, 0, .objects = WAITS(99));
	feed(r);
	return running;
}

static const char *runs(struct run *r, uint32_t program)
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

// In two collections, with meanwhile(r) between them when not NULL.
static void leave(struct run *r, struct testvgpu *to, void (*meanwhile)(struct run *r))
{
	_cleanup_buf_ struct buf records = { 0 };
	struct state_source s;

	feed(r);
	forget_counts();
	state_source_begin(&s, r->t.v, true);
	testvgpu_start_incoming(to, r->t.loop, &device);
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

static void arrive(struct run *r, struct testvgpu *to)
{
	testvgpu_own(to);
	testvgpu_stop(&r->t);
	r->t = *to;
}

static void move(struct run *r)
{
	struct testvgpu to;

	leave(r, &to, NULL);
	arrive(r, &to);
}

// ---- tests

static void build_anew(struct run *r)
{
	CHECK_EQ(answer(r, build(r, 10, "new")), CL_SUCCESS);
}

static void a_program_that_was_built_anew_is_the_new_one(void)
{
	struct run r;

	begin(&r);
	source(&r, 10, "text");
	CHECK_EQ(answer(&r, build(&r, 10, "old")), CL_SUCCESS);
	move(&r);
	CHECK_STR(runs(&r, 10), "old");
	move(&r);
	build_anew(&r);
	move(&r);
	CHECK_STR(runs(&r, 10), "new");
	end(&r);
}

static void a_program_that_is_built_anew_while_it_moves_is_the_new_one(void)
{
	struct run r;
	struct testvgpu to;

	begin(&r);
	source(&r, 10, "text");
	CHECK_EQ(answer(&r, build(&r, 10, "old")), CL_SUCCESS);
	CHECK_STR(runs(&r, 10), "old");
	leave(&r, &to, build_anew);
	arrive(&r, &to);
	CHECK_STR(runs(&r, 10), "new");
	end(&r);
}

static void linked_programs_move(void)
{
	struct run r;

	begin(&r);
	link_of_two(&r);
	CHECK_STR(runs(&r, 10), "ab");
	move(&r);
	CHECK_STR(runs(&r, 10), "ab");
	end(&r);
}

static void parts_are_not_compiled_where_the_binary_came_along(void)
{
	struct run r;

	begin(&r);
	link_of_two(&r);
	move(&r);
	move(&r); // made of the binary here, whose parts were never compiled here
	CHECK_STR(runs(&r, 10), "ab");
	CHECK_EQ(compiles + links + builds, 0);
	end(&r);
}

static void parts_are_compiled_where_the_driver_refuses_the_binary(void)
{
	struct run r;

	begin(&r);
	link_of_two(&r);
	SEND(&r, release, 0, .objects = WAITS(11, 12));
	move(&r);
	atomic_store(&refuses_natives, true);
	move(&r);
	CHECK_EQ(compiles, 2);
	CHECK_EQ(links, 1);
	CHECK_STR(runs(&r, 10), "ab");
	end(&r);
}

static void link_parts_again(struct run *r, int late)
{
	CHECK_EQ(answer(r, link_program(r, 20, WAITS(12))), CL_SUCCESS);
	CHECK_EQ(compiles, late);
	CHECK_STR(runs(r, 20), "b");
	CHECK_EQ(answer(r, link_program(r, 21, WAITS(12, 11))), CL_SUCCESS);
	CHECK_EQ(compiles, 2 * late);
	CHECK_STR(runs(r, 21), "ba");
	CHECK_STR(runs(r, 10), "ab");
}

static void parts_come_compiled_for_what_the_guest_links_of_them(void)
{
	struct run r;

	begin(&r);
	link_of_two(&r);
	move(&r);
	move(&r);
	link_parts_again(&r, 0);
	end(&r);
}

static void parts_are_compiled_when_the_guest_links_them(void)
{
	struct run r;

	begin(&r);
	link_of_two(&r);
	move(&r);
	move(&r);
	atomic_store(&refuses_natives, true);
	link_parts_again(&r, 1);
	end(&r);
}

// A program linked of binaries is taken of the same ones again.
static void a_linked_program_is_taken_again_without_its_parts_being_compiled(void)
{
	struct run r;

	begin(&r);
	link_of_two(&r);
	move(&r);
	CHECK_EQ(takes, 3);
	move(&r);
	CHECK_EQ(takes, 0);
	CHECK_STR(runs_as(&r, 10, 4), "ab");
	move(&r);
	CHECK_EQ(takes, 1);
	CHECK_STR(last_input, "native");
	CHECK_EQ(compiles + links + builds, 0);
	CHECK_STR(runs_as(&r, 10, 4), "ab");
	end(&r);
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

	begin(&r);
	source(&r, 10, "text");
	CHECK_EQ(answer(&r, build(&r, 10, "a")), CL_SUCCESS);
	launch_again(&r);
	move(&r);
	CHECK_EQ(takes, 1);
	launch_again(&r);
	leave(&r, &to, launch_again);
	arrive(&r, &to);
	CHECK_EQ(takes, 0);
	CHECK_STR(runs_as(&r, 10, 2), "a");
	move(&r);
	CHECK_EQ(takes, 1);
	move(&r);
	CHECK_EQ(builds + compiles + takes, 0);
	CHECK_STR(runs_as(&r, 10, 2), "a");
	end(&r);
}

static void launch_in_another_shape(struct run *r)
{
	CHECK_STR(runs_as(r, 10, 4), "a");
}

static void a_better_binary_follows_in_the_next_round(void)
{
	struct run r;
	struct testvgpu to;

	begin(&r);
	source(&r, 10, "text");
	CHECK_EQ(answer(&r, build(&r, 10, "a")), CL_SUCCESS);
	CHECK_STR(runs(&r, 10), "a");
	leave(&r, &to, launch_in_another_shape);
	arrive(&r, &to);
	CHECK_EQ(takes, 2);
	launch_again(&r);
	move(&r); // it had both
	CHECK_EQ(takes, 0);
	end(&r);
}

// What was refused is not passed on, and what launches had code for is compiled here again.
static void a_binary_is_taken_anew_where_the_one_before_was_refused(void)
{
	struct run r;

	begin(&r);
	source(&r, 10, "text");
	CHECK_EQ(answer(&r, build(&r, 10, "a")), CL_SUCCESS);
	launch_again(&r);
	atomic_store(&refuses_natives, true);
	move(&r);
	CHECK_EQ(builds, 1);
	atomic_store(&refuses_natives, false);
	launch_again(&r);
	move(&r);
	CHECK_EQ(takes, 1);
	CHECK_EQ(builds, 0);
	launch_again(&r);
	end(&r);
}

static void a_part_that_failed_is_no_part_afterwards(void)
{
	struct run r;

	begin(&r);
	source(&r, 11, "wrong");
	source(&r, 12, "never compiled");
	CHECK_EQ(answer(&r, compile_part(&r, 11, "")), CL_COMPILE_PROGRAM_FAILURE);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(answer(&r, link_program(&r, 20, WAITS(11))), CL_INVALID_OPERATION);
		CHECK_EQ(answer(&r, link_program(&r, 21, WAITS(12))), CL_INVALID_PROGRAM);
		SEND(&r, release, 0, .objects = WAITS(20, 21));
		move(&r);
	}
	end(&r);
}

static void a_parts_binary_is_had_after_a_move(void)
{
	struct run r;

	begin(&r);
	source(&r, 11, "text");
	CHECK_EQ(answer(&r, compile_part(&r, 11, "a")), CL_SUCCESS);
	move(&r);
	uint32_t query = SEND(&r, program_query_binary, 0, .program = 11);
	CHECK_EQ(answer(&r, query), CL_SUCCESS);
	CHECK_EQ(compiles, 0);
	end(&r);
}

// Everything that the guest may do to a part while it is compiled late.
static void a_part_can_be_used_while_it_is_compiled(void)
{
	struct run r;

	begin(&r);
	source(&r, 11, "text");
	CHECK_EQ(answer(&r, compile_part(&r, 11, "a")), CL_SUCCESS);
	move(&r);
	atomic_store(&refuses_natives, true);
	atomic_store(&holds, true);
	uint32_t first = link_program(&r, 20, WAITS(11));
	uint32_t second = link_program(&r, 21, WAITS(11));
	uint32_t anew = compile_part(&r, 11, "b");
	feed(&r);
	uint32_t refused = link_program(&r, 22, WAITS(11));
	CHECK_EQ(answer(&r, refused), CL_INVALID_PROGRAM);
	CHECK_EQ(answer(&r, compile_part(&r, 11, "c")), CL_INVALID_OPERATION);
	atomic_store(&holds, false);
	CHECK_EQ(answer(&r, first), CL_SUCCESS);
	CHECK_EQ(answer(&r, second), CL_SUCCESS);
	CHECK_EQ(answer(&r, anew), CL_SUCCESS);
	CHECK_EQ(compiles, 2);
	CHECK_STR(runs(&r, 20), "a");
	CHECK_STR(runs(&r, 21), "a");
	CHECK_EQ(answer(&r, link_program(&r, 23, WAITS(11))), CL_SUCCESS);
	CHECK_STR(runs(&r, 23), "b");
	end(&r);
}

// It moves while it is compiled late, with another compilation asked for.
static void a_part_that_is_compiled_late_moves_on(void)
{
	struct run r;
	struct testvgpu to;

	begin(&r);
	source(&r, 11, "text");
	CHECK_EQ(answer(&r, compile_part(&r, 11, "a")), CL_SUCCESS);
	move(&r);
	atomic_store(&refuses_natives, true);
	atomic_store(&holds, true);
	uint32_t linked = link_program(&r, 20, WAITS(11));
	uint32_t anew = compile_part(&r, 11, "b");
	leave(&r, &to, NULL);
	atomic_store(&holds, false);
	arrive(&r, &to);
	CHECK_EQ(answer(&r, anew), CL_SUCCESS); // in the objects' order
	CHECK_EQ(answer(&r, linked), CL_SUCCESS);
	CHECK_EQ(answer(&r, link_program(&r, 21, WAITS(11))), CL_SUCCESS);
	CHECK_STR(runs(&r, 21), "b");
	end(&r);
}

// It moves while its binary is being taken for the guest.
static void a_question_for_a_binary_moves(void)
{
	struct run r;
	struct testvgpu to;

	begin(&r);
	source(&r, 11, "text");
	CHECK_EQ(answer(&r, build(&r, 11, "a")), CL_SUCCESS);
	move(&r); // has taken the native binary: the next move need not
	atomic_store(&holds_binaries, true);
	uint32_t first = SEND(&r, program_query_binary, 0, .program = 11);
	uint32_t second = SEND(&r, program_query_binary, 0, .program = 11);
	leave(&r, &to, NULL);
	atomic_store(&holds_binaries, false);
	arrive(&r, &to);
	CHECK_EQ(answer(&r, first), CL_SUCCESS);
	CHECK_EQ(answer(&r, second), CL_SUCCESS);
	end(&r);
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

	begin(&r);
	seal_put(&sealed, "another key", binary);
	CHECK_EQ(answer(&r, load(&r, 11, sealed.data, sealed.len)), CL_INVALID_BINARY);
	CHECK_EQ(answer(&r, load(&r, 12, binary.at, binary.n)), CL_INVALID_BINARY);
	CHECK_EQ(answer(&r, build(&r, 12, "")), CL_INVALID_BINARY);
	uint32_t query = SEND(&r, program_query_binary, 0, .program = 12);
	CHECK_EQ(answer(&r, query), CL_SUCCESS); // the device of this test makes one of anything
	end(&r);
}

// It moves while its bytes arrive.
static void a_binary_arrives_in_two_places(void)
{
	_cleanup_buf_ struct buf sealed = { 0 };
	struct run r;

	begin(&r);
	seal_put(&sealed, "key", (struct p_blob){ (const uint8_t *)"binary", 7 });
	uint32_t stream = SEND(&r, program_binary, 0, .id = 11, .context = 1, .total = sealed.len,
		.bytes = { sealed.data, 20 });
	move(&r);
	SEND(&r, data, 0, .stream = stream, .offset = 20,
		.bytes = { sealed.data + 20, sealed.len - 20 });
	CHECK_EQ(answer(&r, stream), CL_SUCCESS);
	CHECK_EQ(answer(&r, build(&r, 11, "")), CL_SUCCESS);
	CHECK_STR(runs(&r, 11), "binary");
	end(&r);
}

static void leave_and_build(struct run *r, struct testvgpu *to)
{
	leave(r, to, NULL);
	while (to->v->restoring)
		loop_once(r->t.loop, 1);
}

static void move_a_binary_to(struct run *r, struct testvgpu *to, bool takes_it)
{
	_cleanup_buf_ struct buf sealed = { 0 };

	begin(r);
	seal_put(&sealed, "key", (struct p_blob){ (const uint8_t *)"binary", 7 });
	CHECK_EQ(answer(r, load(r, 11, sealed.data, sealed.len)), CL_SUCCESS);
	CHECK_EQ(answer(r, build(r, 11, "")), CL_SUCCESS);
	atomic_store(&refuses_natives, !takes_it);
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
	atomic_store(&refuses_natives, false);
	CHECK_STR(runs(&r, 11), "binary");
	end(&r);
	move_a_binary_to(&r, &to, true);
	CHECK_EQ(to.v->not_rebuilt, 0);
	arrive(&r, &to);
	CHECK_STR(runs(&r, 11), "binary");
	end(&r);
}

// Neither a build that failed nor one that is under way was executable.
static void programs_that_do_not_build_move(void)
{
	struct run r;
	struct testvgpu to;

	begin(&r);
	source(&r, 11, "wrong");
	CHECK_EQ(answer(&r, compile_part(&r, 11, "")), CL_COMPILE_PROGRAM_FAILURE);
	CHECK_EQ(answer(&r, load(&r, 12, (const uint8_t *)"no binary", 9)), CL_INVALID_BINARY);
	CHECK_EQ(answer(&r, build(&r, 12, "")), CL_INVALID_BINARY);
	leave_and_build(&r, &to);
	CHECK_EQ(to.v->not_rebuilt, 0);
	arrive(&r, &to);
	end(&r);
}

// What a binary is was asked for, and it is built after a move.
static void a_loaded_binary_moves(void)
{
	_cleanup_buf_ struct buf sealed = { 0 };
	struct run r;

	begin(&r);
	seal_put(&sealed, "key", (struct p_blob){ (const uint8_t *)"binary", 7 });
	CHECK_EQ(answer(&r, load(&r, 11, sealed.data, sealed.len)), CL_SUCCESS);
	CHECK_EQ(answer(&r, query_type(&r, 11)), CL_SUCCESS);
	move(&r);
	CHECK_EQ(answer(&r, build(&r, 11, "")), CL_SUCCESS);
	CHECK_STR(runs(&r, 11), "binary");
	CHECK_EQ(answer(&r, query_type(&r, 11)), CL_INVALID_OPERATION);
	end(&r);
}

static void a_header_moves_with_what_needs_it(void)
{
	struct run r;

	begin(&r);
	source(&r, 11, "part");
	source(&r, 12, "header");
	CHECK_EQ(answer(&r, compile_with(&r, 11, 12)), CL_SUCCESS);
	CHECK_STR(last_header, "header");
	last_header[0] = 0;
	move(&r);
	CHECK_EQ(answer(&r, link_program(&r, 10, WAITS(11))), CL_SUCCESS);
	CHECK_STR(last_header, "header");
	end(&r);
}

static void programs_can_be_each_others_headers(void)
{
	struct run r;

	begin(&r);
	source(&r, 11, "first");
	source(&r, 12, "second");
	CHECK_EQ(answer(&r, compile_with(&r, 11, 12)), CL_SUCCESS);
	CHECK_EQ(answer(&r, compile_with(&r, 12, 11)), CL_SUCCESS);
	uint32_t query = SEND(&r, program_query_binary, 0, .program = 11);
	CHECK_EQ(answer(&r, query), CL_SUCCESS);
	move(&r);
	CHECK_EQ(answer(&r, link_program(&r, 10, WAITS(11, 12))), CL_SUCCESS);
	SEND(&r, release, 0, .objects = WAITS(11, 12));
	feed(&r);
	shutdown(r.t.guest, SHUT_RDWR);
	for (int i = 0; r.t.v->registry.n && i < 1000; i++)
		testvgpu_settle(&r.t);
	CHECK_EQ(r.t.v->registry.n, 0);
	end(&r);
}

static void what_nobody_defines_fails_on_every_host(void)
{
	struct run r;

	begin(&r);
	source(&r, 11, "overloadable nobody");
	source(&r, 12, "overloadable somebody");
	source(&r, 13, "overloadable nobody");
	CHECK_EQ(answer(&r, build(&r, 11, "")), CL_BUILD_PROGRAM_FAILURE);
	CHECK_EQ(answer(&r, build(&r, 12, "")), CL_SUCCESS);
	CHECK_EQ(answer(&r, compile_part(&r, 13, "")), CL_SUCCESS);
	CHECK_EQ(answer(&r, link_program(&r, 14, WAITS(13))), CL_LINK_PROGRAM_FAILURE);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(answer(&r, new_kernel(&r, 11)), CL_INVALID_PROGRAM_EXECUTABLE);
		SEND(&r, release, 0, .objects = WAITS(99));
		CHECK_EQ(answer(&r, new_kernel(&r, 14)), CL_INVALID_PROGRAM_EXECUTABLE);
		SEND(&r, release, 0, .objects = WAITS(99));
		CHECK_EQ(answer(&r, new_kernel(&r, 12)), CL_SUCCESS);
		SEND(&r, release, 0, .objects = WAITS(99));
		if (i == 0)
			move(&r);
	}
	CHECK_EQ(answer(&r, build(&r, 11, "")), CL_BUILD_PROGRAM_FAILURE);
	end(&r);
}

// Each holds the one before twice: nobody follows that all the way down.
static void libraries_of_libraries_end(void)
{
	const uint32_t levels = 18;
	struct run r;

	begin(&r);
	source(&r, 10, "part");
	CHECK_EQ(answer(&r, compile_part(&r, 10, "")), CL_SUCCESS);
	for (uint32_t i = 0; i < levels; i++)
		answer(&r, link_program(&r, 11 + i, WAITS(10 + i, 10 + i)));
	uint32_t query = SEND(&r, program_query_binary, 0, .program = 10 + levels);
	CHECK_EQ(answer(&r, query), CL_OUT_OF_RESOURCES);
	move(&r);
	query = SEND(&r, program_query_binary, 0, .program = 10);
	CHECK_EQ(answer(&r, query), CL_SUCCESS);
	end(&r);
}

int main(void)
{
	set_up_device();
	RUN(linked_programs_move);
	RUN(parts_are_not_compiled_where_the_binary_came_along);
	RUN(parts_are_compiled_where_the_driver_refuses_the_binary);
	RUN(parts_come_compiled_for_what_the_guest_links_of_them);
	RUN(parts_are_compiled_when_the_guest_links_them);
	RUN(a_linked_program_is_taken_again_without_its_parts_being_compiled);
	RUN(a_binary_is_taken_again_only_when_a_launch_has_another_shape);
	RUN(a_better_binary_follows_in_the_next_round);
	RUN(a_binary_is_taken_anew_where_the_one_before_was_refused);
	RUN(a_part_that_failed_is_no_part_afterwards);
	RUN(a_parts_binary_is_had_after_a_move);
	RUN(a_part_can_be_used_while_it_is_compiled);
	RUN(a_part_that_is_compiled_late_moves_on);
	RUN(a_question_for_a_binary_moves);
	RUN(a_binary_is_one_that_this_device_gave);
	RUN(a_binary_arrives_in_two_places);
	RUN(a_loaded_binary_moves);
	RUN(a_binary_that_the_other_device_refuses_is_noted);
	RUN(programs_that_do_not_build_move);
	RUN(a_header_moves_with_what_needs_it);
	RUN(programs_can_be_each_others_headers);
	RUN(what_nobody_defines_fails_on_every_host);
	RUN(libraries_of_libraries_end);
	RUN(a_program_that_was_built_anew_is_the_new_one);
	RUN(a_program_that_is_built_anew_while_it_moves_is_the_new_one);
}
