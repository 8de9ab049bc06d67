// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 5.3.3 and 5.3.4: reading, writing and filling images.
#include "guest/cl/image.h"

#include "guest/cl/memory.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"
#include "guest/stream/transfer.h"

struct image_call {
	cl_command_queue q;
	cl_mem m;
	bool blocking, write;
	const size_t *origin, *region;
	size_t row_pitch, slice_pitch;
	const void *ptr;
	cl_uint n;
	const cl_event *list;
	cl_event *event;
};

static cl_int image_call(struct image_call *a)
{
	LOCKED;
	struct command c;
	struct image_box box;
	cl_command_type type = a->write ? CL_COMMAND_WRITE_IMAGE : CL_COMMAND_READ_IMAGE;
	cl_int err = command_begin(&c, a->q, type, a->n, a->list, a->event, a->blocking);

	if (!err)
		err = image_check(a->m, a->q->context);
	if (!err && !a->ptr)
		err = CL_INVALID_VALUE;
	if (!err)
		err = image_check_box(a->m, a->origin, a->region);
	if (!err)
		err = image_fix_pitches(a->m, a->region, &a->row_pitch, &a->slice_pitch);
	if (!err)
		err = mem_check_access(a->m, a->write);
	if (err)
		return err;
	struct region r = image_in_memory(a->m, a->ptr, a->region, a->row_pitch, a->slice_pitch);
	image_box(a->m, a->origin, a->region, &box);
	return transfer_box(&c, a->m, &box.at, &r, a->write, a->blocking);
}

cl_int ferry_clEnqueueReadImage(cl_command_queue q, cl_mem m, cl_bool blocking,
	const size_t *origin, const size_t *region, size_t row_pitch, size_t slice_pitch, void *ptr,
	cl_uint n, const cl_event *list, cl_event *event)
{
	struct image_call a = { q, m, blocking, false, origin, region, row_pitch, slice_pitch, ptr,
		n, list, event };

	return image_call(&a);
}

cl_int ferry_clEnqueueWriteImage(cl_command_queue q, cl_mem m, cl_bool blocking,
	const size_t *origin, const size_t *region, size_t row_pitch, size_t slice_pitch,
	const void *ptr, cl_uint n, const cl_event *list, cl_event *event)
{
	struct image_call a = { q, m, blocking, true, origin, region, row_pitch, slice_pitch, ptr,
		n, list, event };

	return image_call(&a);
}

cl_int ferry_clEnqueueFillImage(cl_command_queue q, cl_mem m, const void *color,
	const size_t *origin, const size_t *region, cl_uint n, const cl_event *list,
	cl_event *event)
{
	LOCKED;
	struct command c;
	cl_int err = command_begin(&c, q, CL_COMMAND_FILL_IMAGE, n, list, event, false);

	if (!err)
		err = image_check(m, q->context);
	if (!err && !color)
		err = CL_INVALID_VALUE;
	if (!err)
		err = image_check_box(m, origin, region);
	if (!err)
		err = command_event(&c);
	if (err)
		return err;
	struct p_image_fill msg = { q->o.id, m->o.id, event_id(c.event),
		{ { origin[0], origin[1], origin[2] } }, { { region[0], region[1], region[2] } },
		waits_ids(&c.waits), { color, 16 } };
	return command_end(&c, send_image_fill(0, &msg, &c.seq));
}
