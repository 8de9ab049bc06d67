// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 5.2.2 and 5.2.3 (copying and filling buffers), 5.5.4 (migrating).
#include <stdlib.h>
#include "guest/cl/copy.h"
#include "guest/cl/memory.h"
#include "guest/cl/rect.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"
#include "guest/stream/transfer.h"

static cl_mem root_of(cl_mem m)
{
	return m->parent ? m->parent : m;
}

static bool fits(cl_mem m, size_t offset, size_t size)
{
	return size && offset <= m->size && size <= m->size - offset;
}

cl_int copy_bytes(
	struct command *c, cl_mem from, size_t from_offset, cl_mem to, size_t to_offset, size_t n)
{
	cl_int err = command_event(c);

	if (err)
		return err;
	struct p_copy msg = { c->queue->o.id, from->o.id, to->o.id, event_id(c->event), from_offset,
		to_offset, n, waits_ids(&c->waits) };
	return command_end(c, send_copy(0, &msg, &c->seq));
}

cl_int ferry_clEnqueueCopyBuffer(cl_command_queue q, cl_mem from, cl_mem to, size_t from_offset,
	size_t to_offset, size_t size, cl_uint n, const cl_event *list, cl_event *event)
{
	LOCKED;
	struct command c;
	cl_int err = command_begin(&c, q, CL_COMMAND_COPY_BUFFER, n, list, event, false);

	if (!err)
		err = buffer_check(from, q->context);
	if (!err)
		err = buffer_check(to, q->context);
	if (!err && (!fits(from, from_offset, size) || !fits(to, to_offset, size)))
		err = CL_INVALID_VALUE;
	if (err)
		return err;
	size_t a = from->origin + from_offset, b = to->origin + to_offset;
	if (root_of(from) == root_of(to) && (a < b ? b - a : a - b) < size)
		return CL_MEM_COPY_OVERLAP;
	return copy_bytes(&c, from, from_offset, to, to_offset, size);
}

cl_int copy_boxes(
	struct command *c, cl_mem from, const struct rect *a, cl_mem to, const struct rect *b)
{
	cl_int err = command_event(c);

	if (err)
		return err;
	struct p_copy_rect msg = { c->queue->o.id, from->o.id, to->o.id, event_id(c->event),
		rect_origin(a), rect_origin(b), rect_region(a), a->row_pitch, a->slice_pitch,
		b->row_pitch, b->slice_pitch, waits_ids(&c->waits) };
	return command_end(c, send_copy_rect(0, &msg, &c->seq));
}

// Whether two boxes of the same size and pitches, `delta` bytes apart, share a byte: a row of one
// and a row of the other start less than a row's length apart.
static bool boxes_overlap(int64_t delta, const struct rect *r)
{
	int64_t rows = (int64_t)r->region[1], slices = (int64_t)r->region[2];
	int64_t row = (int64_t)r->row_pitch, width = (int64_t)r->region[0];

	for (int64_t dz = 1 - slices; dz < slices; dz++) {
		int64_t apart = delta + dz * (int64_t)r->slice_pitch;
		int64_t dy = -apart / row; // the nearest rows are within one of it
		for (int64_t i = dy - 1; i <= dy + 1; i++)
			if (i > -rows && i < rows && llabs(apart + i * row) < width)
				return true;
	}
	return false;
}

static cl_int check_boxes(cl_mem from, cl_mem to, struct rect *a, struct rect *b)
{
	if (!rect_fix(a) || !rect_fix(b) || rect_end(a) > from->size || rect_end(b) > to->size)
		return CL_INVALID_VALUE;
	if (from == to && (a->row_pitch != b->row_pitch || a->slice_pitch != b->slice_pitch))
		return CL_INVALID_VALUE;
	if (root_of(from) != root_of(to) || a->row_pitch != b->row_pitch ||
		a->slice_pitch != b->slice_pitch)
		return CL_SUCCESS;
	int64_t delta =
		(int64_t)(to->origin + rect_offset(b)) - (int64_t)(from->origin + rect_offset(a));
	return boxes_overlap(delta, a) ? CL_MEM_COPY_OVERLAP : CL_SUCCESS;
}

cl_int ferry_clEnqueueCopyBufferRect(cl_command_queue q, cl_mem from, cl_mem to,
	const size_t *from_origin, const size_t *to_origin, const size_t *region, size_t from_row,
	size_t from_slice, size_t to_row, size_t to_slice, cl_uint n, const cl_event *list,
	cl_event *event)
{
	LOCKED;
	struct command c;
	struct rect a = { from_origin, region, from_row, from_slice };
	struct rect b = { to_origin, region, to_row, to_slice };
	cl_int err = command_begin(&c, q, CL_COMMAND_COPY_BUFFER_RECT, n, list, event, false);

	if (!err)
		err = buffer_check(from, q->context);
	if (!err)
		err = buffer_check(to, q->context);
	if (!err)
		err = check_boxes(from, to, &a, &b);
	return err ? err : copy_boxes(&c, from, &a, to, &b);
}

cl_int fill_buffer(struct command *c, cl_mem m, size_t offset, size_t size, const void *pattern,
	size_t pattern_size)
{
	if (!pattern || !pattern_size || pattern_size > 128 || pattern_size & (pattern_size - 1) ||
		offset % pattern_size || size % pattern_size || offset > m->size ||
		size > m->size - offset)
		return CL_INVALID_VALUE;
	if (!size)
		return command_nothing(c, false);
	cl_int err = command_event(c);
	if (err)
		return err;
	struct p_fill msg = { c->queue->o.id, m->o.id, event_id(c->event), offset, size,
		waits_ids(&c->waits), { pattern, pattern_size } };
	return command_end(c, send_fill(0, &msg, &c->seq));
}

cl_int ferry_clEnqueueFillBuffer(cl_command_queue q, cl_mem m, const void *pattern,
	size_t pattern_size, size_t offset, size_t size, cl_uint n, const cl_event *list,
	cl_event *event)
{
	LOCKED;
	struct command c;
	cl_int err = command_begin(&c, q, CL_COMMAND_FILL_BUFFER, n, list, event, false);

	if (!err)
		err = buffer_check(m, q->context);
	return err ? err : fill_buffer(&c, m, offset, size, pattern, pattern_size);
}

// There is one device, so there is nothing to move: only the order counts.
cl_int ferry_clEnqueueMigrateMemObjects(cl_command_queue q, cl_uint n_mems, const cl_mem *mems,
	cl_mem_migration_flags flags, cl_uint n, const cl_event *list, cl_event *event)
{
	LOCKED;
	struct command c;
	cl_int err = command_begin(&c, q, CL_COMMAND_MIGRATE_MEM_OBJECTS, n, list, event, false);

	if (!err && (!n_mems || !mems || flags & ~MIGRATION_FLAGS))
		err = CL_INVALID_VALUE;
	for (cl_uint i = 0; !err && i < n_mems; i++)
		err = mem_check(mems[i], q->context);
	return err ? err : command_turn(&c);
}
