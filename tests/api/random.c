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
	copy_pixels, copy_images, fill_pixels, launch_pixels, hold_back };

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

static void check_and_free(struct thing *t)
{
	OK(clEnqueueReadBuffer(queues[0], t->m, CL_TRUE, 0, t->bytes, got, 0, NULL, NULL));
	CHECK(!memcmp(got, t->at, t->bytes));
	OK(clReleaseMemObject(t->m));
}

static void run_seed(uint64_t seed)
{
	draw_from(seed);
	for (int i = 0; i < BUFFERS; i++)
		make_buffer(i);
	make_images();
	for (int i = 0; i < STEPS; i++)
		commands[draw(sizeof commands / sizeof commands[0])]();
	open_gate();
	for (int i = 0; i < 3; i++)
		OK(clFinish(queues[i]));
	free_images();
	for (int i = 0; i < BUFFERS + PARTS; i++)
		check_and_free(&things[i]);
	for (int i = 0; i < BUFFERS; i++)
		free(things[i].at);
	OK(clReleaseEvent(before));
	before = NULL;
	printf("ok commands of seed %u\n", (unsigned)seed);
}

static bool runs_on_pocl(void)
{
	char suffix[32];

	OK(clGetPlatformInfo(c.platform, CL_PLATFORM_ICD_SUFFIX_KHR, sizeof suffix, suffix, NULL));
	return !strcmp(suffix, "POCL");
}

int main(int argc, char **argv)
{
	c = cl_setup();
	is_pocl = runs_on_pocl();
	queues[0] = c.queue;
	queues[1] = clCreateCommandQueue(
		c.context, c.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err);
	OK(err);
	queues[2] = clCreateCommandQueue(c.context, c.device, 0, &err);
	OK(err);
	cl_program p = cl_build(&c,
		"kernel void add(global uchar *a, uint v)\n"
		"{ size_t i = get_global_id(0); a[i] = a[i] * 3 + v + i; }\n"
		"kernel void blend(read_only image2d_t a, write_only image2d_t b, uint v)\n"
		"{ int2 p = (int2)(get_global_id(0), get_global_id(1));\n"
		"  uint x = read_imageui(a, p).x;\n"
		"  write_imageui(b, p, (uint4)(x + v, x + 1, 2, v)); }\n");
	add = cl_kernel_of(p, "add");
	blend = cl_kernel_of(p, "blend");
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
	OK(clReleaseKernel(blend));
	OK(clReleaseProgram(p));
	cl_teardown(&c);
	return 0;
}
