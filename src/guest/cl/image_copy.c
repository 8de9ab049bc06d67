// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 5.3.3 and 5.3.5: copying between images, and between images and buffers. Both
// are copies of rectangles of bytes.
#include "guest/cl/copy.h"
#include "guest/cl/image.h"

#include "guest/cl/memory.h"
#include "guest/stream/session.h"
#include "guest/stream/transfer.h"

static bool overlap(const size_t *a, const size_t *b, const size_t *region)
{
	for (int i = 0; i < 3; i++)
		if ((a[i] < b[i] ? b[i] - a[i] : a[i] - b[i]) >= region[i])
			return false;
	return true;
}

static cl_int check_images(cl_mem from, cl_mem to, const size_t *from_origin,
	const size_t *to_origin, const size_t *region)
{
	const cl_image_format *a = &from->image.format, *b = &to->image.format;

	if (a->image_channel_order != b->image_channel_order ||
		a->image_channel_data_type != b->image_channel_data_type)
		return CL_IMAGE_FORMAT_MISMATCH;
	cl_int err = image_check_box(from, from_origin, region);
	if (!err)
		err = image_check_box(to, to_origin, region);
	if (err)
		return err;
	return from == to && overlap(from_origin, to_origin, region) ? CL_MEM_COPY_OVERLAP
								     : CL_SUCCESS;
}

cl_int ferry_clEnqueueCopyImage(cl_command_queue q, cl_mem from, cl_mem to,
	const size_t *from_origin, const size_t *to_origin, const size_t *region, cl_uint n,
	const cl_event *list, cl_event *event)
{
	LOCKED;
	struct command c;
	struct image_box a, b;
	cl_int err = command_begin(&c, q, CL_COMMAND_COPY_IMAGE, n, list, event, false);

	if (!err)
		err = image_check(from, q->context);
	if (!err)
		err = image_check(to, q->context);
	if (!err)
		err = check_images(from, to, from_origin, to_origin, region);
	if (err)
		return err;
	image_box(from, from_origin, region, &a);
	image_box(to, to_origin, region, &b);
	return copy_boxes(&c, from, &a.at, to, &b.at);
}

// The pixels packed at `offset` of the buffer: the shape of the image's box.
static struct rect packed(const struct image_box *box, const size_t origin[3])
{
	size_t row = box->region[0];

	return (struct rect){ origin, box->region, row, row * box->region[1] };
}

static cl_int check_pair(cl_command_queue q, cl_mem image, cl_mem buffer, const size_t *origin,
	const size_t *region, size_t offset)
{
	cl_int err = image_check(image, q->context);

	if (!err)
		err = buffer_check(buffer, q->context);
	if (!err && image->parent == buffer)
		err = CL_INVALID_MEM_OBJECT;
	if (!err)
		err = image_check_box(image, origin, region);
	if (err)
		return err;
	uint64_t bytes = image_box_bytes(image, region);
	return offset > buffer->size || bytes > buffer->size - offset ? CL_INVALID_VALUE
								      : CL_SUCCESS;
}

cl_int ferry_clEnqueueCopyImageToBuffer(cl_command_queue q, cl_mem from, cl_mem to,
	const size_t *origin, const size_t *region, size_t offset, cl_uint n, const cl_event *list,
	cl_event *event)
{
	LOCKED;
	struct command c;
	struct image_box box;
	const size_t at[3] = { offset, 0, 0 };
	cl_int err = command_begin(&c, q, CL_COMMAND_COPY_IMAGE_TO_BUFFER, n, list, event, false);

	if (!err)
		err = check_pair(q, from, to, origin, region, offset);
	if (err)
		return err;
	image_box(from, origin, region, &box);
	struct rect flat = packed(&box, at);
	return copy_boxes(&c, from, &box.at, to, &flat);
}

cl_int ferry_clEnqueueCopyBufferToImage(cl_command_queue q, cl_mem from, cl_mem to, size_t offset,
	const size_t *origin, const size_t *region, cl_uint n, const cl_event *list,
	cl_event *event)
{
	LOCKED;
	struct command c;
	struct image_box box;
	const size_t at[3] = { offset, 0, 0 };
	cl_int err = command_begin(&c, q, CL_COMMAND_COPY_BUFFER_TO_IMAGE, n, list, event, false);

	if (!err)
		err = check_pair(q, to, from, origin, region, offset);
	if (err)
		return err;
	image_box(to, origin, region, &box);
	struct rect flat = packed(&box, at);
	return copy_boxes(&c, from, &flat, to, &box.at);
}
