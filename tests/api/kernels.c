// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 5.7 and 5.8: kernels, their arguments and their launches.
#include "api.h"

static struct cl c;
static cl_program program;
static const char text[] =
	"struct pair { int a; long b; };\n"
	"kernel void scale(global float *x, float by, float4 add) {\n"
	"	size_t i = get_global_id(0); x[i] = x[i] * by + add.w; }\n"
	"kernel void sum(global int *out, local int *part, constant int *in) {\n"
	"	size_t l = get_local_id(0); part[l] = in[get_global_id(0)];\n"
	"	barrier(CLK_LOCAL_MEM_FENCE);\n"
	"	if (!l) { int s = 0; for (size_t i = 0; i < get_local_size(0); i++) s += part[i];\n"
	"		out[get_group_id(0)] = s; } }\n"
	"kernel void pairs(global long *out, struct pair p) { *out = p.a + p.b; }\n"
	"typedef ulong word;\n"
	"kernel void words(global ulong *out, word w) { *out = w; }\n"
	"kernel void where(global ulong *out) {\n"
	"	size_t i = get_global_id(0) - get_global_offset(0);\n"
	"	out[i] = get_global_id(0) * 100 + get_global_id(1); }\n"
	"kernel __attribute__((reqd_work_group_size(4, 1, 1))) void four(global int *x) {\n"
	"	x[get_global_id(0)] = get_local_size(0); }\n"
	"kernel void maybe(global int *out, global int *in) { *out = in ? 1 : 2; }\n";

static void arguments_travel(void)
{
	float x[64], add[4] = { 0, 0, 0, 0.5f }, by = 3;
	cl_kernel k = cl_kernel_of(program, "scale");
	size_t n = 64;

	for (int i = 0; i < 64; i++)
		x[i] = (float)i;
	cl_mem m = cl_buffer(&c, CL_MEM_COPY_HOST_PTR, sizeof x, x);
	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clSetKernelArg(k, 1, sizeof by, &by));
	OK(clSetKernelArg(k, 2, sizeof add, add));
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &n, NULL, 0, NULL, NULL));
	by = 100; // captured by the launch
	OK(clSetKernelArg(k, 1, sizeof by, &by));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, sizeof x, x, 0, NULL, NULL));
	for (int i = 0; i < 64; i++)
		CHECK(x[i] == (float)i * 3 + 0.5f);
	OK(clReleaseKernel(k));
	OK(clReleaseMemObject(m));
}

static void local_and_constant_memory(void)
{
	int in[64], out[4];
	cl_kernel k = cl_kernel_of(program, "sum");
	size_t global = 64, local = 16;

	for (int i = 0; i < 64; i++)
		in[i] = i;
	cl_mem a = cl_buffer(&c, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, sizeof in, in);
	cl_mem b = cl_buffer(&c, CL_MEM_WRITE_ONLY, sizeof out, NULL);
	OK(clSetKernelArg(k, 0, sizeof b, &b));
	OK(clSetKernelArg(k, 1, local * sizeof(int), NULL));
	OK(clSetKernelArg(k, 2, sizeof a, &a));
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &global, &local, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, b, CL_TRUE, 0, sizeof out, out, 0, NULL, NULL));
	for (int i = 0; i < 4; i++)
		CHECK_EQ(out[i], 120 + 256 * i);
	OK(clReleaseMemObject(a));
	OK(clReleaseMemObject(b));
	OK(clReleaseKernel(k));
}

static void structures_are_bytes(void)
{
	struct {
		cl_int a;
		cl_long b __attribute__((aligned(8)));
	} p = { 5, 37 };
	cl_kernel k = cl_kernel_of(program, "pairs");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 8, NULL);
	cl_long v;
	size_t one = 1;

	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clSetKernelArg(k, 1, sizeof p, &p));
	OK(clEnqueueTask(c.queue, k, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 8, &v, 0, NULL, NULL));
	CHECK_EQ(v, 42);
	CHECK_EQ(one, 1);
	OK(clReleaseMemObject(m));
	OK(clReleaseKernel(k));
}

