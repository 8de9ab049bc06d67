// SPDX-License-Identifier: Apache-2.0
// The specification's error codes for misuse, where every implementation agrees.
#include "api.h"

static struct cl c;
static cl_int err;

static void contexts_and_queues(void)
{
	cl_context_properties unknown[] = { 0x7777, 1, 0 };

	CHECK(!clCreateContext(NULL, 0, &c.device, NULL, NULL, &err) && err == CL_INVALID_VALUE);
	CHECK(!clCreateContext(NULL, 1, NULL, NULL, NULL, &err) && err == CL_INVALID_VALUE);
	CHECK(!clCreateContext(unknown, 1, &c.device, NULL, NULL, &err) &&
		err == CL_INVALID_PROPERTY);
	CHECK(!clCreateCommandQueue(NULL, c.device, 0, &err) && err == CL_INVALID_CONTEXT);
	CHECK(!clCreateCommandQueue(c.context, c.device, 1u << 20, &err) &&
		err == CL_INVALID_VALUE);
	CHECK_EQ(clFinish(NULL), CL_INVALID_COMMAND_QUEUE);
	CHECK_EQ(clFlush(NULL), CL_INVALID_COMMAND_QUEUE);
	CHECK_EQ(clReleaseContext(NULL), CL_INVALID_CONTEXT);
}

static cl_int refused(cl_mem_flags flags, size_t size, void *ptr)
{
	CHECK(!clCreateBuffer(c.context, flags, size, ptr, &err));
	return err;
}

static void buffers(void)
{
	char host[64];

	CHECK_EQ(refused(0, 0, NULL), CL_INVALID_BUFFER_SIZE);
	CHECK_EQ(refused(0, 64, host), CL_INVALID_HOST_PTR);
	CHECK_EQ(refused(CL_MEM_COPY_HOST_PTR, 64, NULL), CL_INVALID_HOST_PTR);
	CHECK_EQ(refused(CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 64, NULL), CL_INVALID_VALUE);
	CHECK_EQ(refused(CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR, 64, host), CL_INVALID_VALUE);
	CHECK_EQ(refused(0, (size_t)1 << 50, NULL), CL_INVALID_BUFFER_SIZE);
	CHECK_EQ(clReleaseMemObject(NULL), CL_INVALID_MEM_OBJECT);
}

static void sub_buffers(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_ONLY, 8192, NULL);
	cl_buffer_region outside = { 4096, 8192 }, odd = { 1, 16 }, empty = { 0, 0 };
	const cl_buffer_create_type type = CL_BUFFER_CREATE_TYPE_REGION;

	CHECK(!clCreateSubBuffer(m, 0, type, &outside, &err) && err == CL_INVALID_VALUE);
	CHECK(!clCreateSubBuffer(m, 0, type, &odd, &err) && err == CL_MISALIGNED_SUB_BUFFER_OFFSET);
	CHECK(!clCreateSubBuffer(m, 0, type, &empty, &err) && err == CL_INVALID_BUFFER_SIZE);
	CHECK(!clCreateSubBuffer(m, 0, 0, &empty, &err) && err == CL_INVALID_VALUE);
	CHECK(!clCreateSubBuffer(m, CL_MEM_WRITE_ONLY, type, &empty, &err) && err < 0);
	OK(clReleaseMemObject(m));
}

