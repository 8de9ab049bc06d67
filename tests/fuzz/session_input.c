// SPDX-License-Identifier: Apache-2.0
// Makes what a hostile guest may send: messages that get somewhere after the beginning which the fuzzers
// send first (objects 1 to 6), and any message with any fields, some of it damaged or cut.
#include <stdlib.h>

#include <CL/cl.h>

#include "fuzz/driver.h"
#include "fuzz/send.h"

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
