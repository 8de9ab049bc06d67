// SPDX-License-Identifier: Apache-2.0
// What the specification says and PoCL 3.1 does not do: clones of kernels with local arguments (it reads beyond its
// arguments, clCloneKernel.c), parts of buffers in native kernels (it crashes), functions that it declares and nobody
// defines (it crashes), contexts and sub-devices, and the errors for features of OpenCL 3.0 that the vGPU does not have.
// Images, programs and shared virtual memory: strict_images.c, strict_programs.c, strict_svm.c.
#define CL_TARGET_OPENCL_VERSION 300
#include "api.h"

#include <stdlib.h>
#include <string.h>

static struct cl c;
static cl_int err;

static cl_int refused_context(const cl_context_properties *properties)
{
	CHECK(!clCreateContext(properties, 1, &c.device, NULL, NULL, &err));
	return err;
}

// PoCL takes any value, and a property twice.
static void wrong_properties_of_contexts(void)
{
	const cl_context_properties sync = CL_CONTEXT_INTEROP_USER_SYNC;
	const cl_context_properties neither[] = { sync, -1, 0 };
	const cl_context_properties twice[] = { sync, CL_FALSE, sync, CL_FALSE, 0 };
	const cl_context_properties unknown[] = { 0x1234, 0, 0 };

	CHECK_EQ(refused_context(neither), CL_INVALID_PROPERTY);
	CHECK_EQ(refused_context(twice), CL_INVALID_PROPERTY);
	CHECK_EQ(refused_context(unknown), CL_INVALID_PROPERTY);
}

static cl_int refused_parts(cl_uint units)
{
	const cl_device_partition_property each[] = { CL_DEVICE_PARTITION_EQUALLY, units, 0 };
	cl_device_id part;

	return clCreateSubDevices(c.device, each, 1, &part, NULL);
}

// The parts are smaller than the whole; PoCL makes one that is as large.
static void the_whole_device_is_no_part(void)
{
	cl_uint units;

	OK(clGetDeviceInfo(c.device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL));
	CHECK_EQ(refused_parts(units), CL_DEVICE_PARTITION_FAILED);
	CHECK_EQ(refused_parts(units + 1), CL_INVALID_DEVICE_PARTITION_COUNT);
}

// PoCL takes any device for any context.
static void a_context_has_its_devices(void)
{
	const cl_device_partition_property by_one[] = { CL_DEVICE_PARTITION_EQUALLY, 1, 0 };
	cl_device_id parts[64], got[64];
	cl_uint n = 0;
	size_t bytes;

	if (clCreateSubDevices(c.device, by_one, 64, parts, &n) != CL_SUCCESS) {
		printf("one compute unit: there is nothing to divide\n");
		return;
	}
	cl_context x = clCreateContext(NULL, n, parts, NULL, NULL, &err);
	OK(err);
	OK(clGetContextInfo(x, CL_CONTEXT_DEVICES, sizeof got, got, &bytes));
	CHECK(bytes == n * sizeof got[0] && !memcmp(got, parts, bytes));
	CHECK(!clCreateCommandQueue(x, c.device, 0, &err) && err == CL_INVALID_DEVICE);
	CHECK(!clCreateCommandQueue(c.context, parts[0], 0, &err) && err == CL_INVALID_DEVICE);
	const char *text = "kernel void k(void) { }";
	cl_program p = clCreateProgramWithSource(x, 1, &text, NULL, &err);
	OK(err);
	OK(clGetProgramInfo(p, CL_PROGRAM_DEVICES, sizeof got, got, &bytes));
	CHECK(bytes == n * sizeof got[0] && !memcmp(got, parts, bytes));
	CHECK_EQ(clBuildProgram(p, 1, &c.device, "", NULL, NULL), CL_INVALID_DEVICE);
	OK(clReleaseProgram(p));
	OK(clReleaseContext(x));
	for (cl_uint i = 0; i < n; i++)
		OK(clReleaseDevice(parts[i]));
}

