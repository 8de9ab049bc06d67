// SPDX-License-Identifier: Apache-2.0
// Object state of a peer that lies: records that are well formed and say what no ferry-vgpu says. Each is
// refused, or does no harm, also when the guest that comes with it plays along.
#include "vgpu/testing/fake_backend.h"
#include "vgpu/testing/testvgpu.h"

#include "base/test.h"
#include "vgpu/backend/backend.h"
#include "vgpu/session/port.h"
#include "vgpu/session/program.h"
#include "vgpu/session/session.h"
#include "vgpu/state/state_private.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

// Serials of what begin() makes; the objects' numbers are the same.
enum { SESSION = 1, CONTEXT, QUEUE, PROGRAM, KERNEL, BUFFER, EVENT, OTHER, OTHER_PROGRAM, NEXT };

#define REFUSED (-EBADMSG)

struct run {
	struct loop *loop;
	struct testvgpu t;
	int other; // the guest's end of port 1
	struct buf record;
};

static int apply(struct run *r)
{
	CHECK(!r->record.failed);
	int result = state_apply(r->t.v, r->record.data, r->record.len, NULL);

	buf_reset(&r->record);
	return result;
}

static struct buf *object(struct run *r, uint32_t type, uint64_t serial, uint64_t session)
{
	buf_reset(&r->record);
	state_put_head(&r->record, STATE_OBJECT, type, serial);
	s_put_object(&r->record, &(struct s_object){ session, (uint32_t)serial, 0 });
	return &r->record;
}

static struct buf *other_record(struct run *r, uint32_t kind, uint64_t serial)
{
	buf_reset(&r->record);
	state_put_head(&r->record, kind, 0, serial);
	return &r->record;
}

static void put_serials(struct buf *list, const uint64_t *serials, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_put_u64(list, serials[i]);
}

static int apply_session(struct run *r, uint64_t serial, uint32_t port)
{
	s_put_session(object(r, OBJECT_SESSION, serial, 0), &(struct s_session){ .port = port });
	return apply(r);
}

static int apply_buffer(struct run *r, uint64_t serial, uint64_t first)
{
	s_put_buffer(object(r, OBJECT_BUFFER, serial, SESSION),
		&(struct s_buffer){ .size = 64, .first = first, .count = 1 });
	return apply(r);
}

static int apply_part(struct run *r, uint64_t serial, uint64_t parent)
{
	s_put_buffer(object(r, OBJECT_BUFFER, serial, SESSION),
		&(struct s_buffer){ .size = 64, .parent = parent });
	return apply(r);
}

static int apply_text(struct run *r, uint64_t serial, uint64_t session, size_t n, size_t total)
{
	s_put_program(object(r, OBJECT_PROGRAM, serial, session),
		&(struct s_program){ .total = total, .text = { (const uint8_t *)"text", n } });
	return apply(r);
}

// One that is to be built here, of `input`; 0: of nothing.
static int apply_built(struct run *r, uint64_t serial, uint64_t input, uint32_t kind)
{
	_cleanup_buf_ struct buf inputs = { 0 };

	if (input)
		put_serials(&inputs, &input, 1);
	s_put_program(object(r, OBJECT_PROGRAM, serial, SESSION),
		&(struct s_program){ .requested = 1,
			.builds = 1,
			.total = 4,
			.text = { (const uint8_t *)"text", 4 },
			.kind = kind,
			.executable = kind == BE_BUILD,
			.inputs = p_blob_of(&inputs) });
	return apply(r);
}

static int apply_kernel(struct run *r)
{
	_cleanup_buf_ struct buf items = { 0 };

	for (int i = 0; i < 3; i++)
		s_put_arg(&items, &(struct s_arg){ 0 });
	s_put_kernel(object(r, OBJECT_KERNEL, KERNEL, SESSION),
		&(struct s_kernel){ .program = PROGRAM,
			.name = { (const uint8_t *)"k", 1 },
			.args = 3,
			.has_args = 1,
			.items = p_blob_of(&items) });
	return apply(r);
}

