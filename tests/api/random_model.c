// SPDX-License-Identifier: Apache-2.0
#include "random.h"

#include <stdlib.h>
#include <string.h>

struct cl c;
cl_int err;
cl_command_queue queues[3];
cl_kernel add, blend;
struct thing things[THINGS];
uint8_t *source, *got, *want;
cl_event before, gate;
bool is_pocl;

// ---- chance

static uint64_t state;

void draw_from(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15u;
}

size_t draw(size_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (size_t)(state >> 11) % n;
}

struct thing *any_buffer(bool parts)
{
	return &things[draw(parts ? BUFFERS + PARTS : BUFFERS)];
}

cl_map_flags draw_flags(void)
{
	static const cl_map_flags all[] = { CL_MAP_READ, CL_MAP_WRITE, CL_MAP_READ | CL_MAP_WRITE,
		CL_MAP_WRITE_INVALIDATE_REGION };

	return all[draw(4)];
}

// ---- order

cl_command_queue any_queue(void)
{
	return queues[draw(3)];
}

cl_uint waits(cl_event list[2])
{
	cl_uint n = 0;

	if (before)
		list[n++] = before;
	if (gate)
		list[n++] = gate;
	return n;
}

void open_gate(void)
{
	if (!gate)
		return;
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	OK(clReleaseEvent(gate));
	gate = NULL;
}

void now_behind(cl_command_queue q, cl_event e)
{
	if (before)
		OK(clReleaseEvent(before));
	before = e;
	OK(clFlush(q));
}

void compare(size_t n)
{
	open_gate();
	OK(clWaitForEvents(1, &before));
	CHECK(!memcmp(got, want, n));
}

// ---- boxes of bytes

uint8_t *row_at(uint8_t *base, const struct box *b, size_t y, size_t z)
{
	return base + b->origin[0] + (b->origin[1] + y) * b->row + (b->origin[2] + z) * b->slice;
}

void copy_box(uint8_t *to, const struct box *a, uint8_t *from, const struct box *b)
{
	for (size_t z = 0; z < a->region[2]; z++)
		for (size_t y = 0; y < a->region[1]; y++)
			memmove(row_at(to, a, y, z), row_at(from, b, y, z), a->region[0]);
}

void draw_inside(const size_t size[3], size_t origin[3], size_t region[3])
{
	for (int i = 0; i < 3; i++) {
		origin[i] = draw(size[i]);
		region[i] = 1 + draw(size[i] - origin[i]);
		if (i == 1 && draw(3) == 0)
			region[i] = 1; // single rows go other ways
	}
	if (draw(3) == 0)
		region[2] = 1;
}

struct box draw_box(size_t bytes)
{
	struct box b = { .row = 1 + draw(bytes < 300 ? bytes : 300) };
	size_t rows = bytes / b.row, per_slice = 1 + draw(rows < 40 ? rows : 40);
	const size_t size[] = { b.row, per_slice, rows / per_slice < 5 ? rows / per_slice : 5 };

	b.slice = b.row * per_slice;
	draw_inside(size, b.origin, b.region);
	return b;
}

struct box packed(const size_t region[3])
{
	struct box b = { .row = region[0], .slice = region[0] * region[1] };

	memcpy(b.region, region, sizeof b.region);
	return b;
}

size_t volume(const struct box *b)
{
	return b->region[0] * b->region[1] * b->region[2];
}

// ---- mapped memory

void use_mapped(uint8_t *row, uint8_t *model, size_t n, cl_map_flags flags)
{
	if (flags & CL_MAP_READ)
		CHECK(!memcmp(row, model, n));
	if (flags & CL_MAP_WRITE)
		row[n / 2] = model[n / 2] = (uint8_t)draw(256);
	if (flags & CL_MAP_WRITE_INVALIDATE_REGION) {
		memcpy(row, source + n % 100, n);
		memcpy(model, source + n % 100, n);
	}
}

void unmap(struct thing *t, void *at)
{
	cl_command_queue q = any_queue();
	cl_event e;

	OK(clEnqueueUnmapMemObject(q, t->m, at, 1, &before, &e));
	now_behind(q, e);
}
