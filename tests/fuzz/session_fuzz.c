// SPDX-License-Identifier: Apache-2.0
// Fuzzes the guest stream and object state. Input: bytes of a guest, after a well-formed beginning.
// Whatever comes, the vGPU must go on; and the state that results must be one that a destination can
// apply. Then the records themselves are damaged: a destination must refuse them or live with them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/test.h"
#include "fuzz/driver.h"
#include "vgpu/protocol/protocol.h"
#include "vgpu/testing/fake_backend.h"
#include "vgpu/testing/testvgpu.h"

#define SEND(b, name, ...) CHECK_EQ(p_put_##name(b, 0, ++seq, &(struct p_##name){ __VA_ARGS__ }), 0)
#define TEXT(s)                                                                                    \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}

static void put_beginning(struct buf *b)
{
	uint32_t seq = 1000;

	SEND(b, hello, .magic = PROTO_HELLO_MAGIC, .version = PROTO_VERSION);
	SEND(b, context_create, .id = 1);
	SEND(b, queue_create, .id = 2, .context = 1);
	SEND(b, queue_create, .id = 3, .context = 1, .properties = 1);
	SEND(b, buffer_create, .id = 4, .context = 1, .size = 4096);
	SEND(b, user_event_create, .id = 5, .context = 1);
	SEND(b, program_source, .id = 6, .context = 1, .total = 1, .bytes = TEXT("x"));
	SEND(b, program_build, .program = 6);
}

static void apply_elsewhere(
	struct loop *loop, const struct buf *records, size_t damage, uint8_t with)
{
	struct testvgpu to;

	testvgpu_start_incoming(&to, loop, &backend_fake);
	int r = testvgpu_apply(&to, records, damage, with);
	while (to.v->restoring)
		loop_once(loop, 1);
	if (!with) {
		CHECK_EQ(r, 0);
		CHECK(state_is_complete(to.v));
	}
	if (r == 0)
		testvgpu_own(&to);
	testvgpu_stop(&to);
}