// A command of the queue waits for the program, which is in a blocking transfer: that must not wait for
// the whole queue (PoCL does, for ever).
static void a_transfer_out_of_order_waits_for_its_own_events_only(void)
{
	const size_t bytes = 1 << 20;
	cl_command_queue q = clCreateCommandQueue(
		c.context, c.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err);
	OK(err);
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, bytes, NULL);
	cl_event go = clCreateUserEvent(c.context, &err);
	char *data = calloc(1, bytes);

	OK(err);
	CHECK(data);
	data[bytes - 1] = 42;
	OK(clEnqueueMarkerWithWaitList(q, 1, &go, NULL));
	OK(clEnqueueWriteBuffer(q, m, CL_TRUE, 0, bytes, data, 0, NULL, NULL));
	char *at = clEnqueueMapBuffer(q, m, CL_TRUE, CL_MAP_READ, 0, bytes, 0, NULL, NULL, &err);
	OK(err);
	CHECK_EQ(at[bytes - 1], 42);
	OK(clEnqueueUnmapMemObject(q, m, at, 0, NULL, NULL));
	OK(clSetUserEventStatus(go, CL_COMPLETE));
	OK(clFinish(q));
	free(data);
	OK(clReleaseEvent(go));
	OK(clReleaseMemObject(m));
	OK(clReleaseCommandQueue(q));
}

static cl_int build(const char *source, const char *options, cl_program *ret)
{
	*ret = cl_source(&c, source);
	return clBuildProgram(*ret, 0, NULL, options, NULL, NULL);
}

// A program that could not be built, for want of that function.
static void expect_failed(cl_program p)
{
	static char log[65536];
	cl_build_status status;

	OK(clGetProgramBuildInfo(p, c.device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL));
	CHECK(strstr(log, "length"));
	OK(clGetProgramBuildInfo(
		p, c.device, CL_PROGRAM_BUILD_STATUS, sizeof status, &status, NULL));
	CHECK_EQ(status, CL_BUILD_ERROR);
	CHECK(!clCreateKernel(p, "k", &err) && err == CL_INVALID_PROGRAM_EXECUTABLE);
}

static void undefined(const char *text)
{
	cl_program p = cl_source(&c, text);

	CHECK_EQ(clBuildProgram(p, 1, &c.device, "", NULL, NULL), CL_BUILD_PROGRAM_FAILURE);
	expect_failed(p);
	OK(clCompileProgram(p, 1, &c.device, "", 0, NULL, NULL, NULL, NULL));
	cl_program linked = clLinkProgram(c.context, 1, &c.device, "", 1, &p, NULL, NULL, &err);
	CHECK_EQ(err, CL_LINK_PROGRAM_FAILURE);
	CHECK(linked); // so that its log can be read
	expect_failed(linked);
	OK(clReleaseProgram(linked));
	OK(clReleaseProgram(p));
}

// PoCL's library knows the names of functions that it does not have, and its linker looks no further.
static void declaring_a_function_does_not_define_it(void)
{
	undefined("float __attribute__((overloadable)) length(float8);\n"
		  "kernel void k(global float *o) { o[0] = length((float8)(o[1])); }");
	cl_program p = cl_build(&c,
		"float __attribute__((overloadable)) length(float8 v) { return v.s7; }\n"
		"kernel void k(global float *o) { o[0] = length((float8)(o[1])); }");
	OK(clReleaseProgram(p));
}

// PoCL does not know the options of OpenCL 2.0 and 2.1 that promise something.
static void promises_are_taken(void)
{
	static const char source[] = "kernel void k(global int *o) { *o = V; }";
	cl_program p;

	OK(build(source, "-cl-uniform-work-group-size -DV=1 -cl-no-subgroup-ifp", &p));
	OK(clReleaseProgram(p));
	CHECK_EQ(build(source, "-DV=1 -cl-no-such-option", &p), CL_INVALID_BUILD_OPTIONS);
	OK(clReleaseProgram(p));
}

// PoCL 3.1 compiles OpenCL C 2.0, which it does not report; its variables would stay behind in a move.
static void only_reported_languages_compile(void)
{
	static const char source[] = "global int n; kernel void k(global int *o) { *o = n++; }";
	static const char plain[] = "kernel void k(global int *o) { *o = 1; }";
	cl_program p;

	CHECK_EQ(build(source, "-cl-std=CL2.0", &p), CL_INVALID_BUILD_OPTIONS);
	OK(clReleaseProgram(p));
	CHECK_EQ(build(source, "-DA=1 -cl-std=CLC++ -w", &p), CL_INVALID_BUILD_OPTIONS);
	CHECK_EQ(clCompileProgram(p, 0, NULL, "-cl-std=CL2.0", 0, NULL, NULL, NULL, NULL),
		CL_INVALID_COMPILER_OPTIONS);
	OK(clReleaseProgram(p));
	CHECK_EQ(build(source, "-cl-std=CL3.0", &p), CL_BUILD_PROGRAM_FAILURE);
	OK(clReleaseProgram(p));
	OK(build(plain, "-cl-std=CL1.1 -w", &p));
	OK(clReleaseProgram(p));
	OK(build(plain, "-cl-std=CL3.0", &p));
	OK(clReleaseProgram(p));
}

