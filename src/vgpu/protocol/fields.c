// SPDX-License-Identifier: Apache-2.0
#include "vgpu/protocol/fields.h"

#include <errno.h>

uint32_t p_id_at(const struct p_ids *ids, uint32_t i)
{
	if (ids->ids)
		return ids->ids[i];
	const uint8_t *at = ids->raw + (size_t)i * 4;
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

struct p_blob p_blob_of(const struct buf *b)
{
	return (struct p_blob){ b->data, b->len };
}

void field_put_vec3(struct buf *b, const struct p_vec3 *v)
{
	for (int i = 0; i < 3; i++)
		buf_put_u64(b, v->v[i]);
}

void field_put_ids(struct buf *b, const struct p_ids *ids, uint32_t most)
{
	if (ids->n > most) {
		b->failed = true;
		return;
	}
	buf_put_u32(b, ids->n);
	for (uint32_t i = 0; i < ids->n; i++)
		buf_put_u32(b, p_id_at(ids, i));
}

void field_put_blob(struct buf *b, const struct p_blob *blob, size_t most)
{
	if (blob->n > most)
		b->failed = true;
	else
		buf_put_blob(b, blob->at, blob->n);
}

struct p_vec3 field_get_vec3(struct rd *r)
{
	struct p_vec3 v;

	for (int i = 0; i < 3; i++)
		v.v[i] = rd_u64(r);
	return v;
}

struct p_ids field_get_ids(struct rd *r, uint32_t most)
{
	struct p_ids ids = { .n = rd_u32(r) };

	if (ids.n > most)
		r->failed = true;
	else
		ids.raw = rd_bytes(r, (size_t)ids.n * 4);
	if (r->failed)
		ids.n = 0;
	return ids;
}

struct p_blob field_get_blob(struct rd *r, size_t most)
{
	struct p_blob blob;

	blob.at = rd_blob(r, most, &blob.n);
	return blob;
}

int field_put_end(struct buf *b, size_t start, bool failed_before, size_t most)
{
	if (!b->failed && b->len - start <= most)
		return 0;
	b->len = start;
	b->failed = failed_before;
	return -EMSGSIZE;
}
