// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/rect.h"

bool rect_fix(struct rect *r)
{
	size_t layer;

	if (!r->origin || !r->region || !r->region[0] || !r->region[1] || !r->region[2])
		return false;
	if (!r->row_pitch)
		r->row_pitch = r->region[0];
	if (r->row_pitch < r->region[0] ||
		__builtin_mul_overflow(r->region[1], r->row_pitch, &layer))
		return false;
	if (!r->slice_pitch)
		r->slice_pitch = layer;
	return r->slice_pitch >= layer && r->slice_pitch % r->row_pitch == 0;
}

// x + y * row_pitch + z * slice_pitch
static uint64_t at(const struct rect *r, size_t x, size_t y, size_t z)
{
	size_t rows, slices, sum;

	if (__builtin_mul_overflow(y, r->row_pitch, &rows) ||
		__builtin_mul_overflow(z, r->slice_pitch, &slices) ||
		__builtin_add_overflow(rows, slices, &sum) || __builtin_add_overflow(sum, x, &sum))
		return UINT64_MAX;
	return sum;
}

uint64_t rect_offset(const struct rect *r)
{
	return at(r, r->origin[0], r->origin[1], r->origin[2]);
}

uint64_t rect_end(const struct rect *r)
{
	size_t last[3];

	for (int i = 0; i < 3; i++)
		if (__builtin_add_overflow(r->origin[i], r->region[i] - !!i, &last[i]))
			return UINT64_MAX;
	return at(r, last[0], last[1], last[2]);
}

struct region rect_in_memory(const struct rect *r, const void *ptr)
{
	return (struct region){ .base = (uint8_t *)ptr + rect_offset(r),
		.row = r->region[0],
		.rows = r->region[1],
		.slices = r->region[2],
		.row_pitch = r->row_pitch,
		.slice_pitch = r->slice_pitch };
}

static struct p_vec3 vec3(const size_t *v)
{
	return (struct p_vec3){ { v[0], v[1], v[2] } };
}

struct p_vec3 rect_origin(const struct rect *r)
{
	return vec3(r->origin);
}

struct p_vec3 rect_region(const struct rect *r)
{
	return vec3(r->region);
}
