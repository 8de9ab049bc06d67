// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.3.1: creating images.
#include "guest/cl/image.h"

#include "guest/cl/memory.h"
#include "guest/cl/queue.h"
#include "guest/stream/request.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"
#include "guest/stream/transfer.h"

// ---- checks

static cl_int check_format(const cl_image_format *f, cl_mem_flags flags, cl_mem_object_type type)
{
	size_t n;
	const uint8_t *at = image_formats(flags, type, &n);

	if (!f || !image_pixel_bytes(f->image_channel_order, f->image_channel_data_type))
		return CL_INVALID_IMAGE_FORMAT_DESCRIPTOR;
	struct rd r = rd_make(at, n * 8);
	while (r.left) {
		cl_uint order = rd_u32(&r), data_type = rd_u32(&r);
		if (order == f->image_channel_order && data_type == f->image_channel_data_type)
			return CL_SUCCESS;
	}
	return CL_IMAGE_FORMAT_NOT_SUPPORTED;
}

// Extents that the type does not have are ignored.
static struct image_info take_desc(const cl_image_format *f, const cl_image_desc *d)
{
	cl_mem_object_type t = d->image_type;
	bool is_3d = t == CL_MEM_OBJECT_IMAGE3D, is_2d_array = t == CL_MEM_OBJECT_IMAGE2D_ARRAY;
	bool is_1d_array = t == CL_MEM_OBJECT_IMAGE1D_ARRAY;
	struct image_info i = { .format = *f,
		.pixel = image_pixel_bytes(f->image_channel_order, f->image_channel_data_type),
		.width = d->image_width,
		.row_pitch = d->image_row_pitch };

	if (t == CL_MEM_OBJECT_IMAGE2D || is_2d_array || is_3d)
		i.height = d->image_height;
	if (is_3d)
		i.depth = d->image_depth;
	if (is_1d_array || is_2d_array)
		i.array_size = d->image_array_size;
	if (is_1d_array || is_2d_array || is_3d)
		i.slice_pitch = d->image_slice_pitch;
	return i;
}

static cl_int check_size(const struct image_info *i, cl_mem_object_type type)
{
	const struct device_limits *l = device_limits();
	size_t most[] = { l->image2d[0], l->image2d[1], 0 };

	if (type == CL_MEM_OBJECT_IMAGE1D_BUFFER)
		most[0] = l->image_pixels;
	for (int k = 0; k < 3 && type == CL_MEM_OBJECT_IMAGE3D; k++)
		most[k] = l->image3d[k];
	if (i->width > most[0] || i->height > most[1] || i->depth > most[2])
		return CL_INVALID_IMAGE_SIZE;
	return i->array_size > l->image_array ? CL_INVALID_IMAGE_SIZE : CL_SUCCESS;
}

// Makes the pitches those of the program's memory; *ret_size is what that takes.
static cl_int fix_pitches(cl_mem_object_type type, struct image_info *i, size_t *ret_size)
{
	struct _cl_mem like = { .type = type, .image = *i };
	const size_t region[] = { i->width, i->height ? i->height : 1, 1 };
	size_t slices = i->depth ? i->depth : i->array_size;
	cl_int err = image_fix_pitches(&like, region, &i->row_pitch, &i->slice_pitch);

	if (err || i->row_pitch % i->pixel || i->slice_pitch % i->row_pitch)
		return CL_INVALID_IMAGE_DESCRIPTOR;
	if (!slices) {
		i->slice_pitch =
			0; // "for a 1D image, 1D image buffer and 2D image object return 0"
		*ret_size = i->row_pitch * region[1];
		return CL_SUCCESS;
	}
	return __builtin_mul_overflow(i->slice_pitch, slices, ret_size) ? CL_INVALID_IMAGE_SIZE
									: CL_SUCCESS;
}