static void transfers(void)
{
	char host[64] = { 0 };
	cl_mem m = cl_buffer(&c, CL_MEM_HOST_READ_ONLY, 64, NULL);
	cl_context other = clCreateContext(NULL, 1, &c.device, NULL, NULL, &err);
	cl_mem foreign = clCreateBuffer(other, 0, 64, NULL, &err);
	size_t zero[] = { 0, 0, 0 }, none[] = { 0, 1, 1 };
	cl_event e = NULL;

	OK(clEnqueueReadBuffer(c.queue, m, 1, 64, 0, host, 0, NULL, NULL));
	OK(clEnqueueFillBuffer(c.queue, m, host, 1, 64, 0, 0, NULL, NULL));
	CHECK_EQ(clEnqueueReadBuffer(c.queue, m, 1, 60, 5, host, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueReadBuffer(c.queue, m, 1, 0, 5, NULL, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueReadBuffer(c.queue, NULL, 1, 0, 5, host, 0, NULL, NULL),
		CL_INVALID_MEM_OBJECT);
	CHECK_EQ(clEnqueueReadBuffer(NULL, m, 1, 0, 5, host, 0, NULL, NULL),
		CL_INVALID_COMMAND_QUEUE);
	CHECK_EQ(clEnqueueReadBuffer(c.queue, foreign, 1, 0, 5, host, 0, NULL, NULL),
		CL_INVALID_CONTEXT);
	CHECK_EQ(clEnqueueReadBuffer(c.queue, m, 1, 0, 5, host, 1, NULL, NULL),
		CL_INVALID_EVENT_WAIT_LIST);
	CHECK_EQ(clEnqueueReadBuffer(c.queue, m, 1, 0, 5, host, 1, &e, NULL),
		CL_INVALID_EVENT_WAIT_LIST);
	CHECK_EQ(clEnqueueWriteBuffer(c.queue, m, 1, 0, 5, host, 0, NULL, NULL),
		CL_INVALID_OPERATION);
	CHECK_EQ(clEnqueueReadBufferRect(
			 c.queue, m, 1, zero, zero, none, 0, 0, 0, 0, host, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK(!clEnqueueMapBuffer(c.queue, m, 1, CL_MAP_WRITE, 0, 4, 0, NULL, NULL, &err) &&
		err == CL_INVALID_OPERATION);
	CHECK(!clEnqueueMapBuffer(c.queue, m, 1, CL_MAP_READ, 60, 5, 0, NULL, NULL, &err) &&
		err == CL_INVALID_VALUE);
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(foreign));
	OK(clReleaseContext(other));
}

static void kernels(void)
{
	cl_program p =
		cl_build(&c, "kernel void k(global int *a, int b, local int *l) { *a = b; }");
	cl_kernel k = cl_kernel_of(p, "k");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 64, NULL);
	size_t n = 6, four = 4;
	int v = 1;

	CHECK(!clCreateKernel(p, "none", &err) && err == CL_INVALID_KERNEL_NAME);
	CHECK(!clCreateKernel(p, NULL, &err) && err == CL_INVALID_VALUE);
	CHECK_EQ(clSetKernelArg(k, 3, 4, &v), CL_INVALID_ARG_INDEX);
	CHECK_EQ(clSetKernelArg(k, 1, 8, &n), CL_INVALID_ARG_SIZE);
	CHECK_EQ(clSetKernelArg(k, 0, 4, &v), CL_INVALID_ARG_SIZE);
	CHECK_EQ(clSetKernelArg(k, 2, 4, &v), CL_INVALID_ARG_VALUE);
	CHECK_EQ(clSetKernelArg(k, 2, 0, NULL), CL_INVALID_ARG_SIZE);
	CHECK_EQ(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &n, NULL, 0, NULL, NULL),
		CL_INVALID_KERNEL_ARGS);
	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clSetKernelArg(k, 1, sizeof v, &v));
	OK(clSetKernelArg(k, 2, 64, NULL));
	CHECK_EQ(clEnqueueNDRangeKernel(c.queue, k, 0, NULL, &n, NULL, 0, NULL, NULL),
		CL_INVALID_WORK_DIMENSION);
	CHECK_EQ(clEnqueueNDRangeKernel(c.queue, k, 4, NULL, &n, NULL, 0, NULL, NULL),
		CL_INVALID_WORK_DIMENSION);
	CHECK_EQ(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &n, &four, 0, NULL, NULL),
		CL_INVALID_WORK_GROUP_SIZE);
	OK(clReleaseMemObject(m));
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
}

static void programs(void)
{
	const char *null_text = NULL, *text = "kernel void k(void) {}";

	CHECK(!clCreateProgramWithSource(c.context, 0, &null_text, NULL, &err) &&
		err == CL_INVALID_VALUE);
	CHECK(!clCreateProgramWithSource(c.context, 1, &null_text, NULL, &err) &&
		err == CL_INVALID_VALUE);
	CHECK_EQ(clBuildProgram(NULL, 0, NULL, "", NULL, NULL), CL_INVALID_PROGRAM);
	cl_program p = clCreateProgramWithSource(c.context, 1, &text, NULL, &err);
	OK(err);
	CHECK(!clLinkProgram(c.context, 0, NULL, NULL, 1, &p, NULL, NULL, &err) &&
		err == CL_INVALID_OPERATION);
	OK(clReleaseProgram(p));
}

static void samplers(void)
{
	CHECK(!clCreateSampler(c.context, CL_FALSE, CL_ADDRESS_REPEAT, CL_FILTER_NEAREST, &err) &&
		err == CL_INVALID_VALUE);
	CHECK(!clCreateSampler(
		      c.context, CL_FALSE, CL_ADDRESS_MIRRORED_REPEAT, CL_FILTER_LINEAR, &err) &&
		err == CL_INVALID_VALUE);
}

static void events(void)
{
	CHECK_EQ(clWaitForEvents(0, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clReleaseEvent(NULL), CL_INVALID_EVENT);
	CHECK_EQ(clSetUserEventStatus(NULL, CL_COMPLETE), CL_INVALID_EVENT);
	cl_event e = clCreateUserEvent(c.context, &err);
	OK(err);
	CHECK_EQ(clSetUserEventStatus(e, CL_RUNNING), CL_INVALID_VALUE);
	CHECK_EQ(clSetEventCallback(e, CL_COMPLETE, NULL, NULL), CL_INVALID_VALUE);
	OK(clSetUserEventStatus(e, CL_COMPLETE));
	OK(clReleaseEvent(e));
}

int main(void)
{
	c = cl_setup();
	RUN(contexts_and_queues);
	RUN(buffers);
	RUN(sub_buffers);
	RUN(transfers);
	RUN(kernels);
	RUN(programs);
	RUN(samplers);
	RUN(events);
	cl_teardown(&c);
}
