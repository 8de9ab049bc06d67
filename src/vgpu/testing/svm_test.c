// SPDX-License-Identifier: Apache-2.0
// Shared virtual memory as a vGPU has it: what a guest may name, what launches keep, and what moves. The
// device notes which pointers its kernels were given.
#include "vgpu/testing/fake_backend.h"
#include "vgpu/testing/testclient.h"
#include "vgpu/testing/testvgpu.h"

#include "base/test.h"
#include "vgpu/session/buffer.h"
#include "vgpu/session/kernel.h"
#include "vgpu/session/port.h"
#include "vgpu/session/session.h"

#include <errno.h>

// ---- the device

static struct backend_ops device;
static uint64_t base; // of svm_base()
static size_t given;  // the offset that the last pointer had
static unsigned n_given;

static int open_device(const struct be_config *config, struct backend **ret, struct ferry_error *e)
{
	int r = backend_fake.open(config, ret, e);

	if (r == 0)
		(*ret)->ops = &device;
	return r;
}

static uint64_t told_base(const struct backend *be)
{
	return base;
}

static cl_int note_svm(struct be_kernel *k, uint32_t index, struct be_mem *m, size_t offset)
{
	CHECK(m);
	given = offset;
	n_given++;
	return CL_SUCCESS;
}

// ---- the guest

enum { CONTEXT = 1, QUEUE, PROGRAM, KERNEL, LIST, REACHED, PLAIN, GATE, DONE, PART };

struct run {
	struct testvgpu t;
	struct buf out; // as a testclient has it: for SEND
	uint32_t seq;
};

static void feed(struct run *r)
{
	testvgpu_feed(&r->t, r->out.data, r->out.len);
	buf_reset(&r->out);
}

static void svm(struct run *r, uint32_t id, uint64_t size)
{
	SEND(r, svm_create, P_ANSWER, .id = id, .context = CONTEXT, .size = size);
}

static void begin(struct run *r)
{
	*r = (struct run){ 0 };
	base = 1ULL << 45;
	n_given = 0;
	testvgpu_start(&r->t, loop_new(), &device);
	SEND(r, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	SEND(r, context_create, 0, .id = CONTEXT);
	SEND(r, queue_create, 0, .id = QUEUE, .context = CONTEXT);
	SEND(r, program_source, 0, .id = PROGRAM, .context = CONTEXT, .total = 1,
		.bytes = TEXT("x"));
	SEND(r, program_build, 0, .program = PROGRAM);
	svm(r, LIST, 10000);
	svm(r, REACHED, 100);
	SEND(r, buffer_create, 0, .id = PLAIN, .context = CONTEXT, .size = 4096);
	SEND(r, user_event_create, 0, .id = GATE, .context = CONTEXT);
	feed(r);
	for (int i = 0; i < 20; i++)
		testvgpu_settle(&r->t); // the build
	SEND(r, kernel_create, 0, .id = KERNEL, .program = PROGRAM, .name = TEXT("k"));
	feed(r);
}

static void end(struct run *r)
{
	struct loop *loop = r->t.loop;

	testvgpu_stop(&r->t);
	buf_free(&r->out);
	loop_free(loop);
}

static struct object *object(const struct testvgpu *t, uint32_t id)
{
	CHECK(t->v->ports[0]->session);
	return t->v->ports[0]->session->table[id];
}

static bool is_over(const struct run *r)
{
	return !r->t.v->ports[0]->session;
}

// `offset_bytes`: of the argument's offset, as the guest sends it.
static void launch(
	struct run *r, uint32_t allocation, uint64_t offset, size_t offset_bytes, bool waits)
{
	_cleanup_buf_ struct buf args = { 0 };
	uint32_t four = 4;

	p_put_arg_item(&args,
		&(struct p_arg){ 0, PROTO_ARG_SVM, allocation, BYTES(&offset, offset_bytes) });
	p_put_arg_item(&args, &(struct p_arg){ 1, PROTO_ARG_BYTES, 0, BYTES(&four, 4) });
	p_put_arg_item(&args, &(struct p_arg){ 2, PROTO_ARG_LOCAL, 64, { 0 } });
	SEND(r, launch, 0, .queue = QUEUE, .kernel = KERNEL, .event = waits ? DONE : 0, .dims = 1,
		.global = { { 1, 1, 1 } }, .waits = waits ? WAITS(GATE) : (struct p_ids){ 0 },
		.args = BYTES(args.data, args.len));
	feed(r);
	for (int i = 0; i < 20 && !is_over(r); i++)
		testvgpu_settle(&r->t); // the first one is given by the worker
}

// ---- what a guest may name

static void the_guest_hears_where_it_lies(void)
{
	struct run r;
	struct p_frame f;
	unsigned places = 0;

	begin(&r);
	for (; p_frame_next(r.t.in.data, r.t.in.len, &f) == 1; buf_consume(&r.t.in, f.length)) {
		struct p_place m;
		if (f.op != p_op_place)
			continue;
		CHECK_EQ(p_get_place(&f, &m), 0);
		const struct buffer *b = (const struct buffer *)object(&r.t, m.object);
		CHECK_EQ(b->svm, base + m.offset);
		CHECK_EQ(m.offset % PAGE_BYTES, 0);
		places++;
	}
	CHECK_EQ(places, 2); // of ordinary buffers nothing is said
	end(&r);
}

static void pointers_are_an_allocation_and_an_offset(void)
{
	struct run r;

	begin(&r);
	launch(&r, LIST, 9999, 8, false);
	CHECK(!is_over(&r));
	CHECK_EQ(n_given, 1);
	CHECK_EQ(given, 9999);
	end(&r);
}

static void a_wrong_pointer_ends_the_session(void)
{
	static const struct {
		uint32_t id;
		uint64_t offset;
		size_t bytes;
	} wrong[] = { { LIST, 10000, 8 }, { LIST, UINT64_MAX, 8 }, { PLAIN, 0, 8 }, { 0, 0, 8 },
		{ 999, 0, 8 }, { QUEUE, 0, 8 }, { LIST, 0, 4 }, { LIST, 0, 0 } };

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct run r;
		begin(&r);
		launch(&r, wrong[i].id, wrong[i].offset, wrong[i].bytes, false);
		CHECK(is_over(&r));
		CHECK_EQ(n_given, 0);
		end(&r);
	}
}

