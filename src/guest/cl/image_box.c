// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/image.h"

struct image_shape image_shape_of(cl_mem m)
{
	const struct image_info *i = &m->image;

	return (struct image_shape){ m->type, i->format.image_channel_order,
		i->format.image_channel_data_type, { i->width, i->height, i->depth },
		i->array_size };
}

static struct image_layout layout_of(cl_mem m)
{
	struct image_shape shape = image_shape_of(m);
	struct image_layout l = { 0 };

	image_layout(&shape, &l);
	return l;
}

cl_int image_check_box(cl_mem m, const size_t *origin, const size_t *region)
{
	struct image_layout l = layout_of(m);

	if (!origin || !region)
		return CL_INVALID_VALUE;
	const uint64_t o[] = { origin[0], origin[1], origin[2] };
	const uint64_t r[] = { region[0], region[1], region[2] };
	return image_holds(&l, o, r) ? CL_SUCCESS : CL_INVALID_VALUE;
}

void image_box(cl_mem m, const size_t *origin, const size_t *region, struct image_box *ret)
{
	struct image_layout l = layout_of(m);

	*ret = (struct image_box){ { origin[0] * l.pixel, origin[1], origin[2] },
		{ region[0] * l.pixel, region[1], region[2] }, { 0 } };
	ret->at = (struct rect){ ret->origin, ret->region, l.row, l.slice };
}

uint64_t image_box_bytes(cl_mem m, const size_t *region)
{
	return (uint64_t)m->image.pixel * region[0] * region[1] * region[2];
}

static bool has_slices(cl_mem m)
{
	return m->type == CL_MEM_OBJECT_IMAGE3D || m->type == CL_MEM_OBJECT_IMAGE2D_ARRAY;
}

cl_int image_fix_pitches(cl_mem m, const size_t *region, size_t *row_pitch, size_t *slice_pitch)
{
	size_t row = region[0] * m->image.pixel, least;

	if (!*row_pitch)
		*row_pitch = row;
	if (*row_pitch < row)
		return CL_INVALID_VALUE;
	if (__builtin_mul_overflow(*row_pitch, has_slices(m) ? region[1] : 1, &least))
		return CL_INVALID_VALUE;
	if (!*slice_pitch)
		*slice_pitch = least;
	return *slice_pitch < least && (has_slices(m) || m->type == CL_MEM_OBJECT_IMAGE1D_ARRAY)
		       ? CL_INVALID_VALUE
		       : CL_SUCCESS;
}

// The images of a 1D array are a slice pitch apart in the program's memory, and rows on the host.
struct region image_in_memory(
	cl_mem m, const void *base, const size_t *region, size_t row_pitch, size_t slice_pitch)
{
	size_t row = region[0] * m->image.pixel;
	size_t pitch = m->type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? slice_pitch : row_pitch;
	bool whole_rows = region[1] == 1 || pitch == row;
	bool whole_slices = region[2] == 1 || slice_pitch == row * region[1];

	if (whole_rows && whole_slices)
		return region_flat(base, row * region[1] * region[2]);
	return (struct region){ .base = (uint8_t *)base,
		.row = row,
		.rows = region[1],
		.slices = region[2],
		.row_pitch = pitch,
		.slice_pitch = slice_pitch };
}
