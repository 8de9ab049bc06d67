// SPDX-License-Identifier: Apache-2.0
// Images and samplers on the host's OpenCL. An image's bytes lie in the page space as packed rows: the
// driver's image is made over them (CL_MEM_USE_HOST_PTR with explicit pitches), and a buffer over the
// same bytes serves transfers and copies. On a CPU device the driver works on the memory in place.
#include "vgpu/backend/cl_backend.h"
#include "vgpu/protocol/protocol.h"

#include <stdlib.h>

static bool is_array(const struct be_image *how)
{
	return how->shape.array_size != 0;
}

static cl_image_desc describe(const struct be_image *how)
{
	const struct image_shape *s = &how->shape;
	cl_image_desc desc = { .image_type = s->type,
		.image_width = s->extent[0],
		.image_height = s->extent[1],
		.image_depth = s->extent[2],
		.image_array_size = s->array_size,
		.image_row_pitch = how->layout.row };

	if (s->type == CL_MEM_OBJECT_IMAGE3D || s->type == CL_MEM_OBJECT_IMAGE2D_ARRAY)
		desc.image_slice_pitch = how->layout.slice;
	else if (is_array(how))
		desc.image_slice_pitch = how->layout.row;
	// PoCL 3.1 crashes in a launch with a 1D buffer image. A 1D image over the same bytes is read and
	// written alike, by the same built-in functions.
	if (s->type == CL_MEM_OBJECT_IMAGE1D_BUFFER)
		desc.image_type = CL_MEM_OBJECT_IMAGE1D;
	return desc;
}

// What the driver makes of the description must be what ours says: it will write there.
static cl_int check_size(cl_mem image, const struct be_image *how)
{
	size_t bytes = 0, pixel = 0;

	clGetMemObjectInfo(image, CL_MEM_SIZE, sizeof bytes, &bytes, NULL);
	clGetImageInfo(image, CL_IMAGE_ELEMENT_SIZE, sizeof pixel, &pixel, NULL);
	return bytes <= how->layout.bytes && pixel == how->layout.pixel
		       ? CL_SUCCESS
		       : CL_IMAGE_FORMAT_NOT_SUPPORTED;
}

static cl_int add_image(struct cl_backend *b, struct be_mem *m, const struct be_image *how)
{
	const cl_image_format format = { how->shape.order, how->shape.data_type };
	const cl_image_desc desc = describe(how);
	cl_int err;

	m->image = clCreateImage(b->context, cl_mem_access(how->flags) | CL_MEM_USE_HOST_PTR,
		&format, &desc, m->at, &err);
	return m->image ? check_size(m->image, how) : err;
}

cl_int cl_image_new(struct backend *be, const struct be_image *how, uint64_t offset,
	struct be_mem *parent, struct be_mem **ret)
{
	struct be_mem *m = NULL;
	cl_int err = CL_SUCCESS;

	if (parent) {
		clRetainMemObject(parent->mem);
		err = cl_wrap_mem(parent->mem, parent->at, &m);
		if (err == CL_SUCCESS)
			m->is_part = parent->is_part;
	} else {
		err = be->ops->mem_new(be, CL_MEM_READ_WRITE, offset, how->layout.bytes, &m);
	}
	if (err == CL_SUCCESS)
		err = add_image(cl_of(be), m, how);
	if (err == CL_SUCCESS)
		*ret = m;
	else
		be->ops->mem_free(m);
	return err;
}

// ---- samplers

cl_int cl_sampler_new(
	struct backend *be, const struct be_sampler_state *how, struct be_sampler **ret)
{
	cl_int err;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	*ret = (struct be_sampler *)clCreateSampler(
		cl_of(be)->context, how->normalized, how->addressing, how->filter, &err);
#pragma GCC diagnostic pop
	return err;
}

void cl_sampler_free(struct be_sampler *s)
{
	if (s)
		clReleaseSampler((cl_sampler)s);
}

cl_int cl_kernel_set_sampler(struct be_kernel *k, uint32_t index, struct be_sampler *s)
{
	cl_sampler sampler = (cl_sampler)s;

	return clSetKernelArg((cl_kernel)k, index, sizeof sampler, &sampler);
}

// ---- formats

#define FORMATS_MAX 256

struct formats {
	cl_image_format at[FORMATS_MAX];
	cl_uint n;
};

static void get_formats(
	struct cl_backend *b, cl_mem_flags flags, cl_mem_object_type type, struct formats *ret)
{
	ret->n = 0;
	clGetSupportedImageFormats(b->context, flags, type, FORMATS_MAX, ret->at, &ret->n);
	if (ret->n > FORMATS_MAX)
		ret->n = FORMATS_MAX;
}

static bool same_formats(const struct formats *a, const struct formats *b)
{
	if (a->n != b->n)
		return false;
	for (cl_uint i = 0; i < a->n; i++)
		if (a->at[i].image_channel_order != b->at[i].image_channel_order ||
			a->at[i].image_channel_data_type != b->at[i].image_channel_data_type)
			return false;
	return true;
}

static void put_formats(struct buf *items, uint32_t kind, uint32_t type, const struct formats *f)
{
	struct buf value = { 0 };

	for (cl_uint i = 0; i < f->n; i++) {
		buf_put_u32(&value, f->at[i].image_channel_order);
		buf_put_u32(&value, f->at[i].image_channel_data_type);
	}
	struct p_info m = { kind, type, p_blob_of(&value) };
	p_put_info_item(items, &m);
	buf_free(&value);
}

void cl_image_put_formats(struct cl_backend *b, struct buf *items)
{
	static const cl_mem_object_type types[] = { CL_MEM_OBJECT_IMAGE1D,
		CL_MEM_OBJECT_IMAGE1D_BUFFER, CL_MEM_OBJECT_IMAGE1D_ARRAY, CL_MEM_OBJECT_IMAGE2D,
		CL_MEM_OBJECT_IMAGE2D_ARRAY, CL_MEM_OBJECT_IMAGE3D };
	static const struct {
		cl_mem_flags flags;
		uint32_t kind;
	} lists[] = { { CL_MEM_WRITE_ONLY, PROTO_INFO_FORMATS_WRITE },
		{ CL_MEM_READ_ONLY, PROTO_INFO_FORMATS_READ },
		{ CL_MEM_KERNEL_READ_AND_WRITE, PROTO_INFO_FORMATS_BOTH } };
	struct formats usual, other;

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		get_formats(b, CL_MEM_READ_WRITE, types[i], &usual);
		put_formats(items, PROTO_INFO_FORMATS, types[i], &usual);
		for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
			get_formats(b, lists[k].flags, types[i], &other);
			if (!same_formats(&usual, &other))
				put_formats(items, lists[k].kind, types[i], &other);
		}
	}
}