static cl_int check_buffer(cl_context c, const cl_image_desc *d, const struct image_info *i)
{
	bool wanted = d->image_type == CL_MEM_OBJECT_IMAGE1D_BUFFER;

	if (d->buffer && d->image_type == CL_MEM_OBJECT_IMAGE2D)
		return CL_INVALID_OPERATION; // OpenCL 3.0, section 5.3.1: not on this device
	if (!wanted != !d->buffer)
		return CL_INVALID_IMAGE_DESCRIPTOR;
	if (!wanted)
		return CL_SUCCESS;
	if (buffer_check(d->buffer, c))
		return CL_INVALID_IMAGE_DESCRIPTOR;
	if (d->image_row_pitch > d->buffer->size)
		return CL_INVALID_IMAGE_DESCRIPTOR;
	return i->width * i->pixel > d->buffer->size ? CL_INVALID_IMAGE_SIZE : CL_SUCCESS;
}

// "Must be 0 if host_ptr is NULL", but the conformance suite gives the one row of a 1D buffer image a pitch.
static bool may_have_pitches(const cl_image_desc *d, bool host_ptr)
{
	if (d->buffer && d->image_type == CL_MEM_OBJECT_IMAGE1D_BUFFER)
		return !d->image_slice_pitch;
	return host_ptr || (!d->image_row_pitch && !d->image_slice_pitch);
}

static cl_int check_desc(
	cl_context c, const cl_image_desc *d, bool host_ptr, struct image_info *i, size_t *ret_size)
{
	struct _cl_mem like = { .type = d->image_type, .image = *i };
	struct image_shape shape = image_shape_of(&like);
	struct image_layout layout;

	if (d->num_mip_levels || d->num_samples)
		return CL_INVALID_IMAGE_DESCRIPTOR;
	if (!may_have_pitches(d, host_ptr))
		return CL_INVALID_IMAGE_DESCRIPTOR;
	cl_int err = check_size(i, d->image_type);
	if (!err && !image_layout(&shape, &layout))
		err = CL_INVALID_IMAGE_DESCRIPTOR;
	if (!err)
		err = check_buffer(c, d, i);
	if (!err)
		err = fix_pitches(d->image_type, i, ret_size);
	if (!err && layout.bytes > device_limits()->alloc_bytes)
		err = CL_MEM_OBJECT_ALLOCATION_FAILURE;
	return err;
}

// ---- creation

static cl_int announce(cl_mem m)
{
	struct image_shape s = image_shape_of(m);
	struct p_image_create msg = { m->o.id, m->context->o.id, mem_host_flags(m), s.type, s.order,
		s.data_type, { { s.extent[0], s.extent[1], s.extent[2] } }, s.array_size,
		m->parent ? m->parent->o.id : 0 };
	bool ask = m->size >= MEM_ASK_BYTES;
	uint32_t seq;

	session_send_releases(); // their memory may be what this needs
	cl_int err = send_image_create(ask ? P_ANSWER : 0, &msg, &seq);
	if (err)
		return err;
	m->o.announced = true;
	return ask ? request_status(seq) : CL_SUCCESS;
}

// The contents must be there for commands of every queue, so this waits.
static cl_int fill_in(cl_mem m, const void *host_ptr)
{
	struct image_layout l = { 0 };
	struct image_shape shape = image_shape_of(m);
	const size_t zero[3] = { 0 };
	struct command c = { 0 };
	struct image_box box;

	image_layout(&shape, &l);
	const size_t whole[] = { l.count[0], l.count[1], l.count[2] };
	struct region r =
		image_in_memory(m, host_ptr, whole, m->image.row_pitch, m->image.slice_pitch);
	image_box(m, zero, whole, &box);
	cl_int err = queue_for_setup(&c.queue, m->context);
	if (!err)
		err = transfer_box(&c, m, &box.at, &r, true, true);
	return err ? err : queue_finish(c.queue);
}

