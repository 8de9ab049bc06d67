// SPDX-License-Identifier: Apache-2.0
// Parts of buffers where PoCL 3.1 itself crashes: copied by rectangles, to and from images, and as images; and boxes side by
// side in one buffer, which it takes for overlapping.
#include "api.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BYTES  65536
#define ORIGIN 1024
#define ROW    16

static struct cl c;
static cl_int err;
static uint8_t host[BYTES], got[BYTES];
static const size_t zero[3];

static cl_mem part_of(cl_mem m, size_t origin, size_t size)
{
	cl_buffer_region region = { origin, size };
	cl_mem part = clCreateSubBuffer(m, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);

	OK(err);
	return part;
}

static cl_mem filled(void)
{
	return cl_buffer(&c, CL_MEM_COPY_HOST_PTR, BYTES, host);
}

static void read_all(cl_mem m)
{
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, BYTES, got, 0, NULL, NULL));
}

// `to_row`: the target's row pitch.
static void copy_boxes(cl_mem from, size_t at, cl_mem to, size_t to_at, cl_mem whole, size_t to_row)
{
	const size_t a[] = { 3, 2, 0 }, b[] = { 1, 4, 0 }, region[] = { 5, 6, 1 };
	static uint8_t want[BYTES];

	read_all(whole);
	memcpy(want, got, BYTES);
	for (size_t y = 0; y < region[1]; y++)
		memcpy(want + to_at + (b[1] + y) * to_row + b[0],
			host + at + (a[1] + y) * ROW + a[0], region[0]);
	OK(clEnqueueCopyBufferRect(
		c.queue, from, to, a, b, region, ROW, 0, to_row, 0, 0, NULL, NULL));
	read_all(whole);
	CHECK(!memcmp(got, want, BYTES));
}

static void boxes(void)
{
	cl_mem a = filled(), b = filled();
	cl_mem part = part_of(a, ORIGIN, 8192), other = part_of(b, 2 * ORIGIN, 8192);
	cl_mem far = part_of(a, 32768, 8192);

	copy_boxes(part, ORIGIN, b, 0, b, 24);
	copy_boxes(a, 0, other, 2 * ORIGIN, b, 24);
	copy_boxes(part, ORIGIN, other, 2 * ORIGIN, b, ROW);
	copy_boxes(part, ORIGIN, far, 32768, a, 24);
	OK(clReleaseMemObject(far));
	OK(clReleaseMemObject(other));
	OK(clReleaseMemObject(part));
	OK(clReleaseMemObject(b));
	OK(clReleaseMemObject(a));
	puts("ok boxes of parts");
}

// ---- boxes in one buffer

enum { SMALL = 4096 };

struct box {
	size_t origin[3], row, slice;
};

static size_t up_to(size_t n)
{
	return (size_t)rand() % (n + 1);
}

static size_t at(const struct box *b, size_t x, size_t y, size_t z)
{
	return (b->origin[2] + z) * b->slice + (b->origin[1] + y) * b->row + b->origin[0] + x;
}

// For each byte of a box.
#define EACH(x, y, z, region)                                                                      \
	for (size_t z = 0; z < (region)[2]; z++)                                                   \
		for (size_t y = 0; y < (region)[1]; y++)                                           \
			for (size_t x = 0; x < (region)[0]; x++)

static bool share_a_byte(const struct box *a, const struct box *b, const size_t *region)
{
	static bool is_source[SMALL];
	bool shared = false;

	memset(is_source, 0, sizeof is_source);
	EACH(x, y, z, region)
	is_source[at(a, x, y, z)] = true;
	EACH(x, y, z, region)
	shared |= is_source[at(b, x, y, z)];
	return shared;
}

// Of both the pitches are the same, as in one buffer they must be.
static bool draw(struct box *a, struct box *b, size_t *region)
{
	for (int i = 0; i < 3; i++) {
		region[i] = 1 + up_to(i ? 3 : 15);
		a->origin[i] = up_to(i ? 4 : 40);
		b->origin[i] = up_to(i ? 4 : 40);
	}
	a->row = b->row = region[0] + up_to(24);
	a->slice = b->slice = a->row * (region[1] + up_to(4));
	return at(a, region[0] - 1, region[1] - 1, region[2] - 1) < SMALL &&
	       at(b, region[0] - 1, region[1] - 1, region[2] - 1) < SMALL;
}

static void boxes_in_one_buffer(void)
{
	static uint8_t want[SMALL];
	cl_mem m = cl_buffer(&c, CL_MEM_COPY_HOST_PTR, SMALL, host);
	struct box a, b;
	size_t region[3];
	int apart = 0;

	memcpy(want, host, SMALL);
	for (int i = 0; i < 2000; i++) {
		if (!draw(&a, &b, region))
			continue;
		bool shared = share_a_byte(&a, &b, region);
		CHECK_EQ(clEnqueueCopyBufferRect(c.queue, m, m, a.origin, b.origin, region, a.row,
				 a.slice, b.row, b.slice, 0, NULL, NULL),
			shared ? CL_MEM_COPY_OVERLAP : CL_SUCCESS);
		if (shared)
			continue;
		apart++;
		EACH(x, y, z, region)
		want[at(&b, x, y, z)] = want[at(&a, x, y, z)];
	}
	CHECK(apart > 100);
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, SMALL, got, 0, NULL, NULL));
	CHECK(!memcmp(got, want, SMALL));
	OK(clReleaseMemObject(m));
	puts("ok boxes in one buffer");
}