// As long as a handle is, and none: of a type that only the program knows.
static void eight_bytes_are_any_number(void)
{
	const cl_ulong numbers[] = { 0, 1, 8, 0x100, 0x7fff00000000, UINT64_MAX - 7 };
	cl_kernel k = cl_kernel_of(program, "words");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, sizeof numbers[0], NULL);
	size_t one = 1;

	OK(clSetKernelArg(k, 0, sizeof m, &m));
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		cl_ulong got = 42;
		OK(clSetKernelArg(k, 1, sizeof numbers[i], &numbers[i]));
		OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &one, NULL, 0, NULL, NULL));
		OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, sizeof got, &got, 0, NULL, NULL));
		CHECK_EQ(got, numbers[i]);
	}
	OK(clReleaseMemObject(m));
	OK(clReleaseKernel(k));
}

static void offsets_count(void)
{
	cl_kernel k = cl_kernel_of(program, "where");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 64, NULL);
	size_t offset[] = { 10, 3 }, global[] = { 8, 1 };
	cl_ulong v[8];

	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clEnqueueNDRangeKernel(c.queue, k, 2, offset, global, NULL, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, sizeof v, v, 0, NULL, NULL));
	for (cl_ulong i = 0; i < 8; i++)
		CHECK_EQ(v[i], (10 + i) * 100 + 3);
	OK(clReleaseMemObject(m));
	OK(clReleaseKernel(k));
}

static void a_buffer_may_be_absent(void)
{
	cl_kernel k = cl_kernel_of(program, "maybe");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 4, NULL), none = NULL;
	int v;

	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clSetKernelArg(k, 1, sizeof none, &none));
	OK(clEnqueueTask(c.queue, k, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 4, &v, 0, NULL, NULL));
	CHECK_EQ(v, 2);
	OK(clReleaseMemObject(m));
	OK(clReleaseKernel(k));
}

static void kernels_describe_themselves(void)
{
	cl_kernel k = cl_kernel_of(program, "scale"), four = cl_kernel_of(program, "four");
	char name[64];
	cl_uint n;
	size_t size[3];
	cl_kernel_arg_address_qualifier address;

	OK(clGetKernelInfo(k, CL_KERNEL_FUNCTION_NAME, sizeof name, name, NULL));
	CHECK_STR(name, "scale");
	OK(clGetKernelInfo(k, CL_KERNEL_NUM_ARGS, sizeof n, &n, NULL));
	CHECK_EQ(n, 3);
	OK(clGetKernelWorkGroupInfo(
		four, c.device, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof size, size, NULL));
	CHECK(size[0] == 4 && size[1] == 1 && size[2] == 1);
	OK(clGetKernelWorkGroupInfo(
		k, c.device, CL_KERNEL_WORK_GROUP_SIZE, sizeof size[0], &size[0], NULL));
	CHECK(size[0] >= 1);
	OK(clGetKernelArgInfo(k, 1, CL_KERNEL_ARG_TYPE_NAME, sizeof name, name, NULL));
	CHECK_STR(name, "float");
	OK(clGetKernelArgInfo(
		k, 0, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof address, &address, NULL));
	CHECK_EQ(address, CL_KERNEL_ARG_ADDRESS_GLOBAL);
	OK(clReleaseKernel(k));
	OK(clReleaseKernel(four));
}

static cl_ulong local_bytes(cl_kernel k)
{
	cl_ulong n = 0;

	OK(clGetKernelWorkGroupInfo(k, c.device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof n, &n, NULL));
	return n;
}

static void local_arguments_count_as_local_memory(void)
{
	cl_program p =
		cl_build(&c, "__kernel void k(__local int *a, __global int *b, __local char *d) "
			     "{ a[0] = 1; d[0] = 2; b[0] = a[0] + d[0]; }");
	cl_kernel k = cl_kernel_of(p, "k");
	cl_ulong before = local_bytes(k);

	OK(clSetKernelArg(k, 0, 400, NULL));
	OK(clSetKernelArg(k, 2, 1000, NULL));
	CHECK(local_bytes(k) >= before + 1400 && local_bytes(k) < before + 1400 + 256);
	OK(clSetKernelArg(k, 2, 100, NULL));
	CHECK(local_bytes(k) >= before + 500 && local_bytes(k) < before + 500 + 256);
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
}

int main(void)
{
	c = cl_setup();
	program = cl_build(&c, text);
	RUN(arguments_travel);
	RUN(local_and_constant_memory);
	RUN(structures_are_bytes);
	RUN(eight_bytes_are_any_number);
	RUN(offsets_count);
	RUN(a_buffer_may_be_absent);
	RUN(kernels_describe_themselves);
	RUN(local_arguments_count_as_local_memory);
	OK(clReleaseProgram(program));
	cl_teardown(&c);
}
