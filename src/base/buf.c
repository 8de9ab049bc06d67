// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

static bool grow(struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : 256;

	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	uint8_t *data = realloc(b->data, cap);
	if (!data)
		return false;
	b->data = data;
	b->cap = cap;
	return true;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
	bool fits = !b->failed && n <= SIZE_MAX - b->len && (!b->limit || b->len + n <= b->limit);

	if (!fits || (b->len + n > b->cap && !grow(b, b->len + n))) {
		b->failed = true;
		return NULL;
	}
	return b->data + b->len;
}

void buf_put(struct buf *b, const void *bytes, size_t n)
{
	uint8_t *to = n ? buf_reserve(b, n) : NULL;

	if (!to)
		return;
	memcpy(to, bytes, n);
	b->len += n;
}

static void put_le(struct buf *b, uint64_t v, size_t n)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(v >> (8 * i));
	buf_put(b, bytes, n);
}

void buf_put_u8(struct buf *b, uint8_t v)
{
	put_le(b, v, 1);
}

void buf_put_u16(struct buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void buf_put_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void buf_put_blob(struct buf *b, const void *bytes, size_t n)
{
	if (n > UINT32_MAX) {
		b->failed = true;
		return;
	}
	buf_put_u32(b, (uint32_t)n);
	buf_put(b, bytes, n);
}

void buf_consume(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (n && n < b->len)
		memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

struct rd rd_make(const void *bytes, size_t n)
{
	return (struct rd){ .at = bytes, .left = n };
}

const uint8_t *rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *at = r->at;

	if (r->failed || n > r->left) {
		r->failed = true;
		return NULL;
	}
	r->at += n;
	r->left -= n;
	return at;
}

static uint64_t get_le(struct rd *r, size_t n)
{
	const uint8_t *at = rd_bytes(r, n);
	uint64_t v = 0;

	for (size_t i = 0; at && i < n; i++)
		v |= (uint64_t)at[i] << (8 * i);
	return v;
}

uint8_t rd_u8(struct rd *r)
{
	return (uint8_t)get_le(r, 1);
}

uint16_t rd_u16(struct rd *r)
{
	return (uint16_t)get_le(r, 2);
}

uint32_t rd_u32(struct rd *r)
{
	return (uint32_t)get_le(r, 4);
}

uint64_t rd_u64(struct rd *r)
{
	return get_le(r, 8);
}

const uint8_t *rd_blob(struct rd *r, size_t cap, size_t *ret_n)
{
	uint32_t n = rd_u32(r);

	*ret_n = 0;
	if (n > cap)
		r->failed = true;
	const uint8_t *at = rd_bytes(r, n);
	if (at)
		*ret_n = n;
	return at;
}