static void begin(struct run *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct port *port;
	int pair[2];

	*r = (struct run){ .loop = loop_new() };
	testvgpu_start_incoming(&r->t, r->loop, &backend_fake);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(port_new(r->t.v, 1, pair[0], dup(pair[1]), &port, &e), 0);
	r->other = pair[1];
	CHECK_EQ(apply_session(r, SESSION, 0), 0);
	object(r, OBJECT_CONTEXT, CONTEXT, SESSION);
	CHECK_EQ(apply(r), 0);
	s_put_queue(object(r, OBJECT_QUEUE, QUEUE, SESSION), &(struct s_queue){ 0 });
	CHECK_EQ(apply(r), 0);
	CHECK_EQ(apply_built(r, PROGRAM, 0, BE_BUILD), 0);
	CHECK_EQ(apply_kernel(r), 0);
	CHECK_EQ(apply_buffer(r, BUFFER, 0), 0);
	s_put_event(object(r, OBJECT_EVENT, EVENT, SESSION),
		&(struct s_event){ .user = 1, .status = CL_QUEUED });
	CHECK_EQ(apply(r), 0);
	CHECK_EQ(apply_session(r, OTHER, 1), 0);
	CHECK_EQ(apply_text(r, OTHER_PROGRAM, OTHER, 1, 4), 0);
}

static void end(struct run *r)
{
	testvgpu_own(&r->t);
	testvgpu_stop(&r->t);
	close(r->other);
	buf_free(&r->record);
	loop_free(r->loop);
}

// ---- commands

struct lists {
	uint64_t waits[2], holds[3];
	size_t n_waits, n_holds;
};

static struct buf *command(struct run *r, const struct s_command *how, const struct lists *lists)
{
	_cleanup_buf_ struct buf waits = { 0 }, holds = { 0 };
	struct s_command m = *how;

	put_serials(&waits, lists->waits, lists->n_waits);
	put_serials(&holds, lists->holds, lists->n_holds);
	m.waits = p_blob_of(&waits);
	m.holds = p_blob_of(&holds);
	if (!m.queue)
		m.queue = QUEUE;
	s_put_command(other_record(r, STATE_COMMAND, 0), &m);
	return &r->record;
}

static int apply_launch(struct run *r, uint32_t args)
{
	_cleanup_buf_ struct buf items = { 0 };

	for (uint32_t i = 0; i < args; i++)
		s_put_arg(&items, &(struct s_arg){ .kind = PROTO_ARG_BYTES, .is_set = 1 });
	command(r, &(struct s_command){ .op = p_op_launch },
		&(struct lists){ .holds = { KERNEL }, .n_holds = 1 });
	s_put_launch(&r->record, &(struct s_launch){ .kernel = KERNEL,
					 .dims = 1,
					 .args = args,
					 .has_args = 1,
					 .items = p_blob_of(&items) });
	return apply(r);
}

static void a_launch_has_the_arguments_of_its_kernel(void)
{
	struct run r;

	begin(&r);
	CHECK_EQ(apply_launch(&r, 4096), REFUSED);
	CHECK_EQ(apply_launch(&r, 2), REFUSED);
	CHECK_EQ(apply_launch(&r, 3), 0);
	end(&r);
}

static void a_command_holds_nothing_but_what_commands_use(void)
{
	static const uint64_t not_held[] = { SESSION, CONTEXT, QUEUE, PROGRAM, EVENT, NEXT + 1 };
	struct run r;

	begin(&r);
	s_put_queue(object(&r, OBJECT_QUEUE, NEXT + 1, SESSION), &(struct s_queue){ 0 });
	CHECK_EQ(apply(&r), 0);
	for (size_t i = 0; i < sizeof not_held / sizeof not_held[0]; i++) {
		command(&r, &(struct s_command){ .op = p_op_marker },
			&(struct lists){ .holds = { not_held[i] }, .n_holds = 1 });
		CHECK_EQ(apply(&r), REFUSED);
	}
	command(&r, &(struct s_command){ .op = p_op_marker },
		&(struct lists){ .holds = { BUFFER }, .n_holds = 1 });
	CHECK_EQ(apply(&r), 0);
	end(&r);
}

