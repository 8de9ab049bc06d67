// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#define W      160
#define H      100
#define LAYERS 3
#define PERIOD 6 // rounds that a region stays mapped

static const size_t zero[3], all[3] = { W, H, 1 }, every[3] = { W, H, LAYERS };
static cl_mem frames[2], layers, colours[2];
static cl_sampler nearest, linear;
static cl_kernel advance, blend;
static uint32_t *mapped; // the second layer
static size_t row;       // bytes

static cl_mem image(cl_mem_object_type type, cl_channel_order order, cl_channel_type channel)
{
	static uint32_t first[W * H * LAYERS];
	const cl_image_format format = { order, channel };
	const cl_image_desc desc = {
		.image_type = type, .image_width = W, .image_height = H, .image_array_size = LAYERS
	};

	for (uint32_t i = 0; i < W * H * LAYERS; i++)
		first[i] = i * 2654435761u;
	return MADE(clCreateImage(context, CL_MEM_COPY_HOST_PTR, &format, &desc, first, &err));
}

void images_begin(void)
{
	for (int i = 0; i < 2; i++) {
		frames[i] = image(CL_MEM_OBJECT_IMAGE2D, CL_R, CL_UNSIGNED_INT32);
		colours[i] = image(CL_MEM_OBJECT_IMAGE2D, CL_RGBA, CL_UNORM_INT8);
	}
	layers = image(CL_MEM_OBJECT_IMAGE2D_ARRAY, CL_R, CL_UNSIGNED_INT32);
	nearest = MADE(clCreateSampler(
		context, CL_FALSE, CL_ADDRESS_CLAMP_TO_EDGE, CL_FILTER_NEAREST, &err));
	linear = MADE(clCreateSampler(context, CL_TRUE, CL_ADDRESS_REPEAT, CL_FILTER_LINEAR, &err));
	advance = kernel("advance");
	blend = kernel("blend");
	MUST(clSetKernelArg(advance, 2, sizeof nearest, &nearest));
	MUST(clSetKernelArg(blend, 2, sizeof linear, &linear));
}

static void step(cl_kernel k, cl_mem *two, uint32_t n)
{
	const size_t size[] = { W, H };

	MUST(clSetKernelArg(k, 0, sizeof(cl_mem), &two[n % 2]));
	MUST(clSetKernelArg(k, 1, sizeof(cl_mem), &two[(n + 1) % 2]));
	MUST(clEnqueueNDRangeKernel(queue, k, 2, NULL, size, NULL, 0, NULL, NULL));
}

static void map_layer(void)
{
	const size_t second[3] = { 0, 0, 1 };
	size_t slice;

	mapped = MADE((uint32_t *)clEnqueueMapImage(queue, layers, CL_TRUE,
		CL_MAP_READ | CL_MAP_WRITE, second, all, &row, &slice, 0, NULL, NULL, &err));
}

static void unmap_layer(uint32_t round)
{
	static uint32_t got[W * H * LAYERS];

	for (size_t y = 0; y < H; y++)
		mapped[y * row / sizeof *mapped + round % W] ^= round;
	MUST(clEnqueueUnmapMemObject(queue, layers, mapped, 0, NULL, NULL));
	MUST(clEnqueueReadImage(queue, layers, CL_TRUE, zero, every, 0, 0, got, 0, NULL, NULL));
	fold_words(got, W * H * LAYERS);
}

void images_round(uint32_t round)
{
	static uint32_t got[W * H];
	const size_t third[3] = { 0, 0, 2 };

	if (round % PERIOD == 0)
		map_layer();
	step(advance, frames, round);
	step(blend, colours, round);
	MUST(clEnqueueCopyImage(
		queue, frames[(round + 1) % 2], layers, zero, third, all, 0, NULL, NULL));
	MUST(clEnqueueReadImage(
		queue, colours[(round + 1) % 2], CL_TRUE, zero, all, 0, 0, got, 0, NULL, NULL));
	fold_words(got, W * H);
	if (round % PERIOD == PERIOD - 1)
		unmap_layer(round);
}
