// SPDX-License-Identifier: Apache-2.0
// Makes what a hostile guest may send: messages that get somewhere after the beginning which the fuzzers
// send first (objects 1 to 6), and any message with any fields, some of it damaged or cut.
#include <stdlib.h>

#include <CL/cl.h>

#include "base/cleanup.h"
#include "fuzz/driver.h"
#include "fuzz/send.h"
#include "vgpu/session/seal.h"

static uint64_t some_number(void)
{
	static const uint64_t numbers[] = { 0, 1, 2, 4, 8, 64, 4096, 1u << 20, UINT64_MAX };

	return numbers[(size_t)rand() % (sizeof numbers / sizeof numbers[0])];
}

static uint32_t some_id(void)
{
	return (uint32_t)rand() % 12;
}

// Which of the numbers below 32 are objects', as far as the maker knows.
#define BEGINNING 0x7eu
static uint32_t made;

// Frees the number, if need be, for an object that follows.
static uint32_t fresh(struct buf *b, uint32_t id)
{
	uint32_t seq = 12000;

	if (made >> id & 1 && rand() % 32)
		SEND(b, release, .objects = { .ids = &id, .n = 1 });
	made |= 1u << id;
	return id;
}

static bool is_there(uint32_t id)
{
	return made >> id & 1 || rand() % 32 == 0;
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
		SEND(b, kernel_create, .id = fresh(b, 7), .program = 6, .name = TEXT("k"));
		return;
	case 1:
		if (is_there(7))
			SEND(b, launch, .queue = queue, .kernel = 7, .dims = 1,
				.global = { { 1, 1, 1 } }, .waits = wait,
				.args = { args.data, args.len });
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
		SEND(b, sub_device_create, .id = fresh(b, 11), .parent = kind ? 11 : 0,
			.property = CL_DEVICE_PARTITION_EQUALLY, .units = { .ids = waits, .n = 1 });
		return;
	case 7:
		SEND(b, queue_create_on, .id = fresh(b, queue), .context = 1, .device = 11);
		return;
	case 0:
		SEND(b, image_create, .id = fresh(b, 8), .context = 1, .type = types[kind],
			.order = CL_RGBA, .data_type = CL_FLOAT,
			.extent = { { 16, kind ? 0 : 16, 0 } }, .buffer = kind ? 4 : 0);
		return;
	case 1:
		SEND(b, sampler_create, .id = fresh(b, 9), .context = 1,
			.addressing = CL_ADDRESS_CLAMP, .filter = CL_FILTER_NEAREST);
		return;
	case 2:
		SEND(b, kernel_create, .id = fresh(b, 10), .program = 6, .name = TEXT("images"));
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
		SEND(b, svm_create, .id = fresh(b, 8 + (uint32_t)rand() % 2), .context = 1,
			.size = 256 + some_number());
		return;
	case 2:
		SEND(b, sub_buffer_create, .id = fresh(b, 10), .parent = 8,
			.origin = some_number() + 1, .size = some_id());
		return;
	case 3:
		SEND(b, kernel_create, .id = fresh(b, 7), .program = 6, .name = TEXT("k"));
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

// Programs: text that comes in two parts, headers, libraries, binaries (sealed, or damaged), and questions.
static void put_text(struct buf *b, uint32_t seq, uint32_t id)
{
	uint32_t stream = seq + 1;

	SEND(b, program_source, .id = fresh(b, id), .context = 1, .total = 8,
		.bytes = TEXT("over"));
	if (rand() % 8)
		SEND(b, data, .stream = stream, .offset = 4, .bytes = TEXT("ld()"));
}

static void put_binary(struct buf *b, uint32_t seq, uint32_t id)
{
	_cleanup_buf_ struct buf sealed = { 0 };

	seal_put(&sealed, "key", (struct p_blob){ some_bytes, 16 });
	if (rand() % 4 == 0)
		sealed.data[(size_t)rand() % sealed.len] ^= 1;
	SEND(b, program_binary, .id = fresh(b, id), .context = 1, .total = sealed.len,
		.bytes = p_blob_of(&sealed));
}

static void put_likely_program(struct buf *b)
{
	static const uint32_t parts[] = { 12, 13, 6 };
	uint32_t seq = (uint32_t)rand() % 1000 + 8000, id = 12 + (uint32_t)rand() % 4;
	struct p_ids inputs = { .ids = parts + rand() % 2, .n = (uint32_t)rand() % 3 };
	struct p_blob names = { (const uint8_t *)"a.h", inputs.n };

	for (uint32_t i = 12; i < 14; i++)
		if (!is_there(i))
			put_text(b, seq, i);
	if (!is_there(id)) {
		(rand() % 2 ? put_text : put_binary)(b, seq, id);
		return;
	}
	switch (2 + rand() % 8) {
	case 2:
		SEND(b, program_build, .program = id, .options = TEXT("-x"));
		return;
	case 3:
	case 4:
		names.at = inputs.n == 2 ? (const uint8_t *)"\0" : (const uint8_t *)"";
		SEND(b, program_compile, .program = id, .headers = inputs, .names = names);
		return;
	case 5:
	case 6:
		SEND(b, program_link, .id = fresh(b, 14 + (uint32_t)rand() % 2), .context = 1,
			.inputs = inputs);
		return;
	case 7:
		SEND(b, program_query_binary, .program = id);
		return;
	case 8:
		SEND(b, program_query_type, .program = id);
		return;
	default:
		SEND(b, kernel_create, .id = fresh(b, 16), .program = id, .name = TEXT("k"));
	}
}

// Writes with their data, asked for or not; copies, fills, and what orders them.
static void put_write(struct buf *b, uint32_t seq, uint32_t queue, struct p_ids wait)
{
	struct p_write m = { .queue = queue,
		.buffer = 4,
		.size = 64,
		.waits = wait,
		.bytes = { some_bytes, (size_t)rand() % 32 } };
	uint32_t stream = seq + 1, at = (uint32_t)m.bytes.n;

	p_put_write(b, rand() % 2 ? P_LATER : 0, ++seq, &m);
	for (uint32_t n; at < 64 && rand() % 8; at += n) {
		n = 1 + (uint32_t)rand() % (64 - at);
		SEND(b, data, .stream = stream, .offset = at, .bytes = { some_bytes, n });
	}
}

static void put_likely_transfer(struct buf *b)
{
	static const uint32_t waits[] = { 5 }, events[] = { 17, 18 };
	struct p_ids wait = { .ids = waits, .n = rand() % 2 };
	uint32_t seq = (uint32_t)rand() % 1000 + 10000, queue = 2 + (uint32_t)rand() % 2;

	switch (rand() % 9) {
	case 0:
	case 1:
		put_write(b, seq, queue, wait);
		return;
	case 2:
		SEND(b, copy, .queue = queue, .from = 4, .to = 4, .from_offset = some_number(),
			.to_offset = 128, .size = 64, .waits = wait, .event = fresh(b, 17));
		return;
	case 3:
		SEND(b, fill, .queue = queue, .buffer = 4, .offset = some_number(), .size = 64,
			.waits = wait, .pattern = { some_bytes, 4 }, .event = fresh(b, 18));
		return;
	case 4:
		SEND(b, barrier, .queue = queue, .waits = wait);
		return;
	case 5:
		if (is_there(17) && is_there(18))
			SEND(b, marker, .queue = queue, .waits = { .ids = events, .n = 2 });
		return;
	case 6:
		SEND(b, write_rect, .queue = queue, .buffer = 4, .origin = { { 1, 1, 0 } },
			.region = { { 4, 2, 1 } }, .row_pitch = 8 + some_number(),
			.slice_pitch = 64, .waits = wait, .bytes = { some_bytes, 8 });
		return;
	case 7:
		SEND(b, user_event_set, .event = 5, .status = -(rand() % 2));
		SEND(b, user_event_create, .id = fresh(b, 5), .context = 1);
		return;
	default:
		if (!is_there(17) || !is_there(18))
			return;
		SEND(b, release, .objects = { .ids = events, .n = 2 });
		made &= ~(3u << 17);
	}
}

void fuzz_make_input(struct buf *b)
{
	static void (*const likely[])(struct buf * b) = { put_likely, put_likely_image,
		put_likely_svm, put_likely_program, put_likely_transfer };
	bool is_tame = rand() % 2; // its session is to last
	size_t kind = (size_t)rand() % ARRAY_SIZE(likely);

	made = BEGINNING;
	for (int n = rand() % 30; n >= 0; n--) {
		for (int i = 0; i < 4; i++)
			some_ids[i] = some_id();
		if (is_tame)
			likely[rand() % 4 ? kind : 3 + (size_t)rand() % 2](b);
		else if (rand() % 3)
			likely[(size_t)rand() % ARRAY_SIZE(likely)](b);
		else
			makers[(size_t)rand() % (sizeof makers / sizeof makers[0])](b);
	}
	if (!is_tame && b->len && rand() % 2 == 0)
		b->data[(size_t)rand() % b->len] ^= (uint8_t)(1 << rand() % 8);
	if (rand() % 4 == 0)
		b->len -= (size_t)rand() % (b->len + 1);
}