// PoCL gives a part of a buffer no address of its own, and runs what waits for a failed event.

struct native_args {
	cl_int *part;
	cl_int *whole;
	size_t n;
};

// What is written in the one is there in the other.
static void CL_CALLBACK write_both(void *p)
{
	struct native_args *a = p;

	for (size_t i = 0; i < a->n / 2; i++)
		a->part[i] = a->whole[i] + 2;
	a->whole[a->n - 1] += 2;
}

static void CL_CALLBACK never(void *unused)
{
	CHECK(unused == &err); // it is not
}

static void native_kernels_have_parts_and_waits(void)
{
	struct native_args a = { .n = 2048 };
	const void *places[] = { &a.part, &a.whole }, *beyond = (char *)&a + sizeof a - 7;
	const size_t bytes = a.n * sizeof(cl_int);
	const cl_int five = 5;
	cl_int got[2048];
	cl_mem whole = cl_buffer(&c, CL_MEM_READ_WRITE, bytes, NULL);
	cl_buffer_region half = { bytes / 2, bytes / 2 };
	cl_mem m[] = { clCreateSubBuffer(whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &half, &err),
		whole };
	cl_event user = clCreateUserEvent(c.context, NULL), e;

	OK(err);
	OK(clEnqueueFillBuffer(c.queue, whole, &five, sizeof five, 0, bytes, 0, NULL, NULL));
	OK(clEnqueueNativeKernel(c.queue, write_both, &a, sizeof a, 2, m, places, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, whole, CL_TRUE, 0, bytes, got, 0, NULL, NULL));
	for (size_t i = 0; i < a.n; i++)
		CHECK_EQ(got[i], i < a.n / 2 ? 5 : i < a.n - 1 ? 7 : 9);
	CHECK_EQ(clEnqueueNativeKernel(
			 c.queue, write_both, &a, sizeof a, 1, m, &beyond, 0, NULL, NULL),
		CL_INVALID_VALUE);
	OK(clEnqueueNativeKernel(c.queue, never, &a, sizeof a, 2, m, places, 1, &user, &e));
	OK(clSetUserEventStatus(user, -7));
	CHECK_EQ(clWaitForEvents(1, &e), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	OK(clReleaseEvent(e));
	OK(clReleaseEvent(user));
	OK(clReleaseMemObject(m[0]));
	OK(clReleaseMemObject(m[1]));
}

// PoCL 3.1 ends the process when it is asked for a queue on the device; its built-in kernels do not
// build.
static void no_device_queues_il_or_built_in_kernels(void)
{
	const cl_queue_properties on_device[] = { CL_QUEUE_PROPERTIES,
		CL_QUEUE_ON_DEVICE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, 0 };
	const cl_queue_properties sized[] = { CL_QUEUE_SIZE, 4096, 0 };
	cl_device_atomic_capabilities atomics = 0;
	char text[64];
	size_t n = 99;
	cl_program p;

	CHECK(!clCreateCommandQueueWithProperties(c.context, c.device, on_device, &err));
	CHECK_EQ(err, CL_INVALID_QUEUE_PROPERTIES);
	CHECK(!clCreateCommandQueueWithProperties(c.context, c.device, sized, &err));
	CHECK_EQ(err, CL_INVALID_QUEUE_PROPERTIES);
	CHECK(!clCreateProgramWithIL(c.context, "SPIR-V", 6, &err));
	CHECK_EQ(err, CL_INVALID_OPERATION);
	OK(build("kernel void k(global int *o) { *o = 1; }", "", &p));
	CHECK_EQ(clSetProgramSpecializationConstant(p, 0, 1, "x"), CL_INVALID_OPERATION);
	CHECK_EQ(clSetProgramReleaseCallback(p, NULL, NULL), CL_INVALID_OPERATION);
	OK(clReleaseProgram(p));
	OK(clGetDeviceInfo(c.device, CL_DEVICE_BUILT_IN_KERNELS, sizeof text, text, NULL));
	CHECK_STR(text, "");
	OK(clGetDeviceInfo(c.device, CL_DEVICE_BUILT_IN_KERNELS_WITH_VERSION, 0, NULL, &n));
	CHECK_EQ(n, 0);
	CHECK(!clCreateProgramWithBuiltInKernels(c.context, 1, &c.device, "pocl.add.i8", &err));
	CHECK_EQ(err, CL_INVALID_VALUE);
	// It has no feature macro for the scope of all devices, and yet reports the capability.
	OK(clGetDeviceInfo(
		c.device, CL_DEVICE_ATOMIC_MEMORY_CAPABILITIES, sizeof atomics, &atomics, NULL));
	CHECK(!(atomics & CL_DEVICE_ATOMIC_SCOPE_ALL_DEVICES));
	CHECK(atomics & CL_DEVICE_ATOMIC_SCOPE_WORK_GROUP);
}

static cl_int run_add(cl_kernel k, cl_mem m)
{
	const size_t one = 1;
	cl_int v = 0;

	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &one, NULL, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, sizeof v, &v, 0, NULL, NULL));
	return v;
}

