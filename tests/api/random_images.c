// SPDX-License-Identifier: Apache-2.0
#include "random.h"

#include <string.h>

// A box of pixels as one of bytes.
static struct box of_pixels(const struct thing *t, const size_t origin[3], const size_t region[3])
{
	struct box b = { { origin[0] * PIXEL, origin[1], origin[2] },
		{ region[0] * PIXEL, region[1], region[2] }, t->size[0] * PIXEL,
		t->size[0] * t->size[1] * PIXEL };

	return b;
}

static struct thing *any_image(void)
{
	return &things[BUFFERS + PARTS + draw(IMAGES)];
}

static void transfer_pixels(bool write)
{
	struct thing *t = any_image();
	cl_command_queue q = any_queue();
	size_t origin[3], region[3];
	cl_event list[2], e;

	draw_inside(t->size, origin, region);
	struct box b = of_pixels(t, origin, region), host = packed(b.region);
	if (write) {
		OK(clEnqueueWriteImage(
			q, t->m, BLOCKING(), origin, region, 0, 0, source, WAITS, &e));
		copy_box(t->at, &b, source, &host);
		now_behind(q, e);
		return;
	}
	OK(clEnqueueReadImage(q, t->m, BLOCKING(), origin, region, 0, 0, got, WAITS, &e));
	copy_box(want, &host, t->at, &b);
	now_behind(q, e);
	compare(volume(&b));
}

void write_pixels(void)
{
	transfer_pixels(true);
}

void read_pixels(void)
{
	transfer_pixels(false);
}

void map_pixels(void)
{
	struct thing *t = any_image();
	cl_command_queue q = any_queue();
	cl_map_flags flags = draw_flags();
	size_t origin[3], region[3], row = 0, slice = 0;
	cl_event list[2], e;

	draw_inside(t->size, origin, region);
	struct box b = of_pixels(t, origin, region);
	uint8_t *at = clEnqueueMapImage(
		q, t->m, BLOCKING(), flags, origin, region, &row, &slice, WAITS, &e, &err);
	OK(err);
	now_behind(q, e);
	open_gate();
	OK(clWaitForEvents(1, &e));
	for (size_t z = 0; z < region[2]; z++)
		for (size_t y = 0; y < region[1]; y++)
			use_mapped(at + z * slice + y * row, row_at(t->at, &b, y, z), b.region[0],
				flags);
	unmap(t, at);
}

void copy_pixels(void)
{
	struct thing *t = any_image(), *buffer = any_buffer(parts_in_boxes);
	cl_command_queue q = any_queue();
	size_t origin[3], region[3];
	cl_event list[2], e;

	draw_inside(t->size, origin, region);
	struct box b = of_pixels(t, origin, region), flat = packed(b.region);
	if (volume(&b) > buffer->bytes)
		return;
	size_t at = flat.origin[0] = draw(buffer->bytes - volume(&b) + 1);
	if (draw(2)) {
		OK(clEnqueueCopyImageToBuffer(q, t->m, buffer->m, origin, region, at, WAITS, &e));
		copy_box(buffer->at, &flat, t->at, &b);
	} else {
		OK(clEnqueueCopyBufferToImage(q, buffer->m, t->m, at, origin, region, WAITS, &e));
		copy_box(t->at, &b, buffer->at, &flat);
	}
	now_behind(q, e);
}

void fill_pixels(void)
{
	struct thing *t = any_image();
	cl_command_queue q = any_queue();
	const cl_uint color[] = { 1, (cl_uint)draw(256), 3, (cl_uint)draw(256) };
	size_t origin[3], region[3];
	cl_event list[2], e;

	draw_inside(t->size, origin, region);
	struct box b = of_pixels(t, origin, region);
	OK(clEnqueueFillImage(q, t->m, color, origin, region, WAITS, &e));
	for (size_t z = 0; z < region[2]; z++)
		for (size_t y = 0; y < region[1]; y++)
			for (size_t i = 0; i < b.region[0]; i++)
				row_at(t->at, &b, y, z)[i] = (uint8_t)color[i % PIXEL];
	now_behind(q, e);
}