static void a_command_waits_for_its_own_sessions_events(void)
{
	struct run r;

	begin(&r);
	s_put_event(
		object(&r, OBJECT_EVENT, NEXT, OTHER), &(struct s_event){ .status = CL_QUEUED });
	CHECK_EQ(apply(&r), 0);
	command(&r, &(struct s_command){ .op = p_op_marker },
		&(struct lists){ .waits = { NEXT }, .n_waits = 1 });
	CHECK_EQ(apply(&r), REFUSED);
	command(&r, &(struct s_command){ .op = p_op_marker, .event = NEXT }, &(struct lists){ 0 });
	CHECK_EQ(apply(&r), REFUSED);
	end(&r);
}

static void a_status_is_an_error_or_none(void)
{
	struct run r;

	begin(&r);
	command(&r, &(struct s_command){ .op = p_op_marker, .status = 1 }, &(struct lists){ 0 });
	CHECK_EQ(apply(&r), REFUSED);
	end(&r);
}

static int apply_fill(struct run *r, uint64_t size, size_t pattern)
{
	command(r, &(struct s_command){ .op = p_op_fill },
		&(struct lists){ .holds = { BUFFER }, .n_holds = 1 });
	s_put_fill(&r->record, &(struct s_fill){ .buffer = BUFFER,
				       .size = size,
				       .pattern = { (const uint8_t *)"0123", pattern } });
	return apply(r);
}

static void a_fill_has_a_pattern_that_fits(void)
{
	struct run r;

	begin(&r);
	CHECK_EQ(apply_fill(&r, 12, 0), REFUSED);
	CHECK_EQ(apply_fill(&r, 12, 3), REFUSED);
	CHECK_EQ(apply_fill(&r, 10, 4), REFUSED);
	CHECK_EQ(apply_fill(&r, 12, 4), 0);
	end(&r);
}

// ---- streams

static int apply_stream(
	struct run *r, uint32_t port, uint64_t credit, uint64_t due, const struct buf *uploads)
{
	s_put_stream(
		other_record(r, STATE_STREAM, 0), &(struct s_stream){ .port = port,
							  .session = port ? OTHER : SESSION,
							  .credit = credit,
							  .credit_due = due,
							  .uploads = (uint32_t)(uploads->len / 32),
							  .items = p_blob_of(uploads) });
	return apply(r);
}

static void put_upload(struct buf *b, uint32_t seq, uint64_t program, uint64_t arrived)
{
	size_t before = b->len;

	s_put_upload(b, &(struct s_upload){
				.seq = seq, .program = program, .total = 4, .arrived = arrived });
	CHECK_EQ(b->len - before, 32);
}

static void more_text_comes_only_for_an_unfinished_program_of_the_session(void)
{
	static const uint64_t whose[][2] = { { OTHER_PROGRAM, 1 }, { PROGRAM, 0 }, { NEXT, 2 } };
	_cleanup_buf_ struct buf uploads = { 0 };
	struct run r;

	begin(&r);
	CHECK_EQ(apply_text(&r, NEXT, SESSION, 1, 4), 0);
	for (uint32_t i = 0; i < 3; i++) {
		buf_reset(&uploads);
		put_upload(&uploads, 100 + i, whose[i][0], whose[i][1]);
		CHECK_EQ(apply_stream(&r, 0, 0, 0, &uploads), REFUSED);
	}
	end(&r);
}

static void text_comes_from_one_message(void)
{
	_cleanup_buf_ struct buf uploads = { 0 };
	struct run r;

	begin(&r);
	put_upload(&uploads, 1, OTHER_PROGRAM, 1);
	put_upload(&uploads, 2, OTHER_PROGRAM, 1);
	CHECK_EQ(apply_stream(&r, 1, 0, 0, &uploads), REFUSED);
	end(&r);
}

