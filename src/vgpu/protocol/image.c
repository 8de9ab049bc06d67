// SPDX-License-Identifier: Apache-2.0
#include "vgpu/protocol/image.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

static const struct {
	uint32_t order, channels;
} orders[] = {
	{ CL_R, 1 },
	{ CL_A, 1 },
	{ CL_Rx, 1 },
	{ CL_INTENSITY, 1 },
	{ CL_LUMINANCE, 1 },
	{ CL_RG, 2 },
	{ CL_RA, 2 },
	{ CL_RGx, 2 },
	{ CL_RGBA, 4 },
	{ CL_ARGB, 4 },
	{ CL_BGRA, 4 },
};

static const struct {
	uint32_t type, bytes;
	bool grey;   // with CL_INTENSITY and CL_LUMINANCE
	bool bytes4; // with CL_ARGB and CL_BGRA
} types[] = {
	{ CL_SNORM_INT8, 1, true, true },
	{ CL_SNORM_INT16, 2, true, false },
	{ CL_UNORM_INT8, 1, true, true },
	{ CL_UNORM_INT16, 2, true, false },
	{ CL_SIGNED_INT8, 1, false, true },
	{ CL_SIGNED_INT16, 2, false, false },
	{ CL_SIGNED_INT32, 4, false, false },
	{ CL_UNSIGNED_INT8, 1, false, true },
	{ CL_UNSIGNED_INT16, 2, false, false },
	{ CL_UNSIGNED_INT32, 4, false, false },
	{ CL_HALF_FLOAT, 2, true, false },
	{ CL_FLOAT, 4, true, false },
};

static uint64_t packed_bytes(uint32_t order, uint32_t type)
{
	if (order != CL_RGB && order != CL_RGBx)
		return 0;
	switch (type) {
	case CL_UNORM_SHORT_565:
	case CL_UNORM_SHORT_555:
		return 2;
	case CL_UNORM_INT_101010:
		return 4;
	default:
		return 0;
	}
}

static uint32_t channels_of(uint32_t order)
{
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
		if (orders[i].order == order)
			return orders[i].channels;
	return 0;
}

uint64_t image_pixel_bytes(uint32_t order, uint32_t data_type)
{
	uint32_t channels = channels_of(order);

	for (size_t i = 0; channels && i < sizeof types / sizeof types[0]; i++) {
		if (types[i].type != data_type)
			continue;
		if ((order == CL_INTENSITY || order == CL_LUMINANCE) && !types[i].grey)
			return 0;
		if ((order == CL_ARGB || order == CL_BGRA) && !types[i].bytes4)
			return 0;
		return types[i].bytes * channels;
	}
	return packed_bytes(order, data_type);
}

// Which of width, height, depth and array size a type has.
static const struct {
	uint32_t type;
	bool has[4];
} dimensions[] = {
	{ CL_MEM_OBJECT_IMAGE1D, { true } },
	{ CL_MEM_OBJECT_IMAGE1D_BUFFER, { true } },
	{ CL_MEM_OBJECT_IMAGE1D_ARRAY, { true, false, false, true } },
	{ CL_MEM_OBJECT_IMAGE2D, { true, true } },
	{ CL_MEM_OBJECT_IMAGE2D_ARRAY, { true, true, false, true } },
	{ CL_MEM_OBJECT_IMAGE3D, { true, true, true } },
};

static const bool *dimensions_of(uint32_t type)
{
	for (size_t i = 0; i < sizeof dimensions / sizeof dimensions[0]; i++)
		if (dimensions[i].type == type)
			return dimensions[i].has;
	return NULL;
}

bool image_type_is_known(uint32_t type)
{
	return dimensions_of(type) != NULL;
}

static bool has_its_extents(const struct image_shape *s, const bool has[4])
{
	const uint64_t given[] = { s->extent[0], s->extent[1], s->extent[2], s->array_size };

	for (int i = 0; i < 4; i++)
		if (has[i] != (given[i] != 0))
			return false;
	return true;
}

bool image_layout(const struct image_shape *s, struct image_layout *ret)
{
	const bool *has = dimensions_of(s->type);
	struct image_layout l = { .pixel = image_pixel_bytes(s->order, s->data_type) };

	if (!has || !l.pixel || !has_its_extents(s, has))
		return false;
	for (int i = 0; i < 3; i++)
		l.count[i] = s->extent[i] ? s->extent[i] : 1;
	if (has[3])
		l.count[has[1] ? 2 : 1] = s->array_size;
	if (__builtin_mul_overflow(l.pixel, l.count[0], &l.row) ||
		__builtin_mul_overflow(l.row, l.count[1], &l.slice) ||
		__builtin_mul_overflow(l.slice, l.count[2], &l.bytes))
		return false;
	*ret = l;
	return true;
}

bool image_holds(const struct image_layout *l, const uint64_t origin[3], const uint64_t region[3])
{
	for (int i = 0; i < 3; i++)
		if (!region[i] || region[i] > l->count[i] || origin[i] > l->count[i] - region[i])
			return false;
	return true;
}
