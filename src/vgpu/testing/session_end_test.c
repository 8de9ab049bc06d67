// SPDX-License-Identifier: Apache-2.0
// A guest process ends without a word, whatever it was in the middle of: everything that it held goes,
// at the latest when the device has done with it, and the next process has the port and the memory.
#include "vgpu/testing/fake_backend.h"
#include "vgpu/testing/testclient.h"
#include "vgpu/testing/testvgpu.h"

#include "base/cleanup.h"
#include "base/test.h"
#include "vgpu/session/port.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

// ---- a device that takes its time

static struct backend_ops device;
static atomic_bool holds_commands;                       // what was given is not over
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of the tokens
static void *tokens[64];
static size_t n_tokens;
static struct be_config config;

static int open_slowly(const struct be_config *c, struct backend **ret, struct ferry_error *e)
{
	int r = backend_fake.open(c, ret, e);

	config = *c;
	if (r == 0)
		(*ret)->ops = &device;
	return r;
}

static cl_int watch_slowly(struct backend *be, struct be_ticket *t, void *token)
{
	if (!atomic_load(&holds_commands))
		return backend_fake.ticket_watch(be, t, token);
	pthread_mutex_lock(&lock);
	CHECK(n_tokens < 64);
	tokens[n_tokens++] = token;
	pthread_mutex_unlock(&lock);
	return CL_SUCCESS;
}

static void let_go(void)
{
	fake_hold_compilers(false);
	atomic_store(&holds_commands, false);
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n_tokens; i++)
		config.complete(config.arg, tokens[i]);
	n_tokens = 0;
	pthread_mutex_unlock(&lock);
}

static void set_up_device(void)
{
	device = backend_fake;
	device.open = open_slowly;
	device.ticket_watch = watch_slowly;
}

// ---- the guest

struct run {
	struct testvgpu t;
	struct buf out; // as a testclient has it: for SEND
	uint32_t seq;
};

#define BIG (900u << 10)

static void feed(struct run *r)
{
	testvgpu_feed(&r->t, r->out.data, r->out.len);
	buf_reset(&r->out);
}

