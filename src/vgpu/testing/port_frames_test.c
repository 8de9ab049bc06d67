// SPDX-License-Identifier: Apache-2.0
// Frames on a VM's port, which outlives its processes: long ones, ones that a killed process left cut
// anywhere, and what only looks like the next process's hello.
#include "vgpu/testing/fake_backend.h"
#include "vgpu/testing/testclient.h"
#include "vgpu/testing/testvgpu.h"

#include "base/cleanup.h"
#include "base/test.h"

#include <string.h>
#include <unistd.h>

struct run {
	struct testvgpu t;
	struct loop *loop;
	struct buf out; // as a testclient has it: for SEND
	uint32_t seq;
};

static void begin(struct run *r)
{
	*r = (struct run){ .loop = loop_new() };
	testvgpu_start(&r->t, r->loop, &backend_fake);
}

static void end(struct run *r)
{
	testvgpu_stop(&r->t);
	buf_free(&r->out);
	loop_free(r->loop);
}

static void feed(struct run *r)
{
	testvgpu_feed(&r->t, r->out.data, r->out.len);
	buf_reset(&r->out);
}

// Whether a hello of this nonce was answered.
static bool answered(struct run *r, uint64_t nonce)
{
	_cleanup_buf_ struct buf key = { 0 };

	buf_put_u64(&key, PROTO_HELLO_MAGIC);
	buf_put_u64(&key, nonce);
	return memmem(r->t.in.data, r->t.in.len, key.data, key.len);
}

static void say_hello(struct run *r, uint64_t nonce)
{
	SEND(r, hello, 0, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION, .nonce = nonce);
}

// As the library begins on a port.
static void begin_process(struct run *r, uint64_t nonce)
{
	static const uint8_t zeros[PROTO_DATA_FRAME_MAX];

	buf_put(&r->out, zeros, sizeof zeros);
	say_hello(r, nonce);
	feed(r);
	CHECK_EQ(r->t.v->n_sessions, 1);
	CHECK(answered(r, nonce));
}

static void put_data(struct run *r, uint32_t stream, uint32_t n)
{
	static uint8_t bytes[PROTO_BULK_MAX + 1];

	memset(bytes, 0x5a, sizeof bytes);
	SEND(r, data, 0, .stream = stream);
	p_patch_bulk(r->out.data + r->out.len - PROTO_DATA_HEAD, PROTO_DATA_HEAD, n);
	buf_put(&r->out, bytes, n);
}

// A session with a write of `size` bytes under way.
static uint32_t begin_write(struct run *r, uint64_t size)
{
	begin_process(r, 1);
	SEND(r, context_create, 0, .id = 1);
	SEND(r, queue_create, 0, .id = 2, .context = 1);
	SEND(r, buffer_create, 0, .id = 3, .context = 1, .size = size);
	uint32_t stream = SEND(r, write, 0, .queue = 2, .buffer = 3, .size = size);
	feed(r);
	CHECK_EQ(r->t.v->n_commands, 1);
	return stream;
}

// ---- tests

static void a_long_frame_is_taken(void)
{
	struct run r;

	begin(&r);
	put_data(&r, begin_write(&r, PROTO_BULK_MAX), PROTO_BULK_MAX);
	feed(&r);
	CHECK_EQ(r.t.v->n_commands, 0);
	CHECK_EQ(r.t.v->n_sessions, 1);
	end(&r);
}

static void a_longer_one_ends_the_session(void)
{
	struct run r;

	begin(&r);
	put_data(&r, begin_write(&r, 2 * PROTO_BULK_MAX), PROTO_BULK_MAX + 1);
	feed(&r);
	CHECK_EQ(r.t.v->n_sessions, 0);
	begin_process(&r, 2);
	end(&r);
}

static void a_frame_cut_anywhere_is_ended_by_the_next_process(void)
{
	const size_t cuts[] = { 0, 1, 3, 4, 11, 12, 27, 28, 29, 4096, 32768, PROTO_BULK_MAX,
		PROTO_DATA_FRAME_MAX - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		struct run r;
		begin(&r);
		put_data(&r, begin_write(&r, PROTO_BULK_MAX), PROTO_BULK_MAX);
		r.out.len = cuts[i];
		feed(&r);
		CHECK_EQ(r.t.v->n_sessions, 1);
		begin_process(&r, 2);
		CHECK_EQ(r.t.v->n_commands, 0);
		CHECK_EQ(page_space_allocated_bytes(r.t.v->space), 0);
		end(&r);
	}
}

static void what_only_looks_like_a_hello_is_passed(void)
{
	const uint32_t lengths[] = { 0, 5, PROTO_HEADER - 1, PROTO_FRAME_MAX + 1, UINT32_MAX };
	struct run r;

	begin(&r);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		buf_put_u32(&r.out, lengths[i]);
		buf_put_u16(&r.out, p_op_hello);
		buf_put_u16(&r.out, 0);
		buf_put_u32(&r.out, 1);
		buf_put_u64(&r.out, PROTO_HELLO_MAGIC);
		feed(&r);
		CHECK_EQ(r.t.v->n_sessions, 0);
	}
	buf_put(&r.out, "FRYHELLO FRYHELLO", 17);
	say_hello(&r, 3);
	feed(&r);
	CHECK(answered(&r, 3));
	end(&r);
}

int main(void)
{
	alarm(60);
	RUN(a_long_frame_is_taken);
	RUN(a_longer_one_ends_the_session);
	RUN(a_frame_cut_anywhere_is_ended_by_the_next_process);
	RUN(what_only_looks_like_a_hello_is_passed);
}