static cl_mem create(cl_context c, cl_mem_flags flags, const cl_image_desc *d,
	const struct image_info *info, size_t size, void *host_ptr, cl_int *errcode_ret)
{
	cl_mem m = mem_new(c, d->image_type, flags, size);

	if (!m)
		return refuse(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	m->image = *info;
	m->parent = d->buffer;
	if (m->parent)
		object_ref(m->parent);
	if (flags & CL_MEM_USE_HOST_PTR)
		m->host_ptr = m->parent ? m->parent->host_ptr : host_ptr;
	cl_int err = announce(m);
	if (!err && host_ptr)
		err = fill_in(m, host_ptr);
	refuse(errcode_ret, err);
	if (!err)
		return m;
	object_unref(m);
	return NULL;
}

cl_mem ferry_clCreateImage(cl_context c, cl_mem_flags flags, const cl_image_format *format,
	const cl_image_desc *desc, void *host_ptr, cl_int *errcode_ret)
{
	LOCKED;
	struct image_info info = { 0 };
	size_t size = 0;
	cl_int err = object_check(c, &context_class);

	if (!err && !device_limits()->images)
		err = CL_INVALID_OPERATION;
	if (!err)
		err = mem_check_flags(flags, host_ptr);
	if (!err && (!desc || !image_type_is_known(desc->image_type)))
		err = CL_INVALID_IMAGE_DESCRIPTOR;
	if (!err)
		err = check_format(format, flags, desc->image_type);
	if (err)
		return refuse(errcode_ret, err);
	info = take_desc(format, desc);
	err = check_desc(c, desc, host_ptr, &info, &size);
	if (!err && desc->buffer)
		err = host_ptr ? CL_INVALID_HOST_PTR : mem_part_flags(desc->buffer, flags, &flags);
	if (err)
		return refuse(errcode_ret, err);
	return create(c, flags, desc, &info, size, host_ptr, errcode_ret);
}

cl_mem ferry_clCreateImageWithProperties(cl_context c, const cl_mem_properties *properties,
	cl_mem_flags flags, const cl_image_format *format, const cl_image_desc *desc,
	void *host_ptr, cl_int *errcode_ret)
{
	if (properties && properties[0])
		return refuse(errcode_ret, CL_INVALID_PROPERTY);
	cl_mem m = ferry_clCreateImage(c, flags, format, desc, host_ptr, errcode_ret);
	if (m)
		m->has_properties = properties;
	return m;
}

// ---- as before OpenCL 1.2, where a wrong extent or pitch is a wrong size

static cl_mem create_old(cl_context c, cl_mem_flags flags, const cl_image_format *format,
	const cl_image_desc *desc, void *host_ptr, cl_int *errcode_ret)
{
	cl_int err;
	cl_mem m = ferry_clCreateImage(c, flags, format, desc, host_ptr, &err);

	refuse(errcode_ret, err == CL_INVALID_IMAGE_DESCRIPTOR ? CL_INVALID_IMAGE_SIZE : err);
	return m;
}

cl_mem ferry_clCreateImage2D(cl_context c, cl_mem_flags flags, const cl_image_format *format,
	size_t width, size_t height, size_t row_pitch, void *host_ptr, cl_int *errcode_ret)
{
	const cl_image_desc desc = { .image_type = CL_MEM_OBJECT_IMAGE2D,
		.image_width = width,
		.image_height = height,
		.image_row_pitch = row_pitch };

	return create_old(c, flags, format, &desc, host_ptr, errcode_ret);
}

cl_mem ferry_clCreateImage3D(cl_context c, cl_mem_flags flags, const cl_image_format *format,
	size_t width, size_t height, size_t depth, size_t row_pitch, size_t slice_pitch,
	void *host_ptr, cl_int *errcode_ret)
{
	const cl_image_desc desc = { .image_type = CL_MEM_OBJECT_IMAGE3D,
		.image_width = width,
		.image_height = height,
		.image_depth = depth,
		.image_row_pitch = row_pitch,
		.image_slice_pitch = slice_pitch };

	return create_old(c, flags, format, &desc, host_ptr, errcode_ret);
}
