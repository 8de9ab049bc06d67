// SPDX-License-Identifier: Apache-2.0
// Images of every type, of several formats, made of the program's memory with and without pitches, or of buffers.
#include "random.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	cl_mem_object_type type;
	cl_channel_order order;
	cl_channel_type channel;
	size_t pixel, channels;
} kinds[IMAGES] = {
	{ CL_MEM_OBJECT_IMAGE1D, CL_RGBA, CL_UNSIGNED_INT8, 4, 4 },
	{ CL_MEM_OBJECT_IMAGE2D, CL_RGBA, CL_UNSIGNED_INT8, 4, 4 },
	{ CL_MEM_OBJECT_IMAGE3D, CL_RGBA, CL_UNSIGNED_INT8, 4, 4 },
	{ CL_MEM_OBJECT_IMAGE2D_ARRAY, CL_RGBA, CL_UNSIGNED_INT8, 4, 4 },
	{ CL_MEM_OBJECT_IMAGE2D, CL_R, CL_UNSIGNED_INT8, 1, 1 },
	{ CL_MEM_OBJECT_IMAGE2D, CL_RGBA, CL_UNSIGNED_INT32, 16, 4 },
	// PoCL 3.1 itself crashes in these, or puts the rows of an array elsewhere.
	{ CL_MEM_OBJECT_IMAGE1D_ARRAY, CL_RGBA, CL_UNSIGNED_INT8, 4, 4 },
	{ CL_MEM_OBJECT_IMAGE1D_BUFFER, CL_RGBA, CL_UNSIGNED_INT8, 4, 4 },
	{ CL_MEM_OBJECT_IMAGE1D_BUFFER, CL_R, CL_UNSIGNED_INT16, 2, 1 },
};

static void draw_size(struct thing *t)
{
	bool rows = t->type != CL_MEM_OBJECT_IMAGE1D && t->type != CL_MEM_OBJECT_IMAGE1D_BUFFER;
	bool layers = t->type == CL_MEM_OBJECT_IMAGE3D || t->type == CL_MEM_OBJECT_IMAGE2D_ARRAY;

	t->size[0] = 1 + draw(200);
	t->size[1] = rows ? 1 + draw(60) : 1;
	t->size[2] = layers ? 1 + draw(7) : 1;
	t->bytes = t->size[0] * t->size[1] * t->size[2] * t->pixel;
}

static cl_image_desc describe(const struct thing *t)
{
	bool lines = t->type == CL_MEM_OBJECT_IMAGE1D_ARRAY;

	return (cl_image_desc){ .image_type = t->type,
		.image_width = t->size[0],
		.image_height = t->size[1],
		.image_depth = t->size[2],
		.image_array_size = lines ? t->size[1] : t->size[2] };
}

// Pitches of some pixels and rows more than it takes.
static struct box draw_pitches(const struct thing *t, cl_image_desc *desc)
{
	const size_t region[] = { t->size[0] * t->pixel, t->size[1], t->size[2] };
	bool lines = t->type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
	struct box b = packed(region);

	b.row += draw(9) * t->pixel;
	b.slice = b.row * ((lines ? 1 : region[1]) + draw(3));
	desc->image_row_pitch = b.row;
	if (lines || t->type == CL_MEM_OBJECT_IMAGE2D_ARRAY || t->type == CL_MEM_OBJECT_IMAGE3D)
		desc->image_slice_pitch = b.slice;
	if (lines)
		b.row = b.slice;
	return b;
}

static void make_of_memory(struct thing *t, const cl_image_format *format)
{
	cl_image_desc desc = describe(t);
	struct box b = draw_pitches(t, &desc), all = packed(b.region);
	size_t bytes = b.slice * b.region[2] + b.row * b.region[1];
	bool uses = draw(2);

	t->memory = malloc(bytes);
	t->at = malloc(t->bytes);
	CHECK(t->memory && t->at);
	memcpy(t->memory, source, bytes);
	copy_box(t->at, &all, t->memory, &b);
	t->m = clCreateImage(c.context, uses ? CL_MEM_USE_HOST_PTR : CL_MEM_COPY_HOST_PTR, format,
		&desc, t->memory, &err);
	OK(err);
	if (uses)
		return;
	free(t->memory);
	t->memory = NULL;
}

// Of a buffer, or of a part of one that is not too small: the model of both is the same memory.
static void make_of_buffer(struct thing *t, const cl_image_format *format)
{
	struct thing *buffer = any_buffer(true);

	if (buffer->bytes < 64)
		buffer = &things[1];
	if (t->bytes > buffer->bytes)
		t->size[0] = buffer->bytes / t->pixel;
	t->bytes = t->size[0] * t->pixel;
	t->at = buffer->at;
	t->is_part = true;
	cl_image_desc desc = describe(t);
	desc.buffer = buffer->m;
	t->m = clCreateImage(c.context, 0, format, &desc, NULL, &err);
	OK(err);
}

static int count(void)
{
	return is_pocl ? IMAGES - 3 : IMAGES;
}

void make_images(void)
{
	for (int i = 0; i < count(); i++) {
		const cl_image_format format = { kinds[i].order, kinds[i].channel };
		struct thing *t = &things[BUFFERS + PARTS + i];
		*t = (struct thing){ .type = kinds[i].type,
			.channel = kinds[i].channel,
			.pixel = kinds[i].pixel,
			.channels = kinds[i].channels };
		draw_size(t);
		if (t->type == CL_MEM_OBJECT_IMAGE1D_BUFFER)
			make_of_buffer(t, &format);
		else
			make_of_memory(t, &format);
	}
}

void free_images(void)
{
	const size_t zero[3] = { 0 };

	for (int i = 0; i < count(); i++) {
		struct thing *t = &things[BUFFERS + PARTS + i];
		OK(clEnqueueReadImage(
			queues[0], t->m, CL_TRUE, zero, t->size, 0, 0, got, 0, NULL, NULL));
		CHECK(!memcmp(got, t->at, t->bytes));
		OK(clReleaseMemObject(t->m));
		free(t->memory);
		if (!t->is_part)
			free(t->at);
	}
}
