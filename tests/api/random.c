// SPDX-License-Identifier: Apache-2.0
// Commands drawn by chance, each behind the one before by an event, in queues with and without order, some
// behind a user event: on buffers, parts of them and images, against a model of their bytes in ordinary memory.
#include "random.h"

#include <CL/cl_ext.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 6
#define STEPS 250

static void hold_back(void)
{
	if (gate) {
		open_gate();
		return;
	}
	gate = clCreateUserEvent(c.context, &err);
	OK(err);
}

static void (*const commands[])(void) = { write_range, read_range, copy_range, fill_range, launch,
	map_range, write_box, read_box, copy_boxes, write_pixels, read_pixels, map_pixels,
	copy_pixels, fill_pixels, hold_back };

static void make_buffer(int i)
{
	static const size_t sizes[BUFFERS] = { 257, 4096, 65549, 300000, MOST };
	struct thing *t = &things[i], *part = &things[BUFFERS + i];
	size_t n = sizes[i], origin = draw(n / 2) / 128 * 128;
	cl_buffer_region region = { origin, 1 + draw(n - origin) };

	*t = (struct thing){ .at = malloc(n), .bytes = n };
	CHECK(t->at);
	memcpy(t->at, source, n);
	t->m = cl_buffer(&c, CL_MEM_COPY_HOST_PTR, n, source);
	*part = (struct thing){ .at = t->at + origin, .bytes = region.size, .is_part = true };
	part->m = clCreateSubBuffer(t->m, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
	OK(err);
}

static void make_image(int i)
{
	static const cl_mem_object_type types[IMAGES] = { CL_MEM_OBJECT_IMAGE1D,
		CL_MEM_OBJECT_IMAGE2D, CL_MEM_OBJECT_IMAGE3D, CL_MEM_OBJECT_IMAGE2D_ARRAY };
	const cl_image_format format = { CL_RGBA, CL_UNSIGNED_INT8 };
	struct thing *t = &things[BUFFERS + PARTS + i];
	size_t depth = i > 1 ? 2 + draw(6) : 1;

	*t = (struct thing){ .size = { 1 + draw(200), i ? 1 + draw(60) : 1, depth },
		.is_image = true };
	t->bytes = t->size[0] * t->size[1] * depth * PIXEL;
	t->at = malloc(t->bytes);
	CHECK(t->at);
	memcpy(t->at, source, t->bytes);
	const cl_image_desc desc = { .image_type = types[i],
		.image_width = t->size[0],
		.image_height = t->size[1],
		.image_depth = depth,
		.image_array_size = depth };
	t->m = clCreateImage(c.context, CL_MEM_COPY_HOST_PTR, &format, &desc, source, &err);
	OK(err);
}

static void check_and_free(struct thing *t)
{
	const size_t zero[3] = { 0 };

	if (t->is_image)
		OK(clEnqueueReadImage(
			queues[0], t->m, CL_TRUE, zero, t->size, 0, 0, got, 0, NULL, NULL));
	else
		OK(clEnqueueReadBuffer(queues[0], t->m, CL_TRUE, 0, t->bytes, got, 0, NULL, NULL));
	CHECK(!memcmp(got, t->at, t->bytes));
	OK(clReleaseMemObject(t->m));
}

static void run_seed(uint64_t seed)
{
	draw_from(seed);
	for (int i = 0; i < BUFFERS; i++)
		make_buffer(i);
	for (int i = 0; i < IMAGES; i++)
		make_image(i);
	for (int i = 0; i < STEPS; i++)
		commands[draw(sizeof commands / sizeof commands[0])]();
	open_gate();
	for (int i = 0; i < 3; i++)
		OK(clFinish(queues[i]));
	for (int i = 0; i < THINGS; i++)
		check_and_free(&things[i]);
	for (int i = 0; i < THINGS; i++)
		if (!things[i].is_part)
			free(things[i].at);
	OK(clReleaseEvent(before));
	before = NULL;
	printf("ok commands of seed %u\n", (unsigned)seed);
}

// PoCL 3.1 itself crashes where a part is copied by boxes (parts.c).
static bool is_pocl(void)
{
	char suffix[32];

	OK(clGetPlatformInfo(c.platform, CL_PLATFORM_ICD_SUFFIX_KHR, sizeof suffix, suffix, NULL));
	return !strcmp(suffix, "POCL");
}

int main(int argc, char **argv)
{
	c = cl_setup();
	parts_in_boxes = !is_pocl();
	queues[0] = c.queue;
	queues[1] = clCreateCommandQueue(
		c.context, c.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err);
	OK(err);
	queues[2] = clCreateCommandQueue(c.context, c.device, 0, &err);
	OK(err);
	cl_program p = cl_build(&c, "kernel void add(global uchar *a, uint v)\n"
				    "{ size_t i = get_global_id(0); a[i] = a[i] * 3 + v + i; }\n");
	add = cl_kernel_of(p, "add");
	source = malloc(MOST + 1024);
	got = malloc(MOST);
	want = malloc(MOST);
	CHECK(source && got && want);
	for (size_t i = 0; i < MOST + 1024; i++)
		source[i] = (uint8_t)(i * 2654435761u >> 13);
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	for (uint64_t seed = first; seed < first + SEEDS; seed++)
		run_seed(seed);
	free(source);
	free(got);
	free(want);
	OK(clReleaseCommandQueue(queues[1]));
	OK(clReleaseCommandQueue(queues[2]));
	OK(clReleaseKernel(add));
	OK(clReleaseProgram(p));
	cl_teardown(&c);
	return 0;
}
