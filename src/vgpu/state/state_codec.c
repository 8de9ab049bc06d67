// SPDX-License-Identifier: Apache-2.0
#include "vgpu/state/state_codec.h"

#include <errno.h>

#define ITEM(name)                                                                                 \
	int s_put_##name(struct buf *b, const struct s_##name *m)                                  \
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
#define BLOB(f, most) field_put_blob(b, &m->f, most);
#include "vgpu/state/state.def"
#include "vgpu/protocol/protocol_undef.h"

#define ITEM(name)                                                                                 \
	int s_get_##name(struct rd *r, struct s_##name *ret)                                       \
	{
#define ITEM_END(name)                                                                             \
	return r->failed ? -EBADMSG : 0;                                                           \
	}
#define U32(f)        ret->f = rd_u32(r);
#define I32(f)        ret->f = (int32_t)rd_u32(r);
#define U64(f)        ret->f = rd_u64(r);
#define VEC3(f)       ret->f = field_get_vec3(r);
#define BLOB(f, most) ret->f = field_get_blob(r, most);
#include "vgpu/state/state.def"
#include "vgpu/protocol/protocol_undef.h"
