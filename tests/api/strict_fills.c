// SPDX-License-Identifier: Apache-2.0
// clEnqueueFillImage, in every format that the device has and every type of image: colors are converted as OpenCL 1.2
// says in section 8.3. PoCL 3.1 rounds towards zero, and makes 0 of what is far too large.
#include "api.h"

#include <stdbool.h>
#include <string.h>

#define W 7
#define H 5
#define D 3

static struct cl c;
static cl_int err;
static uint8_t got[W * H * D * 16], want[W * H * D * 16];

// A color, and its channels in images of these types, in bytes as they lie there.
static const struct {
	float color[4];
	int snorm8[4], unorm8[4], snorm16[4], unorm16[4], half[4];
} floats[] = {
	{ { 0.25f, 1.0f, 0.0f, 0.5f }, { 32, 127, 0, 64 }, { 64, 255, 0, 128 },
		{ 8192, 32767, 0, 16384 }, { 16384, 65535, 0, 32768 },
		{ 0x3400, 0x3c00, 0, 0x3800 } },
	{ { -0.5f, 1.5f, 0.333f, 0.7f }, { -64, 127, 42, 89 }, { 0, 255, 85, 178 },
		{ -16384, 32767, 10911, 22937 }, { 0, 65535, 21823, 45874 },
		{ 0xb800, 0x3e00, 0x3554, 0x399a } },
	{ { 1e30f, -1e30f, 65519.0f, 65520.0f }, { 127, -128, 127, 127 }, { 255, 0, 255, 255 },
		{ 32767, -32768, 32767, 32767 }, { 65535, 0, 65535, 65535 },
		{ 0x7c00, 0xfc00, 0x7bff, 0x7c00 } },
	{ { -1.0f, 1e-7f, 0.0019f, -0.00001f }, { -127, 0, 0, 0 }, { 0, 0, 0, 0 },
		{ -32767, 0, 62, 0 }, { 0, 0, 125, 0 }, { 0xbc00, 2, 0x17c8, 0x80a8 } },
};

static const struct {
	int color[4];
	int sint8[4], uint8[4], sint16[4], uint16[4];
} ints[] = {
	{ { -3, 70000, 5, 0 }, { -3, 127, 5, 0 }, { 255, 255, 5, 0 }, { -3, 32767, 5, 0 },
		{ 65535, 65535, 5, 0 } },
	{ { INT32_MIN, -129, 128, 256 }, { -128, -128, 127, 127 }, { 255, 255, 128, 255 },
		{ -32768, -129, 128, 256 }, { 65535, 65535, 128, 256 } },
};

#define FLOATS (sizeof floats / sizeof floats[0])
#define INTS   (sizeof ints / sizeof ints[0])

// The channels' bytes and where they are; NULL for those of the color itself.
static const int *channels(cl_channel_type type, size_t i, size_t *ret_bytes)
{
	*ret_bytes = 1;
	switch (type) {
	case CL_SNORM_INT8:
		return floats[i].snorm8;
	case CL_UNORM_INT8:
		return floats[i].unorm8;
	case CL_SIGNED_INT8:
		return ints[i].sint8;
	case CL_UNSIGNED_INT8:
		return ints[i].uint8;
	}
	*ret_bytes = 2;
	switch (type) {
	case CL_SNORM_INT16:
		return floats[i].snorm16;
	case CL_UNORM_INT16:
		return floats[i].unorm16;
	case CL_HALF_FLOAT:
		return floats[i].half;
	case CL_SIGNED_INT16:
		return ints[i].sint16;
	case CL_UNSIGNED_INT16:
		return ints[i].uint16;
	}
	*ret_bytes = 4;
	return NULL;
}

static bool is_whole(cl_channel_type type)
{
	return type >= CL_SIGNED_INT8 && type <= CL_UNSIGNED_INT32;
}

// Which of red, green, blue and alpha a pixel has, in this order.
static const char *letters(cl_channel_order order)
{
	switch (order) {
	case CL_R:
		return "r";
	case CL_A:
		return "a";
	case CL_RG:
		return "rg";
	case CL_RA:
		return "ra";
	case CL_RGBA:
		return "rgba";
	case CL_ARGB:
		return "argb";
	case CL_BGRA:
		return "bgra";
	default:
		return NULL;
	}
}