// Half of all inputs find a device that is at work until all of them has come.
static void feed(struct testvgpu *t, const uint8_t *data, size_t size)
{
	if (size % 2)
		fake_hold(t->v->be);
	testvgpu_feed(t, data, size);
	fake_release(t->v->be);
	testvgpu_settle(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loop *loop = loop_new();
	_cleanup_buf_ struct buf beginning = { 0 }, records = { 0 };
	struct state_source source;
	struct testvgpu from;

	testvgpu_start(&from, loop, &backend_fake);
	put_beginning(&beginning);
	testvgpu_feed(&from, beginning.data, beginning.len);
	feed(&from, data, size);
	state_source_begin(&source, from.v, true);
	testvgpu_close_gate(&from);
	CHECK_EQ(state_collect(&source, true, testvgpu_emit, &records, NULL), 0);
	state_source_end(&source);
	apply_elsewhere(loop, &records, SIZE_MAX, 0);
	uint32_t pick = size ? (uint32_t)(data[size / 2] * 131u + data[size - 1] * 7u) : 0;
	if (records.len)
		apply_elsewhere(loop, &records, pick % records.len, (uint8_t)(1u << (pick % 8)));
	gate_open(from.v);
	testvgpu_stop(&from);
	loop_free(loop);
	return 0;
}

#ifndef WITH_LIBFUZZER
static uint64_t some_number(void)
{
	static const uint64_t numbers[] = { 0, 1, 2, 4, 8, 64, 4096, 1u << 20, UINT64_MAX };

	return numbers[(size_t)rand() % (sizeof numbers / sizeof numbers[0])];
}

static uint32_t some_id(void)
{
	return (uint32_t)rand() % 12;
}

static uint8_t some_bytes[64];
static uint32_t some_ids[4];

#define MSG(name, number, direction, credit)                                                       \
	static void random_##name(struct buf *b)                                                   \
	{                                                                                          \
		struct p_##name m = { 0 };
#define MSG_END(name)                                                                              \
	p_put_##name(b, (uint16_t)(rand() % 2), (uint32_t)rand() % 8, &m);                         \
	}
#define ITEM(name)                                                                                 \
	static void random_##name(struct buf *b)                                                   \
	{                                                                                          \
		struct p_##name m = { 0 };
#define ITEM_END(name)                                                                             \
	p_put_##name##_item(b, &m);                                                                \
	}
#define U32(f)        m.f = some_id();
#define I32(f)        m.f = -(int32_t)some_id();
#define U64(f)        m.f = some_number();
#define VEC3(f)       m.f = (struct p_vec3){ { some_number(), 1, 1 } };
#define IDS(f, most)  m.f = (struct p_ids){ .ids = some_ids, .n = (uint32_t)rand() % 3 };
#define BLOB(f, most) m.f = (struct p_blob){ some_bytes, (size_t)rand() % (most < 64 ? most : 64) };
#include "vgpu/protocol/protocol.def"
#include "vgpu/protocol/protocol_undef.h"

static void (*const makers[])(struct buf *b) = {
#define MSG(name, number, direction, credit) random_##name,
#define MSG_END(name)
#define ITEM(name) random_##name,
#define ITEM_END(name)
#define U32(f)
#define I32(f)
#define U64(f)
#define VEC3(f)
#define IDS(f, most)
#define BLOB(f, most)
#include "vgpu/protocol/protocol.def"
#include "vgpu/protocol/protocol_undef.h"
};

// A frame longer than all others.
static void put_long_data(struct buf *b, uint32_t seq)
{
	static uint8_t many[PROTO_BULK_MAX];
	uint32_t n = PROTO_FRAME_MAX + (uint32_t)rand() % (PROTO_BULK_MAX - PROTO_FRAME_MAX + 1);

	uint32_t stream = seq + 1;

	SEND(b, write, .queue = 2, .buffer = 4, .size = n);
	SEND(b, data, .stream = stream);
	p_patch_bulk(b->data + b->len - PROTO_DATA_HEAD, PROTO_DATA_HEAD, n);
	buf_put(b, many, n);
}

// Likely ones: a launch with its arguments, a half write, a wait for the user event.
static void put_likely(struct buf *b)
{
	static const uint32_t waits[] = { 5 };
	struct p_ids wait = { .ids = waits, .n = rand() % 2 };
	_cleanup_buf_ struct buf args = { 0 };
	uint32_t seq = (uint32_t)rand() % 1000 + 2000, queue = 2 + (uint32_t)rand() % 2;

	p_put_arg_item(&args, &(struct p_arg){ 0, PROTO_ARG_BUFFER, 4, { 0 } });
	p_put_arg_item(&args, &(struct p_arg){ 1, PROTO_ARG_BYTES, 0, { some_bytes, 4 } });
	p_put_arg_item(&args, &(struct p_arg){ 2, PROTO_ARG_LOCAL, 64, { 0 } });
	switch (rand() % 40 ? rand() % 5 : 5) {
	case 5:
		put_long_data(b, seq);
		return;
	case 0:
		SEND(b, kernel_create, .id = 7, .program = 6, .name = TEXT("k"));
		return;
	case 1:
		SEND(b, launch, .queue = queue, .kernel = 7, .dims = 1, .global = { { 1, 1, 1 } },
			.waits = wait, .args = { args.data, args.len });
		return;
	case 2:
		SEND(b, write, .queue = queue, .buffer = 4, .size = 64, .waits = wait,
			.bytes = { some_bytes, (size_t)rand() % 64 });
		return;
	case 3:
		SEND(b, data, .stream = seq, .offset = some_number(), .bytes = { some_bytes, 8 });
		return;
	default:
		SEND(b, read, .queue = queue, .buffer = 4, .size = 64, .waits = wait);
	}
}

// Images, samplers, what uses them, and queues on parts of the device.
static void put_likely_image(struct buf *b)
{
	static const uint32_t waits[] = { 5 };
	static const uint32_t types[] = { CL_MEM_OBJECT_IMAGE2D, CL_MEM_OBJECT_IMAGE1D_BUFFER };
	struct p_ids wait = { .ids = waits, .n = rand() % 2 };
	_cleanup_buf_ struct buf args = { 0 };
	uint32_t seq = (uint32_t)rand() % 1000 + 4000, queue = 2 + (uint32_t)rand() % 2;
	uint32_t kind = (uint32_t)rand() % 2;

	p_put_arg_item(&args, &(struct p_arg){ 0, PROTO_ARG_IMAGE, 8, { 0 } });
	p_put_arg_item(&args, &(struct p_arg){ 1, PROTO_ARG_SAMPLER, 9, { 0 } });
	switch (rand() % 8) {
	case 6:
		SEND(b, sub_device_create, .id = 11, .parent = kind ? 11 : 0,
			.property = CL_DEVICE_PARTITION_EQUALLY, .units = { .ids = waits, .n = 1 });
		return;
	case 7:
		SEND(b, queue_create_on, .id = queue, .context = 1, .device = 11);
		return;
	case 0:
		SEND(b, image_create, .id = 8, .context = 1, .type = types[kind], .order = CL_RGBA,
			.data_type = CL_FLOAT, .extent = { { 16, kind ? 0 : 16, 0 } },
			.buffer = kind ? 4 : 0);
		return;
	case 1:
		SEND(b, sampler_create, .id = 9, .context = 1, .addressing = CL_ADDRESS_CLAMP,
			.filter = CL_FILTER_NEAREST);
		return;
	case 2:
		SEND(b, kernel_create, .id = 10, .program = 6, .name = TEXT("images"));
		return;
	case 3:
		SEND(b, launch, .queue = queue, .kernel = 10, .dims = 1, .global = { { 1, 1, 1 } },
			.waits = wait, .args = { args.data, args.len });
		return;
	case 4:
		SEND(b, image_fill, .queue = queue, .image = 8, .waits = wait,
			.origin = { { some_number(), 0, 0 } }, .region = { { 1, some_id(), 1 } },
			.color = { some_bytes, 16 });
		return;
	default:
		SEND(b, copy_rect, .queue = queue, .from = 8, .to = 4, .waits = wait,
			.region = { { 16, 2, 1 } }, .from_row_pitch = 256, .from_slice_pitch = 4096,
			.to_row_pitch = 16, .to_slice_pitch = 32);
	}
}

// Shared virtual memory: a part of it, and a kernel with pointers into it, likely and wrong ones.
static void put_likely_svm(struct buf *b)
{
	static const uint32_t waits[] = { 5 }, reached[] = { 8, 9 };
	_cleanup_buf_ struct buf args = { 0 };
	uint32_t seq = (uint32_t)rand() % 1000 + 6000;
	uint8_t offset[8] = { (uint8_t)rand(), (uint8_t)(rand() % 2) };

	p_put_arg_item(&args, &(struct p_arg){ 0, PROTO_ARG_SVM, 8 + (uint32_t)rand() % 2,
				      { offset, rand() % 8 ? 8 : 7 } });
	p_put_arg_item(&args, &(struct p_arg){ 1, PROTO_ARG_BYTES, 0, { some_bytes, 4 } });
	p_put_arg_item(&args, &(struct p_arg){ 2, PROTO_ARG_LOCAL, 64, { 0 } });
	switch (rand() % 6) {
	case 0:
	case 1:
		SEND(b, svm_create, .id = 8 + (uint32_t)rand() % 2, .context = 1,
			.size = 256 + some_number());
		return;
	case 2:
		SEND(b, sub_buffer_create, .id = 10, .parent = 8, .origin = some_number() + 1,
			.size = some_id());
		return;
	case 3:
		SEND(b, kernel_create, .id = 7, .program = 6, .name = TEXT("k"));
		return;
	case 4:
		SEND(b, kernel_svm, .kernel = 7,
			.allocations = { .ids = reached, .n = (uint32_t)rand() % 3 });
		return;
	default:
		SEND(b, launch, .queue = 2, .kernel = 7, .dims = 1, .global = { { 1, 1, 1 } },
			.waits = { .ids = waits, .n = rand() % 2 },
			.args = { args.data, args.len });
	}
}

void fuzz_make_input(struct buf *b)
{
	static void (*const likely[])(
		struct buf * b) = { put_likely, put_likely_image, put_likely_svm };

	for (int n = rand() % 30; n >= 0; n--) {
		for (int i = 0; i < 4; i++)
			some_ids[i] = some_id();
		if (rand() % 3)
			likely[rand() % 3](b);
		else
			makers[(size_t)rand() % (sizeof makers / sizeof makers[0])](b);
	}
	if (b->len && rand() % 4 == 0)
		b->data[(size_t)rand() % b->len] ^= (uint8_t)(1 << rand() % 8);
	if (rand() % 4 == 0)
		b->len -= (size_t)rand() % (b->len + 1);
}
#endif
