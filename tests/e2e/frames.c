// SPDX-License-Identifier: Apache-2.0
// The graphics case of pattern.c: two images that a kernel steps into one another through a sampler, and
// a region of one layer of an image array that stays mapped until the end. The right answer is known for
// every pixel. Plain OpenCL; knows nothing of Ferry.
//
// usage: frames [--idle-us N]
// Prints "step N" ten times a second at most; at SIGTERM "frames ok N", or what is wrong.
#include "workload.h"

#define W      320
#define H      200
#define LAYERS 4

static const char source[] =
	"kernel void advance(read_only image2d_t from, write_only image2d_t to, sampler_t s)\n"
	"{ int2 p = (int2)(get_global_id(0), get_global_id(1));\n"
	"  write_imageui(to, p, read_imageui(from, s, p) * 1664525u + 1013904223u); }\n";

static const cl_image_format one = { CL_R, CL_UNSIGNED_INT32 };
static const size_t zero[3];

struct scene {
	cl_context context;
	cl_command_queue queue;
	cl_kernel kernel;
	cl_sampler sampler;
	cl_mem frames[2]; // even and odd steps
	cl_mem layers;
	uint8_t *mapped; // the third layer
	size_t row;
};

static void make_images(struct scene *s)
{
	static uint32_t first[W * H];
	cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = W, .image_height = H
	};
	const cl_uint seven[4] = { 7, 0, 0, 0 };
	const size_t all[] = { W, H, LAYERS }, origin[] = { 0, 0, 2 }, layer[] = { W, H, 1 };
	size_t slice;
	cl_int error;

	for (uint32_t i = 0; i < W * H; i++)
		first[i] = i;
	for (int i = 0; i < 2; i++) {
		s->frames[i] =
			clCreateImage(s->context, CL_MEM_COPY_HOST_PTR, &one, &desc, first, &error);
		must(error, "clCreateImage");
	}
	desc.image_type = CL_MEM_OBJECT_IMAGE2D_ARRAY;
	desc.image_array_size = LAYERS;
	s->layers = clCreateImage(s->context, CL_MEM_READ_WRITE, &one, &desc, NULL, &error);
	must(error, "clCreateImage");
	must(clEnqueueFillImage(s->queue, s->layers, seven, zero, all, 0, NULL, NULL),
		"clEnqueueFillImage");
	s->mapped = clEnqueueMapImage(s->queue, s->layers, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
		origin, layer, &s->row, &slice, 0, NULL, NULL, &error);
	must(error, "clEnqueueMapImage");
}

static void set_up(struct scene *s)
{
	cl_device_id id = workload_begin(&s->context, &s->queue);
	cl_int error;

	s->kernel = workload_kernel(workload_program(s->context, id, source), "advance");
	s->sampler =
		clCreateSampler(s->context, CL_FALSE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST, &error);
	must(error, "clCreateSampler");
	must(clSetKernelArg(s->kernel, 2, sizeof s->sampler, &s->sampler), "clSetKernelArg");
	make_images(s);
}

static void step(void *arg, uint64_t n)
{
	const struct scene *s = arg;
	const size_t size[] = { W, H };

	must(clSetKernelArg(s->kernel, 0, sizeof(cl_mem), &s->frames[n % 2]), "clSetKernelArg");
	must(clSetKernelArg(s->kernel, 1, sizeof(cl_mem), &s->frames[(n + 1) % 2]),
		"clSetKernelArg");
	must(clEnqueueNDRangeKernel(s->queue, s->kernel, 2, NULL, size, NULL, 0, NULL, NULL),
		"step");
	must(clFinish(s->queue), "clFinish");
}

static int verify_frame(struct scene *s, uint64_t steps)
{
	static uint32_t got[W * H];
	const size_t all[] = { W, H, 1 };
	uint32_t a, c;

	workload_power(steps, &a, &c);
	must(clEnqueueReadImage(
		     s->queue, s->frames[steps % 2], CL_TRUE, zero, all, 0, 0, got, 0, NULL, NULL),
		"clEnqueueReadImage");
	for (uint32_t i = 0; i < W * H; i++) {
		if (got[i] == i * a + c)
			continue;
		printf("frames bad pixel %u\n", i);
		return 1;
	}
	return 0;
}

// What was mapped before any move is what was filled; what is written to it now arrives.
static int verify_layers(struct scene *s)
{
	static uint32_t got[W * H * LAYERS];
	const size_t all[] = { W, H, LAYERS };

	for (size_t y = 0; y < H; y++)
		for (size_t x = 0; x < W; x++) {
			uint32_t *p = (uint32_t *)(s->mapped + y * s->row) + x;
			if (*p != 7) {
				printf("frames bad mapped pixel %zu %zu\n", x, y);
				return 1;
			}
			*p = (uint32_t)(y * W + x);
		}
	must(clEnqueueUnmapMemObject(s->queue, s->layers, s->mapped, 0, NULL, NULL),
		"clEnqueueUnmapMemObject");
	must(clEnqueueReadImage(s->queue, s->layers, CL_TRUE, zero, all, 0, 0, got, 0, NULL, NULL),
		"clEnqueueReadImage");
	for (uint32_t i = 0; i < W * H * LAYERS; i++) {
		if (got[i] == (i / (W * H) == 2 ? i % (W * H) : 7))
			continue;
		printf("frames bad layer pixel %u\n", i);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct scene s = { 0 };

	set_up(&s);
	uint64_t steps = workload_run(argc, argv, step, &s);
	if (verify_frame(&s, steps) || verify_layers(&s))
		return 1;
	printf("frames ok %llu\n", (unsigned long long)steps);
	return 0;
}