static void a_clone_has_the_arguments_of_that_moment(void)
{
	cl_program p = cl_build(&c, "kernel void k(global int *o, int a, local int *l, int b)"
				    " { l[0] = a; *o = l[0] * 100 + b; }");
	cl_kernel k = cl_kernel_of(p, "k");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 4, NULL);
	cl_int a = 1, b = 2, five = 5, six = 6;
	const size_t one = 1;

	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clSetKernelArg(k, 1, sizeof a, &a));
	OK(clSetKernelArg(k, 2, 16, NULL));
	cl_kernel early = clCloneKernel(k, &err);
	OK(err);
	CHECK_EQ(clEnqueueNDRangeKernel(c.queue, early, 1, NULL, &one, NULL, 0, NULL, NULL),
		CL_INVALID_KERNEL_ARGS);
	OK(clSetKernelArg(k, 3, sizeof b, &b));
	CHECK_EQ(run_add(k, m), 102);
	cl_kernel late = clCloneKernel(k, &err);
	OK(err);
	OK(clSetKernelArg(k, 1, sizeof five, &five));
	CHECK_EQ(run_add(late, m), 102);
	OK(clSetKernelArg(late, 3, sizeof six, &six));
	CHECK_EQ(run_add(late, m), 106);
	CHECK_EQ(run_add(k, m), 502);
	OK(clSetKernelArg(early, 3, sizeof six, &six));
	OK(clReleaseKernel(k));
	CHECK_EQ(run_add(early, m), 106);
	CHECK(!clCloneKernel(NULL, &err) && err == CL_INVALID_KERNEL);
	OK(clReleaseKernel(early));
	OK(clReleaseKernel(late));
	OK(clReleaseProgram(p));
	OK(clReleaseMemObject(m));
}

static cl_program load(const unsigned char *bytes, size_t n)
{
	cl_int status = CL_SUCCESS;
	cl_program p =
		clCreateProgramWithBinary(c.context, 1, &c.device, &n, &bytes, &status, &err);

	CHECK_EQ(status, err);
	return p;
}

static void expect_invalid(const unsigned char *bytes, size_t n)
{
	cl_program p = load(bytes, n);

	CHECK_EQ(p ? clBuildProgram(p, 0, NULL, "", NULL, NULL) : err, CL_INVALID_BINARY);
	if (p)
		OK(clReleaseProgram(p));
}

// A program's cache of binaries may lie on a disk that was full. PoCL 3.1 ends the process that builds them.
static void damaged_binaries_are_refused(void)
{
	cl_program p = cl_build(&c, "kernel void k(global int *o) { *o = 31; }");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 4, NULL);
	size_t n = 0;

	OK(clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL));
	unsigned char *bytes = malloc(n);
	OK(clGetProgramInfo(p, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL));
	OK(clReleaseProgram(p));
	expect_invalid(bytes, n / 2);
	expect_invalid(bytes, n - 1);
	expect_invalid(bytes, 1);
	for (size_t at = 0; at < n; at += n / 64) {
		bytes[at] ^= 0x10;
		expect_invalid(bytes, n);
		bytes[at] ^= 0x10;
	}
	p = load(bytes, n);
	OK(err);
	OK(clBuildProgram(p, 0, NULL, "", NULL, NULL));
	cl_kernel k = cl_kernel_of(p, "k");
	OK(clSetKernelArg(k, 0, sizeof m, &m));
	CHECK_EQ(run_add(k, m), 31);
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
	OK(clReleaseMemObject(m));
	free(bytes);
}

int main(void)
{
	c = cl_setup();
	RUN(wrong_properties_of_contexts);
	RUN(the_whole_device_is_no_part);
	RUN(a_context_has_its_devices);
	RUN(a_transfer_out_of_order_waits_for_its_own_events_only);
	RUN(declaring_a_function_does_not_define_it);
	RUN(promises_are_taken);
	RUN(only_reported_languages_compile);
	RUN(native_kernels_have_parts_and_waits);
	RUN(no_device_queues_il_or_built_in_kernels);
	RUN(a_clone_has_the_arguments_of_that_moment);
	RUN(damaged_binaries_are_refused);
	cl_teardown(&c);
}
