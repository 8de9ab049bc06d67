// SPDX-License-Identifier: Apache-2.0
#include "random.h"

#include <string.h>

// A box of pixels as one of bytes.
static struct box of_pixels(const struct thing *t, const size_t origin[3], const size_t region[3])
{
	struct box b = { { origin[0] * t->pixel, origin[1], origin[2] },
		{ region[0] * t->pixel, region[1], region[2] }, t->size[0] * t->pixel,
		t->size[0] * t->size[1] * t->pixel };

	return b;
}

static struct thing *any_image(void)
{
	return &things[BUFFERS + PARTS + draw(is_pocl ? IMAGES - 3 : IMAGES)];
}

// The same box in the program's memory, whose pitches are the call's: 0 where they say nothing. The images of a 1D
// array are a slice pitch apart.
static struct box with_pitches(
	const struct thing *t, const struct box *b, size_t *ret_row, size_t *ret_slice)
{
	bool lines = t->type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
	bool layers = t->type == CL_MEM_OBJECT_IMAGE2D_ARRAY || t->type == CL_MEM_OBJECT_IMAGE3D;
	struct box host = packed(b->region);

	*ret_row = draw(2) ? host.row += draw(2) ? draw(50) : 0 : 0;
	host.slice = host.row * (lines ? 1 : host.region[1]);
	*ret_slice = (lines || layers) && draw(2) ? host.slice += draw(2) ? draw(70) : 0 : 0;
	if (lines)
		host.row = host.slice;
	return host;
}

static size_t extent_of(const struct box *b)
{
	return (b->region[2] - 1) * b->slice + (b->region[1] - 1) * b->row + b->region[0];
}

static void transfer_pixels(bool write)
{
	struct thing *t = any_image();
	cl_command_queue q = any_queue();
	size_t origin[3], region[3], row, slice;
	cl_event list[2], e;

	draw_inside(t->size, origin, region);
	struct box b = of_pixels(t, origin, region), host = with_pitches(t, &b, &row, &slice);
	if (extent_of(&host) > MOST)
		return;
	if (write) {
		OK(clEnqueueWriteImage(
			q, t->m, BLOCKING(), origin, region, row, slice, source, WAITS, &e));
		copy_box(t->at, &b, source, &host);
		now_behind(q, e);
		return;
	}
	memset(got, 0x5a, extent_of(&host)); // between the rows it stays
	memset(want, 0x5a, extent_of(&host));
	OK(clEnqueueReadImage(q, t->m, BLOCKING(), origin, region, row, slice, got, WAITS, &e));
	copy_box(want, &host, t->at, &b);
	now_behind(q, e);
	compare(extent_of(&host));
}

void write_pixels(void)
{
	transfer_pixels(true);
}

void read_pixels(void)
{
	transfer_pixels(false);
}

// ---- mapping

struct pixels {
	uint8_t *at;
	struct box box;
	size_t row, slice;
	cl_map_flags flags;
};

static void map_some(
	struct thing *t, struct pixels *p, const size_t origin[3], const size_t region[3])
{
	cl_command_queue q = any_queue();
	cl_event list[2], e;

	p->flags = draw_flags();
	p->box = of_pixels(t, origin, region);
	p->at = clEnqueueMapImage(
		q, t->m, BLOCKING(), p->flags, origin, region, &p->row, &p->slice, WAITS, &e, &err);
	OK(err);
	if (t->type == CL_MEM_OBJECT_IMAGE1D_ARRAY)
		p->row = p->slice;
	now_behind(q, e);
}

static void use_some(struct thing *t, const struct pixels *p)
{
	for (size_t z = 0; z < p->box.region[2]; z++)
		for (size_t y = 0; y < p->box.region[1]; y++)
			use_mapped(p->at + z * p->slice + y * p->row, row_at(t->at, &p->box, y, z),
				p->box.region[0], p->flags);
}

// Sometimes two boxes that do not overlap, one beside, below or behind the other, unmapped in either order.
void map_pixels(void)
{
	struct thing *t = any_image();
	struct pixels p[2];
	size_t origin[3], region[3], n = 1, dim = draw(3), first = draw(2);

	draw_inside(t->size, origin, region);
	map_some(t, &p[0], origin, region);
	if (origin[dim] + region[dim] < t->size[dim]) {
		origin[dim] += region[dim];
		region[dim] = 1 + draw(t->size[dim] - origin[dim]);
		map_some(t, &p[n++], origin, region);
	}
	open_gate();
	OK(clWaitForEvents(1, &before));
	for (size_t i = 0; i < n; i++)
		use_some(t, &p[i]);
	for (size_t i = 0; i < n; i++)
		unmap(t, p[n == 1 ? 0 : i ^ first].at);
}

// ---- copies

static bool same_memory(const struct thing *a, const struct thing *b)
{
	return a->at < b->at + b->bytes && b->at < a->at + a->bytes;
}

