// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.3.6: mapping images.
#include <stdlib.h>
#include "guest/cl/image.h"
#include "guest/cl/map.h"
#include "guest/cl/memory.h"
#include "guest/stream/session.h"

// Where a pixel lies in the mapped memory.
static size_t offset_of(cl_mem m, const size_t *origin)
{
	const struct image_info *i = &m->image;
	size_t row = m->type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? i->slice_pitch : i->row_pitch;

	return origin[0] * i->pixel + origin[1] * row + origin[2] * i->slice_pitch;
}

static cl_int store_or_fetch(
	struct command *c, cl_mem m, const struct mapping *map, bool write, bool blocking)
{
	struct image_box box;
	struct region r =
		image_in_memory(m, map->at, map->region, m->image.row_pitch, m->image.slice_pitch);

	image_box(m, map->origin, map->region, &box);
	return transfer_box(c, m, &box.at, &r, write, blocking);
}

cl_int map_image_store(struct command *c, cl_mem m, const struct mapping *map)
{
	return store_or_fetch(c, m, map, true, false);
}

static struct mapping *mapping_new(
	cl_mem m, cl_map_flags flags, const size_t *origin, const size_t *region)
{
	uint8_t *base = mem_shadow(m);
	struct mapping *map = base ? calloc(1, sizeof *map) : NULL;

	if (!map)
		return NULL;
	map->at = base + offset_of(m, origin);
	map->size = image_box_bytes(m, region);
	map->flags = flags;
	for (int i = 0; i < 3; i++) {
		map->origin[i] = origin[i];
		map->region[i] = region[i];
	}
	return map;
}

static cl_int check(cl_mem m, cl_map_flags flags, const size_t *origin, const size_t *region,
	const size_t *row_pitch, const size_t *slice_pitch)
{
	cl_int err = map_check_flags(m, flags);

	if (!err)
		err = image_check_box(m, origin, region);
	if (!err && (!row_pitch || (m->image.slice_pitch && !slice_pitch)))
		err = CL_INVALID_VALUE;
	return err;
}

void *ferry_clEnqueueMapImage(cl_command_queue q, cl_mem m, cl_bool blocking, cl_map_flags flags,
	const size_t *origin, const size_t *region, size_t *row_pitch, size_t *slice_pitch,
	cl_uint n, const cl_event *list, cl_event *event, cl_int *errcode_ret)
{
	LOCKED;
	struct command c;
	cl_int err = command_begin(&c, q, CL_COMMAND_MAP_IMAGE, n, list, event, blocking);

	if (!err)
		err = image_check(m, q->context);
	if (!err)
		err = check(m, flags, origin, region, row_pitch, slice_pitch);
	if (err)
		return refuse(errcode_ret, err);
	struct mapping *map = mapping_new(m, flags, origin, region);
	if (!map)
		return refuse(errcode_ret, CL_MAP_FAILURE);
	mem_shadow_use(m); // before the fetch, which may give the lock up
	err = flags & CL_MAP_WRITE_INVALIDATE_REGION ? command_nothing(&c, blocking)
						     : store_or_fetch(&c, m, map, false, blocking);
	*row_pitch = m->image.row_pitch;
	if (slice_pitch)
		*slice_pitch = m->image.slice_pitch;
	return map_end(m, map, err, errcode_ret);
}
