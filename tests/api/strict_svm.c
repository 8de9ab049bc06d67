// SPDX-License-Identifier: Apache-2.0
// Misuse of shared virtual memory, which PoCL 3.1 hardly checks.
#define CL_TARGET_OPENCL_VERSION 300
#include "api.h"

static struct cl c;
static cl_int err;

static void a_buffers_flags_are_no_allocations(void)
{
	CHECK(!clSVMAlloc(c.context, CL_MEM_ALLOC_HOST_PTR, 64, 0));
	CHECK(!clSVMAlloc(c.context, CL_MEM_READ_WRITE | CL_MEM_READ_ONLY, 64, 0));
}

static void only_shared_virtual_memory_is_taken_for_it(void)
{
	char *at = clSVMAlloc(c.context, 0, 64, 0), plain[64];
	const void *wrong = plain, *end = at + 64;

	CHECK(at);
	CHECK_EQ(clEnqueueSVMMap(c.queue, CL_TRUE, CL_MAP_READ, plain, 4, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMap(c.queue, CL_TRUE, CL_MAP_READ, at, 65, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMap(c.queue, CL_TRUE, 1u << 20, at, 64, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMUnmap(c.queue, at, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(
		clEnqueueSVMMemFill(c.queue, plain, "1234", 4, 8, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMemFill(c.queue, at + 2, "1234", 4, 8, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMemcpy(c.queue, CL_TRUE, at + 32, plain, 33, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMemcpy(c.queue, CL_TRUE, plain, at, 0, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMigrateMem(c.queue, 1, &wrong, NULL, 0, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(
		clEnqueueSVMMigrateMem(c.queue, 1, &end, NULL, 0, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueSVMMemFill(c.queue, at, NULL, 4, 8, 0, NULL, NULL), CL_INVALID_VALUE);
	clSVMFree(c.context, plain);
	clSVMFree(c.context, at + 1);
	clSVMFree(c.context, at);
	clSVMFree(c.context, at);
}

// A freed allocation is no argument, and no launch runs with it.
static void kernels_take_only_shared_virtual_memory(void)
{
	const size_t one = 1;
	cl_bool on = CL_TRUE;
	cl_program p;
	char plain[64], *at = clSVMAlloc(c.context, 0, 64, 0);
	const void *wrong = plain, *right = at;

	p = cl_build(&c, "kernel void k(global int *o, int v, local int *l) { *o = v; }");
	cl_kernel k = cl_kernel_of(p, "k");
	CHECK_EQ(clSetKernelArgSVMPointer(k, 0, plain), CL_INVALID_ARG_VALUE);
	CHECK_EQ(clSetKernelArgSVMPointer(k, 0, at + 64), CL_INVALID_ARG_VALUE);
	CHECK_EQ(clSetKernelArgSVMPointer(k, 1, at), CL_INVALID_ARG_VALUE);
	CHECK_EQ(clSetKernelArgSVMPointer(k, 2, at), CL_INVALID_ARG_VALUE);
	OK(clSetKernelArgSVMPointer(k, 0, at + 4));
	OK(clSetKernelArg(k, 1, sizeof(cl_int), &(cl_int){ 1 }));
	OK(clSetKernelArg(k, 2, 16, NULL));
	CHECK_EQ(clSetKernelExecInfo(k, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof wrong, &wrong),
		CL_INVALID_VALUE);
	CHECK_EQ(clSetKernelExecInfo(k, CL_KERNEL_EXEC_INFO_SVM_PTRS, 3, &right), CL_INVALID_VALUE);
	CHECK_EQ(clSetKernelExecInfo(k, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof right, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clSetKernelExecInfo(k, 0x1234, sizeof right, &right), CL_INVALID_VALUE);
	CHECK_EQ(clSetKernelExecInfo(k, CL_KERNEL_EXEC_INFO_SVM_FINE_GRAIN_SYSTEM, sizeof on, &on),
		CL_INVALID_OPERATION);
	OK(clSetKernelExecInfo(k, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof right, &right));
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &one, NULL, 0, NULL, NULL));
	OK(clFinish(c.queue));
	clSVMFree(c.context, at);
	CHECK_EQ(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &one, NULL, 0, NULL, NULL),
		CL_INVALID_KERNEL_ARGS);
	OK(clSetKernelExecInfo(k, CL_KERNEL_EXEC_INFO_SVM_PTRS, 0, NULL));
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
}

// A command that fails frees nothing, and what waits for it hears so.
static void freeing_that_fails_frees_nothing(void)
{
	cl_event gate = clCreateUserEvent(c.context, &err), e;
	void *at = clSVMAlloc(c.context, 0, 64, 0);
	cl_int status;

	OK(err);
	OK(clEnqueueSVMFree(c.queue, 1, &at, NULL, NULL, 1, &gate, &e));
	OK(clSetUserEventStatus(gate, -7));
	CHECK_EQ(clWaitForEvents(1, &e), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	OK(clGetEventInfo(e, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
	CHECK(status < 0);
	OK(clEnqueueSVMMemFill(c.queue, at, "1234", 4, 64, 0, NULL, NULL));
	OK(clFinish(c.queue));
	OK(clReleaseEvent(gate));
	OK(clReleaseEvent(e));
	clSVMFree(c.context, at);
}

int main(void)
{
	c = cl_setup();
	RUN(a_buffers_flags_are_no_allocations);
	RUN(only_shared_virtual_memory_is_taken_for_it);
	RUN(kernels_take_only_shared_virtual_memory);
	RUN(freeing_that_fails_frees_nothing);
	cl_teardown(&c);
}
