// SPDX-License-Identifier: Apache-2.0
#include "vgpu/protocol/protocol.h"

#include <errno.h>
#include <string.h>

static const struct p_op_info ops[256] = {
#define MSG(name, number, direction, credit) [number] = { #name, number, direction, credit },
#include "vgpu/protocol/protocol_messages.h"
};

const struct p_op_info *p_op_find(uint16_t op)
{
	return op < 256 && ops[op].name ? &ops[op] : NULL;
}

int p_frame_next(const void *bytes, size_t n, struct p_frame *ret)
{
	struct rd r = rd_make(bytes, n);

	if (n < 4)
		return 0;
	uint32_t length = rd_u32(&r);
	if (length < PROTO_HEADER || length > PROTO_DATA_FRAME_MAX)
		return -EBADMSG;
	uint16_t op = rd_u16(&r);
	if (length > PROTO_FRAME_MAX && n >= 6 && op != p_op_data)
		return -EBADMSG;
	if (n < length)
		return 0;
	*ret = (struct p_frame){ .length = length, .op = op, .flags = rd_u16(&r) };
	ret->seq = rd_u32(&r);
	ret->body = r.at;
	ret->body_bytes = length - PROTO_HEADER;
	return 1;
}

// ---- frames

static size_t frame_begin(struct buf *b, uint16_t op, uint16_t flags, uint32_t seq)
{
	size_t start = b->len;

	buf_put_u32(b, 0);
	buf_put_u16(b, op);
	buf_put_u16(b, flags);
	buf_put_u32(b, seq);
	return start;
}

static void set_u32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> (8 * i));
}

static int frame_end(struct buf *b, size_t start, bool failed_before)
{
	int r = field_put_end(b, start, failed_before, PROTO_FRAME_MAX);

	if (r == 0) {
		set_u32(b->data + start, (uint32_t)(b->len - start));
	}
	return r;
}

void p_patch_bulk(uint8_t *frame, size_t head, uint32_t n)
{
	set_u32(frame, (uint32_t)head + n);
	set_u32(frame + head - 4, n);
}

// ---- encoders

#define MSG(name, number, direction, credit)                                                       \
	int p_put_##name(struct buf *b, uint16_t flags, uint32_t seq, const struct p_##name *m)    \
	{                                                                                          \
		bool failed_before = b->failed;                                                    \
		size_t start = frame_begin(b, number, flags, seq);
#define MSG_END(name)                                                                              \
	return frame_end(b, start, failed_before);                                                 \
	}
#define ITEM(name)                                                                                 \
	int p_put_##name##_item(struct buf *b, const struct p_##name *m)                           \
	{                                                                                          \
		bool failed_before = b->failed;                                                    \
		size_t start = b->len;
#define ITEM_END(name)                                                                             \
	return field_put_end(b, start, failed_before, SIZE_MAX);                                   \
	}
#define U32(f)        buf_put_u32(b, m->f);
#define I32(f)        buf_put_u32(b, (uint32_t)m->f);
#define U64(f)        buf_put_u64(b, m->f);
#define VEC3(f)       field_put_vec3(b, &m->f);
#define IDS(f, most)  field_put_ids(b, &m->f, most);
#define BLOB(f, most) field_put_blob(b, &m->f, most);
#include "vgpu/protocol/protocol.def"
#include "vgpu/protocol/protocol_undef.h"

// ---- decoders

#define MSG(name, number, direction, credit)                                                       \
	int p_get_##name(const struct p_frame *f, struct p_##name *ret)                            \
	{                                                                                          \
		struct rd reader = rd_make(f->body, f->body_bytes);                                \
		struct rd *r = &reader;
#define MSG_END(name)                                                                              \
	return r->failed || r->left || f->op != p_op_##name ? -EBADMSG : 0;                        \
	}
#define ITEM(name)                                                                                 \
	int p_get_##name##_item(struct rd *r, struct p_##name *ret)                                \
	{
#define ITEM_END(name)                                                                             \
	return r->failed ? -EBADMSG : 0;                                                           \
	}
#define U32(f)        ret->f = rd_u32(r);
#define I32(f)        ret->f = (int32_t)rd_u32(r);
#define U64(f)        ret->f = rd_u64(r);
#define VEC3(f)       ret->f = field_get_vec3(r);
#define IDS(f, most)  ret->f = field_get_ids(r, most);
#define BLOB(f, most) ret->f = field_get_blob(r, most);
#include "vgpu/protocol/protocol.def"
#include "vgpu/protocol/protocol_undef.h"