static void only_allocations_are_reached(void)
{
	const uint32_t wrong[] = { PLAIN, QUEUE, 0, 999 };

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct run r;
		begin(&r);
		SEND(&r, kernel_svm, 0, .kernel = KERNEL, .allocations = WAITS(LIST, wrong[i]));
		feed(&r);
		CHECK(is_over(&r));
		end(&r);
	}
}

// With any origin, and parts of their own; never beyond it.
static void parts_begin_anywhere(void)
{
	struct run r;

	begin(&r);
	SEND(&r, sub_buffer_create, 0, .id = PART, .parent = LIST, .origin = 7, .size = 9000);
	SEND(&r, sub_buffer_create, 0, .id = PART + 1, .parent = PART, .origin = 128, .size = 64);
	SEND(&r, sub_buffer_create, 0, .id = PART + 2, .parent = PART + 1, .size = 64);
	SEND(&r, sub_buffer_create, 0, .id = PART + 3, .parent = LIST, .origin = 9999, .size = 2);
	feed(&r);
	CHECK_EQ(object(&r.t, PART)->failed, CL_SUCCESS);
	CHECK_EQ(object(&r.t, PART + 1)->failed, CL_SUCCESS);
	CHECK_EQ(object(&r.t, PART + 2)->failed, CL_INVALID_MEM_OBJECT);
	CHECK_EQ(object(&r.t, PART + 3)->failed, CL_INVALID_VALUE);
	end(&r);
}

static void quota_and_absence_are_errors_and_no_breach(void)
{
	struct run r;

	begin(&r);
	svm(&r, PART, 2u << 20); // the vGPU has 1 MiB
	base = 0;
	svm(&r, PART + 1, 64);
	feed(&r);
	CHECK_EQ(object(&r.t, PART)->failed, CL_MEM_OBJECT_ALLOCATION_FAILURE);
	CHECK(object(&r.t, PART + 1)->failed != CL_SUCCESS);
	CHECK_EQ(((struct buffer *)object(&r.t, PART + 1))->svm, 0);
	end(&r);
}

// ---- what launches keep