// ---- images

static cl_mem image_of(cl_mem_object_type type, size_t width, size_t height, cl_mem buffer)
{
	const cl_image_format format = { CL_RGBA, CL_UNSIGNED_INT8 };
	const cl_image_desc desc = {
		.image_type = type, .image_width = width, .image_height = height, .buffer = buffer
	};
	cl_mem m = clCreateImage(c.context, 0, &format, &desc, NULL, &err);

	OK(err);
	return m;
}

static void images(void)
{
	const size_t region[] = { 8, 8, 1 }, bytes = 256;
	cl_mem a = filled(), b = filled(), part = part_of(a, ORIGIN, 4096);
	cl_mem other = part_of(b, ORIGIN, 4096),
	       image = image_of(CL_MEM_OBJECT_IMAGE2D, 8, 8, NULL);

	OK(clEnqueueCopyBufferToImage(c.queue, part, image, 100, zero, region, 0, NULL, NULL));
	OK(clEnqueueCopyImageToBuffer(c.queue, image, other, zero, region, 500, 0, NULL, NULL));
	read_all(b);
	CHECK(!memcmp(got + ORIGIN + 500, host + ORIGIN + 100, bytes));
	CHECK(!memcmp(got, host, ORIGIN + 500));
	OK(clReleaseMemObject(image));
	OK(clReleaseMemObject(other));
	OK(clReleaseMemObject(part));
	OK(clReleaseMemObject(b));
	OK(clReleaseMemObject(a));
	puts("ok parts to and from images");
}

static void images_of_parts(void)
{
	const size_t region[] = { 64, 1, 1 };
	cl_mem a = filled(), b = filled(), part = part_of(a, ORIGIN, 4096);
	cl_mem image = image_of(CL_MEM_OBJECT_IMAGE1D_BUFFER, 64, 0, part);
	size_t pitch;

	OK(clEnqueueCopyImageToBuffer(c.queue, image, b, zero, region, 7, 0, NULL, NULL));
	read_all(b);
	CHECK(!memcmp(got + 7, host + ORIGIN, 256));
	uint8_t *at = clEnqueueMapImage(c.queue, image, CL_TRUE, CL_MAP_WRITE, zero, region, &pitch,
		NULL, 0, NULL, NULL, &err);
	OK(err);
	CHECK(!memcmp(at, host + ORIGIN, 256));
	memset(at, 'y', 256);
	OK(clEnqueueUnmapMemObject(c.queue, image, at, 0, NULL, NULL));
	read_all(a);
	CHECK(got[ORIGIN - 1] == host[ORIGIN - 1] && got[ORIGIN] == 'y' &&
		got[ORIGIN + 255] == 'y');
	CHECK(!memcmp(got + ORIGIN + 256, host + ORIGIN + 256, 256));
	OK(clReleaseMemObject(image));
	OK(clReleaseMemObject(part));
	OK(clReleaseMemObject(b));
	OK(clReleaseMemObject(a));
	puts("ok images of parts");
}

// Of different widths, and so of different pitches.
static void images_of_one_buffer(void)
{
	const size_t region[] = { 50, 1, 1 }, target[] = { 100, 0, 0 };
	cl_mem a = filled();
	cl_mem wide = image_of(CL_MEM_OBJECT_IMAGE1D_BUFFER, 1024, 0, a);
	cl_mem narrow = image_of(CL_MEM_OBJECT_IMAGE1D_BUFFER, 512, 0, a);
	cl_event copied;

	OK(clEnqueueCopyImage(c.queue, wide, narrow, zero, target, region, 0, NULL, &copied));
	OK(clWaitForEvents(1, &copied));
	read_all(a);
	CHECK(!memcmp(got, host, 400) && !memcmp(got + 400, host, 200));
	CHECK(!memcmp(got + 600, host + 600, BYTES - 600));
	OK(clReleaseEvent(copied));
	OK(clReleaseMemObject(wide));
	OK(clReleaseMemObject(narrow));
	OK(clReleaseMemObject(a));
	puts("ok copies between images of one buffer");
}

int main(void)
{
	c = cl_setup();
	for (size_t i = 0; i < BYTES; i++)
		host[i] = (uint8_t)(i * 7 + i / 256);
	boxes();
	boxes_in_one_buffer();
	images();
	images_of_parts();
	images_of_one_buffer();
	cl_teardown(&c);
	return 0;
}
