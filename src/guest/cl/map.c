// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.4: mapping. The mapped bytes are guest memory: a map for reading (or for
// writing without CL_MAP_WRITE_INVALIDATE_REGION) reads the region into it, the unmap of a region
// mapped for writing writes it back. Where the host shares its memory (direct.h) the program gets the
// buffer itself, and only the order of commands counts. Unmapping is for buffers and images alike.
#include <stdlib.h>
#include <sys/mman.h>
#include "guest/cl/map.h"
#include "guest/cl/memory.h"
#include "guest/stream/direct.h"
#include "guest/stream/later.h"
#include "guest/stream/session.h"

#define MAP_WRITES (CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION)
// An unmapped region from this size on gives its guest memory back, when the guest needs some: the next map
// of it usually finds it still there, and faults for its pages take longer than the bytes.
#define GIVE_BACK_BYTES (256u << 10)

cl_int map_check_flags(cl_mem m, cl_map_flags flags)
{
	if (flags & ~(CL_MAP_READ | MAP_WRITES) ||
		(flags & CL_MAP_WRITE_INVALIDATE_REGION && flags & (CL_MAP_READ | CL_MAP_WRITE)))
		return CL_INVALID_VALUE;
	if (flags & CL_MAP_READ && m->flags & (CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS))
		return CL_INVALID_OPERATION;
	if (flags & MAP_WRITES && m->flags & (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS))
		return CL_INVALID_OPERATION;
	return CL_SUCCESS;
}

static struct mapping *mapping_new(
	cl_mem m, cl_map_flags flags, size_t offset, size_t size, bool direct)
{
	uint8_t *base = direct ? direct_at(m) : mem_shadow(m);
	struct mapping *map = base ? malloc(sizeof *map) : NULL;

	if (map)
		*map = (struct mapping){ .at = base + offset,
			.offset = offset,
			.size = size,
			.flags = flags,
			.direct = direct };
	return map;
}

static cl_int fetch(struct command *c, cl_mem m, const struct mapping *map, bool blocking)
{
	struct region r = region_flat(map->at, map->size);

	if (map->direct || map->flags & CL_MAP_WRITE_INVALIDATE_REGION)
		return command_nothing(c, blocking);
	return transfer_flat(c, m, map->offset, &r, false, blocking);
}

void *map_end(cl_mem m, struct mapping *map, cl_int err, cl_int *errcode_ret)
{
	if (err) {
		mem_shadow_unuse(m);
		free(map);
		return refuse(errcode_ret, err);
	}
	map->next = m->mappings;
	m->mappings = map;
	m->map_count++;
	refuse(errcode_ret, CL_SUCCESS);
	return map->at;
}

static cl_int check_range(cl_mem m, size_t offset, size_t size)
{
	return !size || offset > m->size || size > m->size - offset ? CL_INVALID_VALUE : CL_SUCCESS;
}

void *map_buffer(struct command *c, cl_mem m, bool blocking, cl_map_flags flags, size_t offset,
	size_t size, cl_int *errcode_ret)
{
	bool direct = direct_may_map(c, m, blocking);
	struct mapping *map = mapping_new(m, flags, offset, size, direct);

	if (!map)
		return refuse(errcode_ret, CL_MAP_FAILURE);
	mem_shadow_use(m); // before the fetch, which may give the lock up
	return map_end(m, map, fetch(c, m, map, blocking), errcode_ret);
}

void *ferry_clEnqueueMapBuffer(cl_command_queue q, cl_mem m, cl_bool blocking, cl_map_flags flags,
	size_t offset, size_t size, cl_uint n, const cl_event *list, cl_event *event,
	cl_int *errcode_ret)
{
	LOCKED;
	struct command c;
	cl_int err = command_begin(&c, q, CL_COMMAND_MAP_BUFFER, n, list, event, blocking);

	if (!err)
		err = buffer_check(m, q->context);
	if (!err)
		err = map_check_flags(m, flags);
	if (!err)
		err = check_range(m, offset, size);
	if (err)
		return refuse(errcode_ret, err);
	return map_buffer(&c, m, blocking, flags, offset, size, errcode_ret);
}

static void unlink_mapping(cl_mem m, struct mapping **at)
{
	struct mapping *map = *at;

	*at = map->next;
	m->map_count--;
	mem_shadow_unuse(m);
	if (!m->shadow_users && m->shadow && map->size >= GIVE_BACK_BYTES &&
		!later_holds(m->shadow, m->size))
		madvise(m->shadow, m->size, MADV_FREE);
	free(map);
}

static struct mapping **find_mapping(cl_mem m, const void *at)
{
	struct mapping **map = &m->mappings;

	while (*map && (*map)->at != at)
		map = &(*map)->next;
	return *map ? map : NULL;
}

static cl_int store(struct command *c, cl_mem m, const struct mapping *map)
{
	struct region r = region_flat(map->at, map->size);

	if (map->direct || !(map->flags & MAP_WRITES))
		return command_nothing(c, false);
	if (m->type != CL_MEM_OBJECT_BUFFER)
		return map_image_store(c, m, map);
	return transfer_flat(c, m, map->offset, &r, true, false);
}

cl_int map_undo(struct command *c, cl_mem m, const void *at)
{
	struct mapping **map = find_mapping(m, at);

	if (!map)
		return CL_INVALID_VALUE;
	cl_int err = store(c, m, *map);
	// Sending may have given the lock up: look again before taking it out.
	map = find_mapping(m, at);
	if (!err && map)
		unlink_mapping(m, map);
	return err;
}

cl_int ferry_clEnqueueUnmapMemObject(
	cl_command_queue q, cl_mem m, void *ptr, cl_uint n, const cl_event *list, cl_event *event)
{
	LOCKED;
	struct command c;
	cl_int err = command_begin(&c, q, CL_COMMAND_UNMAP_MEM_OBJECT, n, list, event, false);

	if (!err)
		err = mem_check(m, q->context);
	return err ? err : map_undo(&c, m, ptr);
}
