// SPDX-License-Identifier: Apache-2.0
// One use of protocol.def for its messages alone, without fields and items. Define MSG before; it is
// undefined after. No include guard: it is meant to be included for each use.
#define MSG_END(name)
#define ITEM(name)
#define ITEM_END(name)
#define U32(f)
#define I32(f)
#define U64(f)
#define VEC3(f)
#define IDS(f, most)
#define BLOB(f, most)
#include "vgpu/protocol/protocol.def"
#include "vgpu/protocol/protocol_undef.h"