// Objects 1 to 5: context, queue, a buffer of most of the memory, a built program, its kernel.
static void say_hello(struct run *r)
{
	SEND(r, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	SEND(r, context_create, 0, .id = 1);
	SEND(r, queue_create, 0, .id = 2, .context = 1);
	SEND(r, buffer_create, 0, .id = 3, .context = 1, .size = BIG);
	SEND(r, program_source, 0, .id = 4, .context = 1, .total = 4, .bytes = TEXT("text"));
	SEND(r, program_build, 0, .program = 4);
	feed(r);
	for (int i = 0; i < 1000 && r->t.v->registry.n < 5; i++)
		testvgpu_settle(&r->t);
	for (int i = 0; i < 20; i++)
		testvgpu_settle(&r->t); // the build
	SEND(r, kernel_create, 0, .id = 5, .program = 4, .name = TEXT("k"));
	feed(r);
}

static void launch(struct run *r, uint32_t event, struct p_ids waits)
{
	_cleanup_buf_ struct buf args = { 0 };
	uint32_t four = 4;

	p_put_arg_item(&args, &(struct p_arg){ 0, PROTO_ARG_BUFFER, 3, { 0 } });
	p_put_arg_item(&args, &(struct p_arg){ 1, PROTO_ARG_BYTES, 0, BYTES(&four, 4) });
	p_put_arg_item(&args, &(struct p_arg){ 2, PROTO_ARG_LOCAL, 64, { 0 } });
	SEND(r, launch, 0, .queue = 2, .kernel = 5, .event = event, .dims = 1,
		.global = { { 1, 1, 1 } }, .waits = waits, .args = BYTES(args.data, args.len));
}

// ---- what it is in the middle of

static void nothing(struct run *r)
{
}

static void a_text(struct run *r)
{
	SEND(r, program_source, 0, .id = 6, .context = 1, .total = 1000, .bytes = TEXT("half"));
}

static void a_build(struct run *r)
{
	fake_hold_compilers(true);
	SEND(r, program_build, 0, .program = 4);
	SEND(r, program_source, 0, .id = 6, .context = 1, .total = 4, .bytes = TEXT("text"));
	SEND(r, program_build, 0, .program = 6); // and one that has not begun
}

static void a_link(struct run *r)
{
	SEND(r, program_source, 0, .id = 6, .context = 1, .total = 4, .bytes = TEXT("part"));
	SEND(r, program_compile, 0, .program = 6);
	feed(r);
	for (int i = 0; i < 20; i++)
		testvgpu_settle(&r->t);
	fake_hold_compilers(true);
	SEND(r, program_link, 0, .id = 7, .context = 1, .inputs = WAITS(6));
	SEND(r, release, 0, .objects = WAITS(6));
}

static void a_binary(struct run *r)
{
	fake_hold_compilers(true);
	SEND(r, program_query_binary, 0, .program = 4);
}

static void a_first_launch(struct run *r)
{
	fake_hold_compilers(true);
	launch(r, 8, (struct p_ids){ 0 });
	SEND(r, marker, 0, .queue = 2, .event = 9, .waits = WAITS(8));
}

static void a_kernel(struct run *r)
{
	launch(r, 8, (struct p_ids){ 0 });
	feed(r);
	for (int i = 0; i < 20; i++)
		testvgpu_settle(&r->t); // the driver compiles for it only once
	atomic_store(&holds_commands, true);
	for (uint32_t i = 0; i < 10; i++)
		launch(r, 20 + i, WAITS(8));
	SEND(r, finish, 0, .queue = 2);
}

static void a_wait(struct run *r)
{
	SEND(r, user_event_create, 0, .id = 10, .context = 1);
	launch(r, 11, WAITS(10));
	SEND(r, read, 0, .queue = 2, .buffer = 3, .size = 64, .waits = WAITS(11));
}

static void a_write(struct run *r)
{
	SEND(r, write, 0, .queue = 2, .buffer = 3, .event = 8, .size = 4096, .bytes = TEXT("half"));
}

static void a_frame(struct run *r)
{
	buf_put(&r->out, "\0\175\0\0half a frame", 16);
}

// Far more than the line and the backlog take.
static void a_read(struct run *r)
{
	r->t.deaf = true;
	for (int i = 0; i < 12; i++)
		SEND(r, read, 0, .queue = 2, .buffer = 3, .size = BIG);
}

static const struct {
	const char *name;
	void (*begin)(struct run *r);
} states[] = {
	{ "nothing", nothing },
	{ "a text", a_text },
	{ "a build", a_build },
	{ "a link", a_link },
	{ "a binary", a_binary },
	{ "a first launch", a_first_launch },
	{ "a kernel", a_kernel },
	{ "a wait for a user event", a_wait },
	{ "a write", a_write },
	{ "a frame", a_frame },
	{ "a read", a_read },
};

// ---- how it ends

// The port of a VM: QEMU says that nobody has it open any more.
static void closed(struct run *r)
{
	struct port *p = r->t.v->ports[0];
	uint64_t session = port_closed(p, 0);

	CHECK(session > 0);
	CHECK_EQ(port_closed(p, session), 0);
}

// The other end of the line is gone.
static void vanished(struct run *r)
{
	CHECK_EQ(shutdown(r->t.guest, SHUT_RDWR), 0);
	testvgpu_settle(&r->t);
}

// The next process begins before anybody hears that this one has ended.
static void replaced(struct run *r)
{
	struct port *p = r->t.v->ports[0];
	uint64_t session = port_closed(p, 0);

	r->t.deaf = false;
	SEND(r, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	feed(r);
	uint64_t next = port_closed(p, session);
	CHECK(next && next != session);
	CHECK_EQ(port_closed(p, session), next);
	closed(r);
}

// ---- tests

static void check_empty(struct run *r)
{
	struct vgpu *v = r->t.v;

	CHECK_EQ(v->n_sessions, 0);
	let_go();
	for (int i = 0; i < 1000 && v->registry.n; i++)
		testvgpu_settle(&r->t);
	CHECK_EQ(v->registry.n, 0);
	CHECK_EQ(v->n_commands, 0);
	CHECK_EQ(v->in_flight, 0);
	CHECK_EQ(page_space_allocated_bytes(v->space), 0);
	CHECK(!v->queues && !v->dirty);
}

static void check_next(struct run *r)
{
	r->t.deaf = false;
	testvgpu_settle(&r->t);
	say_hello(r);
	CHECK_EQ(page_space_allocated_bytes(r->t.v->space), BIG);
	closed(r);
	check_empty(r);
}

static void run_state(size_t i, void (*end)(struct run *r))
{
	struct run r = { 0 };
	struct loop *loop = loop_new();

	testvgpu_start(&r.t, loop, &device);
	say_hello(&r);
	CHECK_EQ(page_space_allocated_bytes(r.t.v->space), BIG);
	states[i].begin(&r);
	feed(&r);
	end(&r);
	check_empty(&r);
	if (end != vanished)
		check_next(&r);
	testvgpu_stop(&r.t);
	buf_free(&r.out);
	loop_free(loop);
}

static void run_all(void (*end)(struct run *r))
{
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		printf("   in the middle of %s\n", states[i].name);
		run_state(i, end);
	}
}

static void a_process_that_closes_its_port_leaves_nothing(void)
{
	run_all(closed);
}

static void a_line_that_is_cut_leaves_nothing(void)
{
	run_all(vanished);
}

static void the_next_process_ends_the_one_before(void)
{
	run_all(replaced);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	set_up_device();
	RUN(a_process_that_closes_its_port_leaves_nothing);
	RUN(a_line_that_is_cut_leaves_nothing);
	RUN(the_next_process_ends_the_one_before);
}
