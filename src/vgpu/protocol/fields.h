// SPDX-License-Identifier: Apache-2.0
// Field types of the message tables (protocol.def, state.def) and their codecs: little-endian, no
// padding, every length capped.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

struct p_blob {
	const uint8_t *at; // decoded: inside the frame, valid as long as it
	size_t n;
};

// A list of ids. An encoder's caller sets `ids`; a decoder sets `raw` (unaligned, little-endian).
struct p_ids {
	const uint32_t *ids;
	const uint8_t *raw;
	uint32_t n;
};

struct p_vec3 {
	uint64_t v[3];
};

uint32_t p_id_at(const struct p_ids *ids, uint32_t i); // i < ids->n
struct p_blob p_blob_of(const struct buf *b);          // borrows the bytes

// Too long a field sets b->failed.
void field_put_vec3(struct buf *b, const struct p_vec3 *v);
void field_put_ids(struct buf *b, const struct p_ids *ids, uint32_t most);
void field_put_blob(struct buf *b, const struct p_blob *blob, size_t most);
// A short input, or a length over its cap, sets r->failed; the result is then empty.
struct p_vec3 field_get_vec3(struct rd *r);
struct p_ids field_get_ids(struct rd *r, uint32_t most);
struct p_blob field_get_blob(struct rd *r, size_t most);

// Takes back what was put after `start` when something did not fit: 0 or -EMSGSIZE.
int field_put_end(struct buf *b, size_t start, bool failed_before, size_t most);
