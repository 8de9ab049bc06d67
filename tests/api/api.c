// SPDX-License-Identifier: Apache-2.0
#include "api.h"

struct cl cl_setup(void)
{
	struct cl c;
	cl_int err;

	OK(clGetPlatformIDs(1, &c.platform, NULL));
	OK(clGetDeviceIDs(c.platform, CL_DEVICE_TYPE_ALL, 1, &c.device, NULL));
	c.context = clCreateContext(NULL, 1, &c.device, NULL, NULL, &err);
	OK(err);
	c.queue = clCreateCommandQueue(c.context, c.device, CL_QUEUE_PROFILING_ENABLE, &err);
	OK(err);
	return c;
}

void cl_teardown(struct cl *c)
{
	OK(clFinish(c->queue));
	OK(clReleaseCommandQueue(c->queue));
	OK(clReleaseContext(c->context));
}

cl_program cl_source(struct cl *c, const char *text)
{
	cl_int err;
	cl_program p = clCreateProgramWithSource(c->context, 1, &text, NULL, &err);

	OK(err);
	return p;
}

cl_program cl_build(struct cl *c, const char *source)
{
	cl_program p = cl_source(c, source);
	cl_int err = clBuildProgram(p, 1, &c->device, "-cl-kernel-arg-info", NULL, NULL);
	if (err) {
		static char log[65536];
		clGetProgramBuildInfo(p, c->device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL);
		fprintf(stderr, "%s\n", log);
	}
	OK(err);
	return p;
}

cl_kernel cl_kernel_of(cl_program p, const char *name)
{
	cl_int err;
	cl_kernel k = clCreateKernel(p, name, &err);

	OK(err);
	return k;
}

cl_mem cl_buffer(struct cl *c, cl_mem_flags flags, size_t size, void *host_ptr)
{
	cl_int err;
	cl_mem m = clCreateBuffer(c->context, flags, size, host_ptr, &err);

	OK(err);
	return m;
}