static void launches_hold_what_they_reach(void)
{
	struct run r;

	begin(&r);
	uint64_t before = page_space_allocated_bytes(r.t.v->space);
	SEND(&r, kernel_svm, 0, .kernel = KERNEL, .allocations = WAITS(REACHED));
	launch(&r, LIST, 0, 8, true);
	SEND(&r, release, 0, .objects = WAITS(LIST, REACHED));
	feed(&r);
	CHECK_EQ(page_space_allocated_bytes(r.t.v->space), before);
	CHECK_EQ(r.t.v->svm_bytes, 10100);
	SEND(&r, user_event_set, 0, .event = GATE, .status = CL_COMPLETE);
	feed(&r);
	for (int i = 0; i < 20; i++)
		testvgpu_settle(&r.t);
	CHECK_EQ(n_given, 1);
	CHECK_EQ(page_space_allocated_bytes(r.t.v->space), PAGE_BYTES); // PLAIN
	CHECK_EQ(r.t.v->svm_bytes, 0);
	end(&r);
}

// ---- moving

static void collect(struct run *r, struct buf *records)
{
	struct state_source source;

	state_source_begin(&source, r->t.v, false);
	testvgpu_close_gate(&r->t);
	CHECK_EQ(state_collect(&source, true, testvgpu_emit, records, NULL), 0);
	state_source_end(&source);
}

static void it_moves_with_its_addresses(void)
{
	struct run r;
	struct testvgpu to;
	_cleanup_buf_ struct buf records = { 0 };

	begin(&r);
	SEND(&r, sub_buffer_create, 0, .id = PART, .parent = LIST, .origin = 7, .size = 9000);
	SEND(&r, kernel_svm, 0, .kernel = KERNEL, .allocations = WAITS(REACHED, LIST));
	launch(&r, LIST, 1234, 8, true);
	collect(&r, &records);
	testvgpu_start_incoming(&to, r.t.loop, &device);
	CHECK_EQ(testvgpu_apply(&to, &records, SIZE_MAX, 0), 0);
	testvgpu_own(&to);
	for (uint32_t id = LIST; id <= REACHED; id++) {
		const struct buffer *a = (const struct buffer *)object(&r.t, id);
		const struct buffer *b = (const struct buffer *)object(&to, id);
		CHECK(a->svm && a->svm == b->svm);
	}
	CHECK_EQ(to.v->svm_bytes, 10100);
	CHECK_EQ(object(&to, PART)->failed, CL_SUCCESS);
	const struct kernel *k = (const struct kernel *)object(&to, KERNEL);
	CHECK_EQ(k->n_svm, 2);
	CHECK_EQ(k->svm[0], object(&to, REACHED)->serial);
	SEND(&r, user_event_set, 0, .event = GATE, .status = CL_COMPLETE);
	testvgpu_feed(&to, r.out.data, r.out.len);
	for (int i = 0; i < 20; i++)
		testvgpu_settle(&to);
	CHECK_EQ(n_given, 1);
	CHECK_EQ(given, 1234);
	testvgpu_stop(&to);
	gate_open(r.t.v);
	end(&r);
}

static void expect_refused(const struct buf *records, struct loop *loop, uint64_t there)
{
	struct testvgpu to;
	uint64_t here = base;

	base = there;
	testvgpu_start_incoming(&to, loop, &device);
	CHECK_EQ(testvgpu_apply(&to, records, SIZE_MAX, 0), -EOPNOTSUPP);
	testvgpu_stop(&to);
	base = here;
}

static void a_host_without_those_addresses_refuses_it(void)
{
	struct run r;
	_cleanup_buf_ struct buf records = { 0 };

	begin(&r);
	collect(&r, &records);
	expect_refused(&records, r.t.loop, 0);
	expect_refused(&records, r.t.loop, base + PAGE_BYTES);
	gate_open(r.t.v);
	end(&r);
}

int main(void)
{
	device = backend_fake;
	device.open = open_device;
	device.svm_base = told_base;
	device.kernel_set_svm = note_svm;
	RUN(the_guest_hears_where_it_lies);
	RUN(pointers_are_an_allocation_and_an_offset);
	RUN(a_wrong_pointer_ends_the_session);
	RUN(only_allocations_are_reached);
	RUN(parts_begin_anywhere);
	RUN(quota_and_absence_are_errors_and_no_breach);
	RUN(launches_hold_what_they_reach);
	RUN(it_moves_with_its_addresses);
	RUN(a_host_without_those_addresses_refuses_it);
}
