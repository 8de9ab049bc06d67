// SPDX-License-Identifier: Apache-2.0
// What has an end on a vGPU is an error there, and the device goes on: a launch's local memory (PoCL 3.1
// crashes), a program's source, and commands that wait for an event that the program never sets.
#define CL_TARGET_OPENCL_VERSION 300
#include "api.h"

#include <stdlib.h>

static struct cl c;
static cl_int err;

static void local_memory_ends(void)
{
	cl_program p = cl_build(&c,
		"kernel void own(global int *o) { local int a[64 << 20]; a[get_local_id(0)] = 1;\n"
		"  barrier(CLK_LOCAL_MEM_FENCE); o[0] = a[o[1]]; }\n"
		"kernel void given(global int *o, local int *a, local int *b) { a[0] = 2; b[0] = "
		"3;\n"
		"  barrier(CLK_LOCAL_MEM_FENCE); o[0] = a[0] + b[0]; }\n");
	cl_kernel own = cl_kernel_of(p, "own"), given = cl_kernel_of(p, "given");
	cl_mem o = cl_buffer(&c, CL_MEM_READ_WRITE, 64, NULL);
	const size_t one = 1, huge[] = { 4ul << 30, SIZE_MAX, 0 };
	cl_ulong most;

	OK(clGetDeviceInfo(c.device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof most, &most, NULL));
	OK(clSetKernelArg(own, 0, sizeof o, &o));
	CHECK_EQ(clEnqueueNDRangeKernel(c.queue, own, 1, NULL, &one, NULL, 0, NULL, NULL),
		CL_OUT_OF_RESOURCES);
	OK(clSetKernelArg(given, 0, sizeof o, &o));
	OK(clSetKernelArg(given, 1, most / 2, NULL));
	for (int i = 0; i < 3; i++) {
		OK(clSetKernelArg(given, 2, huge[i] ? huge[i] : most / 2 + 1, NULL));
		CHECK_EQ(clEnqueueNDRangeKernel(c.queue, given, 1, NULL, &one, NULL, 0, NULL, NULL),
			CL_OUT_OF_RESOURCES);
	}
	OK(clSetKernelArg(given, 2, most - most / 2, NULL));
	OK(clEnqueueNDRangeKernel(c.queue, given, 1, NULL, &one, NULL, 0, NULL, NULL));
	OK(clFinish(c.queue));
	OK(clReleaseKernel(own));
	OK(clReleaseKernel(given));
	OK(clReleaseMemObject(o));
	OK(clReleaseProgram(p));
}

static void sources_have_an_end(void)
{
	const size_t n = 33u << 20;
	char *text = malloc(n + 1);
	const char *strings = text;

	memset(text, ' ', n);
	text[n] = 0;
	CHECK(!clCreateProgramWithSource(c.context, 1, &strings, NULL, &err));
	CHECK_EQ(err, CL_OUT_OF_HOST_MEMORY);
	cl_program p = cl_build(&c, "kernel void k(global int *o) { *o = 1; }");
	OK(clReleaseProgram(p));
	free(text);
}

// The event that all of them wait for is never set: the call that finds no more room may not wait for its
// own thread for ever.
static void until_there_is_no_room(cl_int (*enqueue)(cl_event gate))
{
	cl_int got;
	cl_event gate = clCreateUserEvent(c.context, &got);
	unsigned n = 0;

	OK(got);
	do
		got = enqueue(gate);
	while (!got && ++n < 1000000);
	CHECK_EQ(got, CL_OUT_OF_RESOURCES);
	CHECK(n > 2000);
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	OK(clFinish(c.queue));
	OK(enqueue(gate));
	OK(clFinish(c.queue));
	OK(clReleaseEvent(gate));
}

static cl_int enqueue_marker(cl_event gate)
{
	return clEnqueueMarkerWithWaitList(c.queue, 1, &gate, NULL);
}

#define WRITTEN (1u << 20)
static char written[WRITTEN];
static cl_mem target;

static cl_int enqueue_write(cl_event gate)
{
	return clEnqueueWriteBuffer(c.queue, target, CL_FALSE, 0, WRITTEN, written, 1, &gate, NULL);
}

static void a_program_that_waits_for_itself_is_told(void)
{
	target = cl_buffer(&c, CL_MEM_READ_WRITE, WRITTEN, NULL);
	until_there_is_no_room(enqueue_marker);
	until_there_is_no_room(enqueue_write);
	OK(clReleaseMemObject(target));
}

int main(void)
{
	c = cl_setup();
	RUN(local_memory_ends);
	RUN(sources_have_an_end);
	RUN(a_program_that_waits_for_itself_is_told);
	cl_teardown(&c);
}
