// SPDX-License-Identifier: Apache-2.0
// An ordinary OpenCL program that uses much of the API and prints one number, which depends on every
// result and on no timing: whoever runs it, moved or not, gets the same.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N     (1u << 18)
#define BYTES (N * sizeof(uint32_t))

#define MUST(call)                                                                                 \
	do {                                                                                       \
		cl_int err_ = (call);                                                              \
		if (err_ != CL_SUCCESS) {                                                          \
			fprintf(stderr, "%s:%d: %s: error %d\n", __FILE__, __LINE__, #call, err_); \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)
#define MADE(what)                                                                                 \
	({                                                                                         \
		cl_int err;                                                                        \
		__typeof__(what) made_ = what;                                                     \
		MUST(err);                                                                         \
		made_;                                                                             \
	})

static const char source[] =
	"__kernel void mingle(__global uint *a, __global const uint *b, uint k) {\n"
	"  size_t i = get_global_id(0);\n"
	"  a[i] = rotate(a[i] * 2654435761u + k, 7u) ^ b[i]; }\n"
	"__kernel void scatter(__global uint *a, __local uint *l, uint k) {\n"
	"  size_t i = get_global_id(0), j = get_local_id(0), n = get_local_size(0);\n"
	"  l[j] = a[i]; barrier(CLK_LOCAL_MEM_FENCE);\n"
	"  a[i] = l[(j * 5 + k) % n] + (uint)j; }\n";

static cl_device_id device;
static cl_context context;
static cl_command_queue queue, side;
static cl_kernel mix, scatter;
static cl_mem a, b;
static uint64_t sum = 14695981039346656037ULL;

// FNV-1a (Fowler, Noll, Vo) over 64-bit words.
static void fold(uint64_t v)
{
	sum = (sum ^ v) * 1099511628211ULL;
}

static cl_program build(unsigned n)
{
	char text[sizeof source + 200];
	const char *texts[] = { text };

	snprintf(text, sizeof text, "%s__kernel void variant(__global uint *a) { a[0] += %uu; }\n",
		source, n);
	cl_program p = MADE(clCreateProgramWithSource(context, 1, texts, NULL, &err));
	MUST(clBuildProgram(p, 1, &device, "", NULL, NULL));
	return p;
}

static void set_up(void)
{
	cl_platform_id platform;

	MUST(clGetPlatformIDs(1, &platform, NULL));
	MUST(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
	context = MADE(clCreateContext(NULL, 1, &device, NULL, NULL, &err));
	queue = MADE(clCreateCommandQueue(context, device, CL_QUEUE_PROFILING_ENABLE, &err));
	side = MADE(clCreateCommandQueue(
		context, device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err));
	cl_program p = build(0);
	mix = MADE(clCreateKernel(p, "mingle", &err));
	scatter = MADE(clCreateKernel(p, "scatter", &err));
	MUST(clReleaseProgram(p));
	a = MADE(clCreateBuffer(context, CL_MEM_READ_WRITE, BYTES, NULL, &err));
	b = MADE(clCreateBuffer(context, CL_MEM_READ_ONLY, BYTES, NULL, &err));
}

static void fill(cl_mem m, uint32_t seed)
{
	uint32_t *at = MADE((uint32_t *)clEnqueueMapBuffer(
		queue, m, CL_TRUE, CL_MAP_WRITE, 0, BYTES, 0, NULL, NULL, &err));

	for (uint32_t i = 0; i < N; i++)
		at[i] = i * 2246822519u + seed;
	MUST(clEnqueueUnmapMemObject(queue, m, at, 0, NULL, NULL));
}

static void launches(uint32_t round)
{
	size_t global = N, local = 64;

	for (uint32_t k = 0; k < 40; k++) {
		uint32_t mixed = round * 1000 + k;
		MUST(clSetKernelArg(mix, 0, sizeof a, &a));
		MUST(clSetKernelArg(mix, 1, sizeof b, &b));
		MUST(clSetKernelArg(mix, 2, sizeof mixed, &mixed));
		MUST(clEnqueueNDRangeKernel(queue, mix, 1, NULL, &global, NULL, 0, NULL, NULL));
		MUST(clSetKernelArg(scatter, 0, sizeof a, &a));
		MUST(clSetKernelArg(scatter, 1, local * sizeof(uint32_t), NULL));
		MUST(clSetKernelArg(scatter, 2, sizeof k, &k));
		MUST(clEnqueueNDRangeKernel(
			queue, scatter, 1, NULL, &global, &local, 0, NULL, NULL));
	}
}

static void fold_all(void)
{
	static uint32_t got[N];

	MUST(clEnqueueReadBuffer(queue, a, CL_TRUE, 0, BYTES, got, 0, NULL, NULL));
	for (uint32_t i = 0; i < N; i++)
		fold(got[i]);
}

// A chain over two queues behind a user event, with buffers let go of before they are used.
static void chain(uint32_t round)
{
	size_t global = 4096;
	uint32_t pattern = round, result[4] = { 0 };
	cl_event gate = MADE(clCreateUserEvent(context, &err)), first, second, third;
	cl_mem c = MADE(clCreateBuffer(context, 0, 4 * 4096, NULL, &err));
	cl_mem d = MADE(clCreateBuffer(context, 0, 4 * 4096, NULL, &err));

	MUST(clEnqueueFillBuffer(side, c, &pattern, 4, 0, 4 * 4096, 1, &gate, &first));
	MUST(clEnqueueCopyBuffer(side, c, d, 0, 0, 4 * 4096, 1, &first, &second));
	MUST(clSetKernelArg(mix, 0, sizeof d, &d));
	MUST(clSetKernelArg(mix, 1, sizeof c, &c));
	MUST(clSetKernelArg(mix, 2, sizeof round, &round));
	MUST(clEnqueueNDRangeKernel(side, mix, 1, NULL, &global, NULL, 1, &second, &third));
	MUST(clEnqueueReadBuffer(side, d, CL_FALSE, 64, 16, result, 1, &third, NULL));
	launches(round);
	MUST(clFlush(side));
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clFinish(side));
	for (int i = 0; i < 4; i++)
		fold(result[i]);
	MUST(clReleaseEvent(gate));
	MUST(clReleaseEvent(first));
	MUST(clReleaseEvent(second));
	MUST(clReleaseEvent(third));
	MUST(clReleaseMemObject(c));
	MUST(clReleaseMemObject(d));
}

static void another_program(uint32_t round)
{
	size_t one = 1;
	cl_program p = build(round);
	cl_kernel k = MADE(clCreateKernel(p, "variant", &err));

	MUST(clSetKernelArg(k, 0, sizeof a, &a));
	MUST(clEnqueueNDRangeKernel(queue, k, 1, NULL, &one, &one, 0, NULL, NULL));
	MUST(clReleaseKernel(k));
	MUST(clReleaseProgram(p));
}

static void rectangles(uint32_t round)
{
	static uint32_t tile[32 * 16];
	size_t buffer[3] = { 64, 5, 0 }, host[3] = { 0 }, region[3] = { 32 * 4, 16, 1 };

	for (uint32_t i = 0; i < 32 * 16; i++)
		tile[i] = i ^ round;
	MUST(clEnqueueWriteBufferRect(
		queue, a, CL_FALSE, buffer, host, region, 1024, 0, 128, 0, tile, 0, NULL, NULL));
	MUST(clFinish(queue));
}

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 100;

	set_up();
	fill(a, 1);
	fill(b, 2);
	for (uint32_t round = 0; round < rounds; round++) {
		launches(round);
		chain(round);
		rectangles(round);
		if (round % 10 == 3)
			another_program(round);
		if (round % 25 == 7)
			fill(b, round);
		fold_all();
	}
	printf("%016llx\n", (unsigned long long)sum);
}
