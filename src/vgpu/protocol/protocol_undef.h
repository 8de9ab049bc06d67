// SPDX-License-Identifier: Apache-2.0
// Ends one use of protocol.def. No include guard: it is meant to be included after each.
#undef MSG
#undef MSG_END
#undef ITEM
#undef ITEM_END
#undef U32
#undef I32
#undef U64
#undef VEC3
#undef IDS
#undef BLOB