// Returns the pixel's bytes.
static size_t pixel_of(const cl_image_format *f, size_t i, uint8_t *pixel)
{
	static const char all[] = "rgba";
	const char *has = letters(f->image_channel_order);
	size_t bytes;
	const int *from = channels(f->image_channel_data_type, i, &bytes);

	if (!from)
		from = is_whole(f->image_channel_data_type) ? ints[i].color
							    : (const int *)floats[i].color;
	for (size_t n = 0; has[n]; n++)
		memcpy(pixel + n * bytes, &from[strchr(all, has[n]) - all], bytes);
	return strlen(has) * bytes;
}

static const struct shape {
	cl_mem_object_type type;
	size_t size[3], origin[3], region[3];
} shapes[] = {
	{ CL_MEM_OBJECT_IMAGE1D, { W, 1, 1 }, { 2, 0, 0 }, { 4, 1, 1 } },
	{ CL_MEM_OBJECT_IMAGE1D_ARRAY, { W, H, 1 }, { 2, 1, 0 }, { 4, 3, 1 } },
	{ CL_MEM_OBJECT_IMAGE2D, { W, H, 1 }, { 2, 1, 0 }, { 4, 3, 1 } },
	{ CL_MEM_OBJECT_IMAGE2D_ARRAY, { W, H, D }, { 2, 1, 1 }, { 5, 4, 2 } },
	{ CL_MEM_OBJECT_IMAGE3D, { W, H, D }, { 0, 1, 1 }, { 4, 3, 1 } },
};

static cl_mem image_of(const struct shape *s, const cl_image_format *f)
{
	const bool lines = s->type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
	const cl_image_desc desc = { .image_type = s->type,
		.image_width = s->size[0],
		.image_height = s->size[1],
		.image_depth = s->size[2],
		.image_array_size = lines ? s->size[1] : s->size[2] };
	cl_mem m = clCreateImage(c.context, 0, f, &desc, NULL, &err);

	OK(err);
	return m;
}

static void check_fill(cl_mem m, const struct shape *s, const cl_image_format *f, size_t i)
{
	const size_t zero[3] = { 0 }, *o = s->origin, *r = s->region;
	uint8_t pixel[16];
	size_t n = pixel_of(f, i, pixel), bytes = s->size[0] * s->size[1] * s->size[2] * n;
	const void *color = is_whole(f->image_channel_data_type) ? (const void *)ints[i].color
								 : floats[i].color;

	memset(want, 0xa5, bytes);
	OK(clEnqueueWriteImage(c.queue, m, CL_TRUE, zero, s->size, 0, 0, want, 0, NULL, NULL));
	OK(clEnqueueFillImage(c.queue, m, color, o, r, 0, NULL, NULL));
	OK(clEnqueueReadImage(c.queue, m, CL_TRUE, zero, s->size, 0, 0, got, 0, NULL, NULL));
	for (size_t z = o[2]; z < o[2] + r[2]; z++)
		for (size_t y = o[1]; y < o[1] + r[1]; y++)
			for (size_t x = o[0]; x < o[0] + r[0]; x++)
				memcpy(want + ((z * s->size[1] + y) * s->size[0] + x) * n, pixel,
					n);
	if (memcmp(got, want, bytes))
		fprintf(stderr, "format %x/%x, color %zu\n", f->image_channel_order,
			f->image_channel_data_type, i);
	CHECK(!memcmp(got, want, bytes));
}

static void check_formats(const struct shape *s)
{
	cl_image_format list[256];
	cl_uint n, known = 0;

	OK(clGetSupportedImageFormats(c.context, CL_MEM_READ_WRITE, s->type, 256, list, &n));
	for (cl_uint i = 0; i < n; i++) {
		if (!letters(list[i].image_channel_order))
			continue;
		cl_mem m = image_of(s, &list[i]);
		size_t colors = is_whole(list[i].image_channel_data_type) ? INTS : FLOATS;
		for (size_t k = 0; k < colors; k++)
			check_fill(m, s, &list[i], k);
		OK(clReleaseMemObject(m));
		known++;
	}
	printf("ok type %x, %u formats\n", s->type, known);
}

int main(void)
{
	c = cl_setup();
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
		check_formats(&shapes[i]);
	cl_teardown(&c);
	return 0;
}
