// SPDX-License-Identifier: Apache-2.0
// Every message of the table, without naming one: filled with a pattern, sent through the codec,
// compared, cut at every byte, and lengthened past its caps.
#include "vgpu/protocol/protocol.h"
#include "base/test.h"

#include <errno.h>

static const uint32_t some_ids[] = { 1, 0xfffffffe, 77 };
static const uint8_t some_bytes[] = "bulk bytes";
static uint64_t tick;
static uint8_t too_many[PROTO_LOG_MAX + 1];

static uint64_t next_value(void)
{
	return ++tick * 0x9e3779b97f4a7c15ULL;
}

#define FILL_FIELDS(name)                                                                          \
	static void fill_##name(struct p_##name *m)                                                \
	{
#define MSG(name, number, direction, credit) FILL_FIELDS(name)
#define MSG_END(name)                        }
#define ITEM(name)                           FILL_FIELDS(name)
#define ITEM_END(name)                       }
#define U32(f)                               m->f = (uint32_t)next_value();
#define I32(f)                               m->f = (int32_t)next_value();
#define U64(f)                               m->f = next_value();
#define VEC3(f)                              m->f = (struct p_vec3){ { next_value(), next_value(), next_value() } };
#define IDS(f, most)                         m->f = (struct p_ids){ .ids = some_ids, .n = 3 };
#define BLOB(f, most)                        m->f = (struct p_blob){ some_bytes, sizeof some_bytes };
#include "vgpu/protocol/protocol.def"
#include "vgpu/protocol/protocol_undef.h"

static void same_ids(const struct p_ids *a, const struct p_ids *b)
{
	CHECK_EQ(a->n, b->n);
	for (uint32_t i = 0; i < a->n; i++)
		CHECK_EQ(p_id_at(a, i), p_id_at(b, i));
}

#define SAME_FIELDS(name)                                                                          \
	static void same_##name(const struct p_##name *a, const struct p_##name *b)                \
	{
#define MSG(name, number, direction, credit) SAME_FIELDS(name)
#define MSG_END(name)                        }
#define ITEM(name)                           SAME_FIELDS(name)
#define ITEM_END(name)                       }
#define U32(f)                               CHECK_EQ(a->f, b->f);
#define I32(f)                               CHECK_EQ(a->f, b->f);
#define U64(f)                               CHECK(a->f == b->f);
#define VEC3(f)                              CHECK(!memcmp(&a->f, &b->f, sizeof a->f));
#define IDS(f, most)                         same_ids(&a->f, &b->f);
#define BLOB(f, most)                        CHECK(a->f.n == b->f.n && !memcmp(a->f.at, b->f.at, a->f.n));
#include "vgpu/protocol/protocol.def"
#include "vgpu/protocol/protocol_undef.h"

static void check_op(uint16_t op, const char *text)
{
	CHECK_EQ(p_op_find(op)->op, op);
	CHECK_STR(p_op_find(op)->name, text);
}

// The whole frame comes back; any shorter or longer body is refused.
#define MSG(name, number, direction, credit)                                                       \
	static void check_##name(void)                                                             \
	{                                                                                          \
		_cleanup_buf_ struct buf b = { 0 };                                                \
		struct p_##name sent, got;                                                         \
		struct p_frame f;                                                                  \
		fill_##name(&sent);                                                                \
		CHECK_EQ(p_put_##name(&b, 3, 0xabcdef01, &sent), 0);                               \
		for (size_t n = 0; n < b.len; n++)                                                 \
			CHECK_EQ(p_frame_next(b.data, n, &f), 0);                                  \
		CHECK_EQ(p_frame_next(b.data, b.len, &f), 1);                                      \
		CHECK(f.op == number && f.flags == 3 && f.seq == 0xabcdef01 && f.length == b.len); \
		check_op(number, #name);                                                           \
		CHECK_EQ(p_get_##name(&f, &got), 0);                                               \
		same_##name(&sent, &got);                                                          \
		size_t whole = f.body_bytes;                                                       \
		for (f.body_bytes = 0; f.body_bytes < whole; f.body_bytes++)                       \
			CHECK_EQ(p_get_##name(&f, &got), -EBADMSG);                                \
		buf_put_u8(&b, 0);                                                                 \
		f.body = b.data + PROTO_HEADER;                                                    \
		f.body_bytes = whole + 1;                                                          \
		CHECK_EQ(p_get_##name(&f, &got), -EBADMSG);                                        \
		f.body_bytes = whole;                                                              \
		f.op++;                                                                            \
		CHECK_EQ(p_get_##name(&f, &got), -EBADMSG);                                        \
	}
#define MSG_END(name)
#define ITEM(name)                                                                                 \
	static void check_##name(void)                                                             \
	{                                                                                          \
		_cleanup_buf_ struct buf b = { 0 };                                                \
		struct p_##name sent, got;                                                         \
		fill_##name(&sent);                                                                \
		CHECK_EQ(p_put_##name##_item(&b, &sent), 0);                                       \
		for (size_t n = 0; n < b.len; n++) {                                               \
			struct rd cut = rd_make(b.data, n);                                        \
			CHECK_EQ(p_get_##name##_item(&cut, &got), -EBADMSG);                       \
		}                                                                                  \
		struct rd r = rd_make(b.data, b.len);                                              \
		CHECK_EQ(p_get_##name##_item(&r, &got), 0);                                        \
		CHECK_EQ(r.left, 0);                                                               \
		same_##name(&sent, &got);                                                          \
	}
#define ITEM_END(name)
#define U32(f)
#define I32(f)
#define U64(f)
#define VEC3(f)
#define IDS(f, most)
#define BLOB(f, most)
#include "vgpu/protocol/protocol.def"
#include "vgpu/protocol/protocol_undef.h"

// What a process has read of a frame, and then the beginning of another vGPU. 1: the frame is whole.
static int cut_at(const struct buf *whole, size_t n, struct p_frame *ret)
{
	static uint8_t bytes[2 * PROTO_FRAME_MAX];
	struct p_frame next;

	memcpy(bytes, whole->data, n);
	memset(bytes + n, PROTO_LOST, PROTO_FRAME_MAX);
	int r = p_frame_next(bytes, n + PROTO_FRAME_MAX, ret);
	if (r > 0)
		CHECK_EQ(p_frame_next(bytes + ret->length, sizeof bytes - ret->length, &next),
			-EBADMSG);
	CHECK(r);
	return r;
}

static void a_frame_that_another_vgpu_ends_says_no_success(void)
{
	const struct p_answer answer = { .stream = 7, .bytes = 4096 };
	const struct p_event_status event = { .event = 9 };
	const size_t status_end = PROTO_HEADER + 8;
	_cleanup_buf_ struct buf a = { 0 }, b = { 0 };
	struct p_answer got_answer;
	struct p_event_status got_event;
	struct p_frame f;

	CHECK_EQ(p_put_answer(&a, 0, 0, &answer), 0);
	CHECK_EQ(p_put_event_status(&b, 0, 0, &event), 0);
	for (size_t n = 0; n < a.len; n++)
		if (cut_at(&a, n, &f) > 0 && p_get_answer(&f, &got_answer) == 0)
			CHECK(got_answer.status < 0 || got_answer.bytes != answer.bytes);
	for (size_t n = 0; n < status_end; n++)
		if (cut_at(&b, n, &f) > 0 && p_get_event_status(&f, &got_event) == 0)
			CHECK(got_event.status < 0);
}

static void every_message_survives_and_no_cut_one_does(void)
{
#define MSG(name, number, direction, credit) check_##name();
#define MSG_END(name)
#define ITEM(name) check_##name();
#define ITEM_END(name)
#define U32(f)
#define I32(f)
#define U64(f)
#define VEC3(f)
#define IDS(f, most)
#define BLOB(f, most)
#include "vgpu/protocol/protocol.def"
#include "vgpu/protocol/protocol_undef.h"
}

static void a_field_over_its_cap_is_not_sent(void)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct p_answer_data data = { .bytes = { too_many, PROTO_DATA_MAX } };

	CHECK_EQ(p_put_answer_data(&b, 0, 1, &data), 0);
	CHECK(b.len <= PROTO_FRAME_MAX);
	size_t before = b.len;
	data.bytes.n++;
	CHECK_EQ(p_put_answer_data(&b, 0, 1, &data), -EMSGSIZE);
	CHECK(b.len == before && !b.failed);

	static const uint32_t many[PROTO_WAITS_MAX + 1];
	struct p_marker marker = { .waits = { .ids = many, .n = PROTO_WAITS_MAX } };
	CHECK_EQ(p_put_marker(&b, 0, 1, &marker), 0);
	marker.waits.n++;
	CHECK_EQ(p_put_marker(&b, 0, 1, &marker), -EMSGSIZE);
}

static void fields_within_caps_can_still_be_too_long_together(void)
{
	_cleanup_buf_ struct buf b = { 0 };
	static const uint32_t many[PROTO_INPUTS_MAX];
	struct p_program_compile m = { .options = { too_many, PROTO_TEXT_MAX },
		.headers = { .ids = many, .n = PROTO_INPUTS_MAX },
		.names = { too_many, 8192 } };
	struct p_launch launch = { .waits = { .ids = many, .n = PROTO_WAITS_MAX },
		.args = { too_many, PROTO_ARGS_MAX } };

	CHECK_EQ(p_put_program_compile(&b, 0, 1, &m), 0);
	CHECK_EQ(p_put_launch(&b, 0, 1, &launch), 0);
	struct p_write w = { .waits = launch.waits, .bytes = { too_many, PROTO_INLINE_MAX } };
	CHECK_EQ(p_put_write(&b, 0, 1, &w), 0);
}

static void a_received_field_over_its_cap_is_refused(void)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct p_fill got;

	buf_put(&b, too_many, 12 + 16);
	buf_put_u32(&b, 0);
	buf_put_blob(&b, too_many, 129);
	struct p_frame f = { .op = p_op_fill, .body = b.data, .body_bytes = b.len };
	CHECK_EQ(p_get_fill(&f, &got), -EBADMSG);

	buf_reset(&b);
	buf_put_u32(&b, 1);
	buf_put_u32(&b, 0);
	buf_put_u32(&b, 0x40000000); // times four it would be 0 in 32 bits
	f = (struct p_frame){ .op = p_op_marker, .body = b.data, .body_bytes = b.len };
	struct p_marker marker;
	CHECK_EQ(p_get_marker(&f, &marker), -EBADMSG);
}

// Put without its bytes, as it is sent.
static void put_long_data(struct buf *b, uint32_t n)
{
	struct p_data head = { .stream = 7, .offset = 8 };

	buf_reset(b);
	CHECK_EQ(p_put_data(b, 0, 1, &head), 0);
	CHECK_EQ(b->len, PROTO_DATA_HEAD);
	p_patch_bulk(b->data, b->len, n);
	buf_put(b, too_many, n);
}

static void only_data_may_be_long(void)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct p_data got;
	struct p_frame f;

	put_long_data(&b, PROTO_BULK_MAX);
	CHECK_EQ(b.len, PROTO_DATA_FRAME_MAX);
	for (size_t n = 0; n < b.len; n += n < 40 ? 1 : 4099)
		CHECK_EQ(p_frame_next(b.data, n, &f), 0);
	CHECK_EQ(p_frame_next(b.data, b.len, &f), 1);
	CHECK_EQ(p_get_data(&f, &got), 0);
	CHECK(got.stream == 7 && got.offset == 8 && got.bytes.n == PROTO_BULK_MAX);
	b.data[4] = p_op_write;
	CHECK_EQ(p_frame_next(b.data, 5, &f), 0);
	CHECK_EQ(p_frame_next(b.data, 6, &f), -EBADMSG);
	put_long_data(&b, PROTO_BULK_MAX + 1);
	CHECK_EQ(p_frame_next(b.data, 4, &f), -EBADMSG);
}

static void impossible_lengths_end_the_stream(void)
{
	struct p_frame f;

	CHECK_EQ(p_frame_next("\x0b\0\0\0", 4, &f), -EBADMSG);
	CHECK_EQ(p_frame_next("\x1d\0\x04\0", 4, &f), -EBADMSG);
	CHECK_EQ(p_frame_next("\x01\x80\0\0\x33\0", 6, &f), -EBADMSG);
	CHECK_EQ(p_frame_next("\xff\xff\xff\xff", 4, &f), -EBADMSG);
	CHECK_EQ(p_frame_next("\0\x80\0\0", 4, &f), 0);
}

static void unknown_numbers_are_unknown(void)
{
	CHECK(!p_op_find(0) && !p_op_find(9) && !p_op_find(256) && !p_op_find(65535));
	CHECK(p_op_find(p_op_user_event_set)->credit == FREE);
	CHECK(p_op_find(p_op_write)->credit == PAID);
	CHECK(p_op_find(p_op_answer)->direction == TO_GUEST);
}

int main(void)
{
	RUN(every_message_survives_and_no_cut_one_does);
	RUN(a_frame_that_another_vgpu_ends_says_no_success);
	RUN(a_field_over_its_cap_is_not_sent);
	RUN(fields_within_caps_can_still_be_too_long_together);
	RUN(a_received_field_over_its_cap_is_refused);
	RUN(only_data_may_be_long);
	RUN(impossible_lengths_end_the_stream);
	RUN(unknown_numbers_are_unknown);
}