static void credit_is_what_there_is_of_it(void)
{
	_cleanup_buf_ struct buf none = { 0 };
	struct run r;

	begin(&r);
	command(&r, &(struct s_command){ .op = p_op_marker, .cost = UINT32_MAX },
		&(struct lists){ 0 });
	CHECK_EQ(apply(&r), REFUSED);
	command(&r, &(struct s_command){ .op = p_op_marker, .cost = 100 }, &(struct lists){ 0 });
	CHECK_EQ(apply(&r), 0);
	CHECK_EQ(apply_stream(&r, 0, 0, INT64_MAX, &none), REFUSED);
	CHECK_EQ(apply_stream(&r, 0, VGPU_CREDIT - 100, 1, &none), REFUSED);
	CHECK_EQ(apply_stream(&r, 0, VGPU_CREDIT - 101, 1, &none), 0);
	end(&r);
}

static void objects_come_before_commands(void)
{
	struct run r;

	begin(&r);
	command(&r, &(struct s_command){ .op = p_op_marker }, &(struct lists){ 0 });
	CHECK_EQ(apply(&r), 0);
	CHECK_EQ(apply_buffer(&r, NEXT, 1), REFUSED);
	other_record(&r, STATE_REMOVED, QUEUE);
	CHECK_EQ(apply(&r), REFUSED);
	end(&r);
}

// ---- numbers

static int apply_end(struct run *r, uint64_t now_ns, uint64_t next_serial)
{
	s_put_end(other_record(r, STATE_END, 0), &(struct s_end){ now_ns, next_serial });
	return apply(r);
}

static void numbers_leave_room_for_those_to_come(void)
{
	struct run r;

	begin(&r);
	CHECK_EQ(apply_buffer(&r, UINT64_MAX, 1), REFUSED);
	CHECK_EQ(apply_end(&r, INT64_MAX, 1000), REFUSED);
	CHECK_EQ(apply_end(&r, UINT64_MAX, 1000), REFUSED);
	CHECK_EQ(apply_end(&r, 1000, UINT64_MAX), REFUSED);
	CHECK_EQ(apply_end(&r, 1000, 1000), 0);
	end(&r);
}

// ---- what keeps what alive

static void a_program_is_made_of_others_of_its_session(void)
{
	struct run r;

	begin(&r);
	CHECK_EQ(apply_built(&r, NEXT, NEXT, BE_COMPILE), REFUSED);
	CHECK_EQ(apply_text(&r, OTHER_PROGRAM, OTHER, 4, 4), 0);
	CHECK_EQ(apply_built(&r, NEXT, OTHER_PROGRAM, BE_COMPILE), REFUSED);
	CHECK_EQ(apply_built(&r, NEXT, PROGRAM, BE_COMPILE), 0);
	end(&r);
}

// What is older may be all that keeps what is younger.
static void what_only_another_object_keeps_goes_with_it(void)
{
	struct run r;

	begin(&r);
	CHECK_EQ(apply_buffer(&r, NEXT + 1, 1), 0);
	CHECK_EQ(apply_part(&r, NEXT, NEXT + 1), 0);
	other_record(&r, STATE_REMOVED, NEXT + 1);
	CHECK_EQ(apply(&r), 0);
	s_put_buffer(object(&r, OBJECT_BUFFER, NEXT, SESSION),
		&(struct s_buffer){ .size = 64, .parent = NEXT + 1 });
	r.record.data[24] = 0; // the guest has let it go
	CHECK_EQ(apply(&r), 0);
	end(&r);
}

int main(void)
{
	RUN(a_launch_has_the_arguments_of_its_kernel);
	RUN(a_command_holds_nothing_but_what_commands_use);
	RUN(a_command_waits_for_its_own_sessions_events);
	RUN(a_status_is_an_error_or_none);
	RUN(a_fill_has_a_pattern_that_fits);
	RUN(more_text_comes_only_for_an_unfinished_program_of_the_session);
	RUN(text_comes_from_one_message);
	RUN(credit_is_what_there_is_of_it);
	RUN(objects_come_before_commands);
	RUN(numbers_leave_room_for_those_to_come);
	RUN(a_program_is_made_of_others_of_its_session);
	RUN(what_only_another_object_keeps_goes_with_it);
}
