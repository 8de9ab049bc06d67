// SPDX-License-Identifier: Apache-2.0
// lost KERNEL: a kernel on a CPU device, or the driver's compiler, ends the vGPU. Whoever waits is woken, every
// call from then on says that the device is gone, and everything can be released.
#include "api.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static struct cl c;
static atomic_int told; // the status that the callback had

static const struct {
	const char *name, *text;
} kernels[] = {
	{ "null", "kernel void k(global int *p) { global int *q = (global int *)(size_t)p[0]; p[0] "
		  "= *q; }" },
	{ "trap", "kernel void k(global int *p) { if (!p[0]) __builtin_trap(); }" },
	{ "deep", "int f(int n, global int *p) { p[n & 3]++; return f(n + 1, p) + p[1]; }\n"
		  "kernel void k(global int *p) { p[0] = f(p[0], p); }" },
	{ "stack", "kernel void k(global int *p) { int a[16 << 20]; for (int i = 0; i < 16 << 20; "
		   "i++) a[i] = i ^ p[0];\n"
		   "  p[0] = a[p[1] + 77]; }" },
	{ "undefined", "kernel void k(global int *p) { __asm__ volatile (\"call nowhere_at_all\"); "
		       "p[0] = 1; }" },
};

// An expression whose depth the compiler does not survive.
static char *endless(void)
{
	const size_t n = 3000000;
	char *text = malloc(2 * n + 100);
	char *at = text + sprintf(text, "kernel void k(global int *p) { p[0] = ");

	for (size_t i = 0; i < n; i++, at += 2)
		memcpy(at, "- ", 2);
	strcpy(at, "p[1]; }");
	return text;
}

static void CL_CALLBACK note(cl_event e, cl_int status, void *arg)
{
	atomic_store(&told, status);
}

static void *wait_for(void *arg)
{
	cl_event e = arg;
	cl_int status = 0;

	CHECK(clWaitForEvents(1, &e) != CL_SUCCESS);
	OK(clGetEventInfo(e, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
	CHECK(status < 0);
	return NULL;
}

// Every kind of call; twice, since nothing changes that.
static void nothing_works(cl_mem m)
{
	cl_bool available = CL_TRUE;
	cl_int err, v = 0;

	CHECK_EQ(clFinish(c.queue), CL_DEVICE_NOT_AVAILABLE);
	CHECK_EQ(clEnqueueWriteBuffer(c.queue, m, CL_FALSE, 0, 4, &v, 0, NULL, NULL),
		CL_DEVICE_NOT_AVAILABLE);
	CHECK_EQ(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 4, &v, 0, NULL, NULL),
		CL_DEVICE_NOT_AVAILABLE);
	CHECK(!clCreateBuffer(c.context, CL_MEM_READ_WRITE, 64, NULL, &err) &&
		err == CL_DEVICE_NOT_AVAILABLE);
	OK(clGetDeviceInfo(c.device, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL));
	CHECK(!available);
}

static cl_int build(const char *text, cl_program *ret)
{
	cl_int err;

	*ret = clCreateProgramWithSource(c.context, 1, &text, NULL, &err);
	OK(err);
	return clBuildProgram(*ret, 1, &c.device, "", NULL, NULL);
}

static void a_build_that_ends_the_device(cl_mem m)
{
	char *text = endless();
	cl_program p;

	CHECK_EQ(build(text, &p), CL_DEVICE_NOT_AVAILABLE);
	nothing_works(m);
	OK(clReleaseProgram(p));
	free(text);
}

// A command, its callback, a thread, and a command behind a user event that wait for it.
static void a_launch_that_ends_the_device(const char *text, cl_mem m)
{
	cl_program p;
	cl_int err, v = 5;
	const size_t one = 1;
	pthread_t waiter;
	cl_event launch, marker, behind;

	OK(build(text, &p));
	cl_kernel k = cl_kernel_of(p, "k");
	cl_event user = clCreateUserEvent(c.context, &err);
	cl_command_queue other = clCreateCommandQueue(c.context, c.device, 0, &err);
	OK(err);
	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clEnqueueWriteBuffer(other, m, CL_FALSE, 4, 4, &v, 1, &user, &behind));
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &one, NULL, 0, NULL, &launch));
	OK(clEnqueueMarkerWithWaitList(c.queue, 1, &launch, &marker));
	OK(clSetEventCallback(marker, CL_COMPLETE, note, NULL));
	CHECK_EQ(pthread_create(&waiter, NULL, wait_for, behind), 0);
	CHECK_EQ(clFinish(c.queue), CL_DEVICE_NOT_AVAILABLE);
	CHECK_EQ(pthread_join(waiter, NULL), 0);
	wait_for(marker);
	for (int i = 0; i < 2000 && !atomic_load(&told); i++)
		usleep(5000);
	CHECK(atomic_load(&told) < 0);
	for (int i = 0; i < 2; i++)
		nothing_works(m);
	CHECK(clSetUserEventStatus(user, CL_COMPLETE) != CL_INVALID_EVENT);
	for (cl_event *e = (cl_event[]){ user, launch, marker, behind, NULL }; *e; e++)
		OK(clReleaseEvent(*e));
	OK(clReleaseCommandQueue(other));
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
}

int main(int argc, char **argv)
{
	const int32_t zero[16] = { 0 };

	CHECK(argc == 2);
	c = cl_setup();
	cl_mem m = cl_buffer(&c, CL_MEM_COPY_HOST_PTR, sizeof zero, (void *)zero);
	for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
		if (!strcmp(argv[1], kernels[i].name))
			a_launch_that_ends_the_device(kernels[i].text, m);
	if (!strcmp(argv[1], "build"))
		a_build_that_ends_the_device(m);
	OK(clReleaseMemObject(m));
	OK(clReleaseCommandQueue(c.queue));
	OK(clReleaseContext(c.context));
	printf("ok %s\n", argv[1]);
}