void copy_pixels(void)
{
	struct thing *t = any_image(), *buffer = any_buffer(!is_pocl);
	cl_command_queue q = any_queue();
	size_t origin[3], region[3];
	cl_event list[2], e;

	draw_inside(t->size, origin, region);
	struct box b = of_pixels(t, origin, region), flat = packed(b.region);
	if (volume(&b) > buffer->bytes || same_memory(t, buffer))
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

static bool overlap(const size_t a[3], const size_t b[3], const size_t region[3])
{
	for (int i = 0; i < 3; i++)
		if ((a[i] < b[i] ? b[i] - a[i] : a[i] - b[i]) >= region[i])
			return false;
	return true;
}

// Between images of one format, of whatever types.
void copy_images(void)
{
	struct thing *a = any_image(), *b = any_image();
	cl_command_queue q = any_queue();
	size_t size[3], from[3], to[3], region[3];
	cl_event list[2], e;

	if (a->channel != b->channel || a->channels != b->channels || (a != b && same_memory(a, b)))
		return;
	for (int i = 0; i < 3; i++)
		size[i] = a->size[i] < b->size[i] ? a->size[i] : b->size[i];
	draw_inside(size, from, region);
	for (int i = 0; i < 3; i++) {
		from[i] = draw(a->size[i] - region[i] + 1);
		to[i] = draw(b->size[i] - region[i] + 1);
	}
	cl_int r = clEnqueueCopyImage(q, a->m, b->m, from, to, region, WAITS, &e);
	if (a == b && overlap(from, to, region)) {
		CHECK_EQ(r, CL_MEM_COPY_OVERLAP);
		return;
	}
	OK(r);
	struct box x = of_pixels(a, from, region), y = of_pixels(b, to, region);
	copy_box(b->at, &y, a->at, &x);
	now_behind(q, e);
}

// ---- channels

static cl_uint get_channel(const struct thing *t, const uint8_t *pixel)
{
	cl_uint v = 0;

	memcpy(&v, pixel, t->pixel / t->channels);
	return v;
}

// What is too large becomes the largest.
static void put_pixel(const struct thing *t, uint8_t *pixel, const cl_uint color[4])
{
	const size_t bytes = t->pixel / t->channels;
	const cl_uint most = bytes == 4 ? UINT32_MAX : (1u << 8 * bytes) - 1;

	for (size_t i = 0; i < t->channels; i++) {
		cl_uint v = color[i] < most ? color[i] : most;
		memcpy(pixel + i * bytes, &v, bytes);
	}
}

void fill_pixels(void)
{
	struct thing *t = any_image();
	cl_command_queue q = any_queue();
	const cl_uint color[] = { (cl_uint)draw(300), (cl_uint)draw(70000), 3, UINT32_MAX };
	size_t origin[3], region[3];
	cl_event list[2], e;

	draw_inside(t->size, origin, region);
	struct box b = of_pixels(t, origin, region);
	OK(clEnqueueFillImage(q, t->m, color, origin, region, WAITS, &e));
	for (size_t z = 0; z < region[2]; z++)
		for (size_t y = 0; y < region[1]; y++)
			for (size_t x = 0; x < region[0]; x++)
				put_pixel(t, row_at(t->at, &b, y, z) + x * t->pixel, color);
	now_behind(q, e);
}

// Only the first channel: PoCL 3.1 reads 0 where CL_R has no alpha, which is 1.
static void blend_pixel(
	const struct thing *a, const uint8_t *from, const struct thing *b, uint8_t *to, cl_uint v)
{
	const cl_uint x = get_channel(a, from), color[] = { x + v, x + 1, 2, v };

	put_pixel(b, to, color);
}

// Of two 2D images; the same kernel is used for others before it has run.
void launch_pixels(void)
{
	struct thing *a = any_image(), *b = any_image();
	cl_command_queue q = any_queue();
	cl_uint v = (cl_uint)draw(256);
	cl_event list[2], e;

	if (a == b || a->type != CL_MEM_OBJECT_IMAGE2D || b->type != CL_MEM_OBJECT_IMAGE2D)
		return;
	size_t global[2];
	for (int i = 0; i < 2; i++)
		global[i] = a->size[i] < b->size[i] ? a->size[i] : b->size[i];
	OK(clSetKernelArg(blend, 0, sizeof a->m, &a->m));
	OK(clSetKernelArg(blend, 1, sizeof b->m, &b->m));
	OK(clSetKernelArg(blend, 2, sizeof v, &v));
	OK(clEnqueueNDRangeKernel(q, blend, 2, NULL, global, NULL, WAITS, &e));
	for (size_t y = 0; y < global[1]; y++)
		for (size_t x = 0; x < global[0]; x++)
			blend_pixel(a, a->at + (y * a->size[0] + x) * a->pixel, b,
				b->at + (y * b->size[0] + x) * b->pixel, v);
	now_behind(q, e);
}
