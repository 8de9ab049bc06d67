// SPDX-License-Identifier: Apache-2.0
#include "gpu.h"

#include <errno.h>
#include <string.h>

#define MAX_IDS 16

static int pick_platform(unsigned index, cl_platform_id *ret, struct failure *f)
{
	cl_platform_id ids[MAX_IDS];
	cl_uint n = 0;
	cl_int st = clGetPlatformIDs(MAX_IDS, ids, &n);

	if (st || !n)
		return fail(f, ENODEV, "no OpenCL platform (%s): install an OpenCL driver",
			st ? cl_status_name(st) : "the loader lists none");
	if (index >= n || index >= MAX_IDS)
		return fail(
			f, ENODEV, "no OpenCL platform %u: there are %u, counted from 0", index, n);
	*ret = ids[index];
	return 0;
}

static int pick_device(
	cl_platform_id platform, unsigned index, cl_device_id *ret, struct failure *f)
{
	cl_device_id ids[MAX_IDS];
	cl_uint n = 0;
	cl_int st = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, MAX_IDS, ids, &n);

	if (st)
		return fail_cl(f, st, "clGetDeviceIDs");
	if (index >= n || index >= MAX_IDS)
		return fail(
			f, ENODEV, "no OpenCL device %u: there are %u, counted from 0", index, n);
	*ret = ids[index];
	return 0;
}

static int read_limits(struct gpu *g, struct failure *f)
{
	cl_device_type type = 0;
	cl_ulong max = 0;
	cl_int st =
		clGetDeviceInfo(g->device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof max, &max, NULL);

	if (st)
		return fail_cl(f, st, "clGetDeviceInfo(CL_DEVICE_MAX_MEM_ALLOC_SIZE)");
	g->max_buffer = max < GPU_MAX_BUFFER ? max : GPU_MAX_BUFFER;
	if (!clGetDeviceInfo(g->device, CL_DEVICE_TYPE, sizeof type, &type, NULL))
		g->cpu = type & CL_DEVICE_TYPE_CPU;
	if (clGetDeviceInfo(g->device, CL_DEVICE_NAME, sizeof g->name - 1, g->name, NULL))
		strcpy(g->name, "unnamed device");
	return 0;
}

int gpu_open(struct gpu *g, unsigned platform_index, unsigned device_index, struct failure *f)
{
	cl_platform_id platform = NULL;
	cl_int st;
	int r;

	memset(g, 0, sizeof *g);
	r = pick_platform(platform_index, &platform, f);
	if (!r)
		r = pick_device(platform, device_index, &g->device, f);
	if (!r)
		r = read_limits(g, f);
	if (r)
		return r;
	g->context = clCreateContext(NULL, 1, &g->device, NULL, NULL, &st);
	if (!g->context)
		return fail_cl(f, st, "clCreateContext");
	g->queue = clCreateCommandQueue(g->context, g->device, 0, &st);
	if (!g->queue)
		return fail_cl(f, st, "clCreateCommandQueue");
	return 0;
}

void gpu_close(struct gpu *g)
{
	if (g->queue) {
		clFinish(g->queue);
		clReleaseCommandQueue(g->queue);
	}
	if (g->context)
		clReleaseContext(g->context);
	memset(g, 0, sizeof *g);
}

int gpu_buffer(struct gpu *g, uint64_t bytes, const char *what, cl_mem *ret, struct failure *f)
{
	cl_int st;

	if (bytes > g->max_buffer)
		return fail(f, ENOMEM,
			"%s: %llu bytes do not fit one buffer: the limit is %llu on %s", what,
			(unsigned long long)bytes, (unsigned long long)g->max_buffer, g->name);
	*ret = clCreateBuffer(g->context, CL_MEM_READ_WRITE, bytes, NULL, &st);
	if (!*ret)
		return fail_cl(f, st, what);
	return 0;
}

void gpu_buffer_free(cl_mem *buffer)
{
	if (*buffer)
		clReleaseMemObject(*buffer);
	*buffer = NULL;
}

int gpu_launch(struct gpu *g, cl_kernel kernel, uint64_t items, struct failure *f)
{
	size_t global = items, local = 1;
	cl_int st =
		clEnqueueNDRangeKernel(g->queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL);

	return st ? fail_cl(f, st, "clEnqueueNDRangeKernel") : 0;
}

int gpu_write(
	struct gpu *g, cl_mem to, uint64_t at, const void *from, uint64_t bytes, struct failure *f)
{
	cl_int st = clEnqueueWriteBuffer(g->queue, to, CL_TRUE, at, bytes, from, 0, NULL, NULL);

	return st ? fail_cl(f, st, "clEnqueueWriteBuffer") : 0;
}

int gpu_read(struct gpu *g, cl_mem from, uint64_t at, void *to, uint64_t bytes, struct failure *f)
{
	cl_int st = clEnqueueReadBuffer(g->queue, from, CL_TRUE, at, bytes, to, 0, NULL, NULL);

	return st ? fail_cl(f, st, "clEnqueueReadBuffer") : 0;
}

int gpu_finish(struct gpu *g, struct failure *f)
{
	cl_int st = clFinish(g->queue);

	return st ? fail_cl(f, st, "clFinish") : 0;
}
