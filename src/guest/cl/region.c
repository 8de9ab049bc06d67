// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/region.h"

#include <stdbool.h>
#include <string.h>

struct region region_flat(const void *base, size_t n)
{
	return (struct region){ .base = (uint8_t *)base, .row = n, .rows = 1, .slices = 1 };
}

uint64_t region_bytes(const struct region *r)
{
	return (uint64_t)r->row * r->rows * r->slices;
}

// The longest piece of the program's memory that is contiguous from `offset` of the packed form.
static uint8_t *piece_at(const struct region *r, uint64_t offset, size_t *ret_n)
{
	uint64_t row = offset / r->row;
	size_t inside = (size_t)(offset % r->row);

	*ret_n = r->row - inside;
	return r->base + (row / r->rows) * r->slice_pitch + (row % r->rows) * r->row_pitch + inside;
}

static void move(const struct region *r, uint64_t offset, uint8_t *packed, size_t n, bool gather)
{
	while (n) {
		size_t piece;
		uint8_t *at = piece_at(r, offset, &piece);
		if (piece > n)
			piece = n;
		if (gather)
			memcpy(packed, at, piece);
		else
			memcpy(at, packed, piece);
		packed += piece;
		offset += piece;
		n -= piece;
	}
}

void region_gather(const struct region *r, uint64_t offset, uint8_t *to, size_t n)
{
	move(r, offset, to, n, true);
}

void region_scatter(const struct region *r, uint64_t offset, const uint8_t *from, size_t n)
{
	move(r, offset, (uint8_t *)from, n, false);
}
