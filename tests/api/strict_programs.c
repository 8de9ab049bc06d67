// SPDX-License-Identifier: Apache-2.0
// What the specification says of programs and kernels and PoCL 3.1 does not do: it ends the process that builds a program of a
// binary twice, or one that was linked.
#include "api.h"

#include <stdlib.h>
#include <string.h>

static struct cl c;
static cl_int err;

static int first_value(cl_program p)
{
	cl_kernel k = cl_kernel_of(p, "set");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 4, NULL);
	int v = 0;

	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clEnqueueTask(c.queue, k, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 4, &v, 0, NULL, NULL));
	OK(clReleaseMemObject(m));
	OK(clReleaseKernel(k));
	return v;
}

static unsigned char *binary_of(cl_program p, size_t *ret_n)
{
	OK(clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, sizeof *ret_n, ret_n, NULL));
	unsigned char *bytes = malloc(*ret_n);
	OK(clGetProgramInfo(p, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL));
	return bytes;
}

static void a_binary_is_built_again(void)
{
	cl_program p = cl_build(&c, "kernel void set(global int *a) { *a = 8; }");
	size_t n;
	unsigned char *bytes = binary_of(p, &n);
	const unsigned char *binary = bytes;

	OK(clReleaseProgram(p));
	p = clCreateProgramWithBinary(c.context, 1, &c.device, &n, &binary, NULL, &err);
	OK(err);
	for (int i = 0; i < 3; i++) {
		OK(clBuildProgram(p, 0, NULL, i ? "-cl-mad-enable" : "", NULL, NULL));
		CHECK_EQ(first_value(p), 8);
	}
	OK(clReleaseProgram(p));
	free(bytes);
}

static cl_program link_of(cl_program part, const char *options)
{
	cl_program p = clLinkProgram(c.context, 0, NULL, options, 1, &part, NULL, NULL, &err);

	OK(err);
	return p;
}

static void what_was_linked_cannot_be_built(void)
{
	cl_program part = cl_source(&c, "kernel void set(global int *a) { *a = 9; }");

	OK(clCompileProgram(part, 0, NULL, "", 0, NULL, NULL, NULL, NULL));
	cl_program p = link_of(part, "");
	CHECK_EQ(clBuildProgram(p, 0, NULL, "", NULL, NULL), CL_INVALID_OPERATION);
	CHECK_EQ(clCompileProgram(p, 0, NULL, "", 0, NULL, NULL, NULL, NULL), CL_INVALID_OPERATION);
	CHECK_EQ(first_value(p), 9);
	OK(clReleaseProgram(p));
	OK(clReleaseProgram(part));
}

static void expect_no_executable(cl_program p)
{
	cl_kernel kernels[4];
	size_t n;

	CHECK_EQ(clGetProgramInfo(p, CL_PROGRAM_NUM_KERNELS, sizeof n, &n, NULL),
		CL_INVALID_PROGRAM_EXECUTABLE);
	CHECK_EQ(clGetProgramInfo(p, CL_PROGRAM_KERNEL_NAMES, 0, NULL, &n),
		CL_INVALID_PROGRAM_EXECUTABLE);
	CHECK(!clCreateKernel(p, "set", &err) && err == CL_INVALID_PROGRAM_EXECUTABLE);
	CHECK_EQ(clCreateKernelsInProgram(p, 4, kernels, NULL), CL_INVALID_PROGRAM_EXECUTABLE);
}

static void parts_and_libraries_have_no_kernels(void)
{
	cl_program part = cl_source(&c, "kernel void set(global int *a) { *a = 10; }");

	OK(clCompileProgram(part, 0, NULL, "", 0, NULL, NULL, NULL, NULL));
	expect_no_executable(part);
	cl_program library = link_of(part, "-create-library"), p = link_of(library, "");
	expect_no_executable(library);
	CHECK_EQ(first_value(p), 10);
	OK(clReleaseProgram(p));
	OK(clReleaseProgram(library));
	OK(clReleaseProgram(part));
}

int main(void)
{
	c = cl_setup();
	RUN(a_binary_is_built_again);
	RUN(what_was_linked_cannot_be_built);
	RUN(parts_and_libraries_have_no_kernels);
	cl_teardown(&c);
}
