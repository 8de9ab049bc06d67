// SPDX-License-Identifier: Apache-2.0
// Structs (struct s_NAME) and codecs of state.def's items: s_put_NAME() appends, s_get_NAME() reads
// the next one: 0, or -EMSGSIZE, -EBADMSG.
#pragma once

#include "vgpu/protocol/protocol.h"

#define STATE_BULK_MAX (56u << 20)
#define STATE_LIST_MAX (8u << 20)

#define ITEM(name) struct s_##name {
#define ITEM_END(name)                                                                             \
	}                                                                                          \
	;
#define U32(f)        uint32_t f;
#define I32(f)        int32_t f;
#define U64(f)        uint64_t f;
#define VEC3(f)       struct p_vec3 f;
#define BLOB(f, most) struct p_blob f;
#include "vgpu/state/state.def"
#include "vgpu/protocol/protocol_undef.h"

#define ITEM(name)                                                                                 \
	int s_put_##name(struct buf *b, const struct s_##name *m);                                 \
	int s_get_##name(struct rd *r, struct s_##name *ret);
#define ITEM_END(name)
#define U32(f)
#define I32(f)
#define U64(f)
#define VEC3(f)
#define BLOB(f, most)
#include "vgpu/state/state.def"
#include "vgpu/protocol/protocol_undef.h"
