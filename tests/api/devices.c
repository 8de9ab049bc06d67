// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 4.3: sub-devices, and contexts and queues on them.
#include "api.h"

#include <stdlib.h>

#define N 4096

static struct cl c;
static cl_int err;
static cl_uint units;

static const cl_device_partition_property by_one[] = { CL_DEVICE_PARTITION_EQUALLY, 1, 0 };

static cl_uint number(cl_device_id d, cl_device_info param)
{
	cl_uint v = 0;

	OK(clGetDeviceInfo(d, param, sizeof v, &v, NULL));
	return v;
}

static cl_uint divide(const cl_device_partition_property *how, cl_device_id **ret)
{
	cl_uint n = 0, again = 0;

	OK(clCreateSubDevices(c.device, how, 0, NULL, &n));
	*ret = calloc(n, sizeof **ret);
	OK(clCreateSubDevices(c.device, how, n, *ret, &again));
	CHECK_EQ(n, again);
	return n;
}

static void let_go(cl_device_id *parts, cl_uint n)
{
	for (cl_uint i = 0; i < n; i++)
		OK(clReleaseDevice(parts[i]));
	free(parts);
}

static void equal_parts_know_what_they_are(void)
{
	cl_device_id *parts, parent;
	cl_uint n = divide(by_one, &parts);
	cl_device_partition_property type[8];
	char name[256], whole[256];
	size_t bytes;

	CHECK_EQ(n, units);
	for (cl_uint i = 0; i < n; i++) {
		CHECK_EQ(number(parts[i], CL_DEVICE_MAX_COMPUTE_UNITS), 1);
		CHECK_EQ(number(parts[i], CL_DEVICE_REFERENCE_COUNT), 1);
		CHECK_EQ(number(parts[i], CL_DEVICE_PARTITION_MAX_SUB_DEVICES), 0);
		OK(clGetDeviceInfo(
			parts[i], CL_DEVICE_PARENT_DEVICE, sizeof parent, &parent, NULL));
		CHECK(parent == c.device);
		OK(clGetDeviceInfo(parts[i], CL_DEVICE_PARTITION_TYPE, sizeof type, type, &bytes));
		CHECK(bytes == sizeof by_one && !memcmp(type, by_one, bytes));
		OK(clGetDeviceInfo(parts[i], CL_DEVICE_NAME, sizeof name, name, NULL));
		OK(clGetDeviceInfo(c.device, CL_DEVICE_NAME, sizeof whole, whole, NULL));
		CHECK_STR(name, whole);
	}
	OK(clRetainDevice(parts[0]));
	CHECK_EQ(number(parts[0], CL_DEVICE_REFERENCE_COUNT), 2);
	OK(clReleaseDevice(parts[0]));
	OK(clRetainDevice(c.device)); // root devices are not counted
	OK(clReleaseDevice(c.device));
	CHECK_EQ(number(c.device, CL_DEVICE_REFERENCE_COUNT), 1);
	let_go(parts, n);
}

static void counts_are_kept(void)
{
	cl_device_partition_property how[] = { CL_DEVICE_PARTITION_BY_COUNTS, 1, units - 1,
		CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0 };
	cl_device_id *parts;
	cl_uint n = divide(how, &parts);

	CHECK_EQ(n, 2);
	CHECK_EQ(number(parts[0], CL_DEVICE_MAX_COMPUTE_UNITS), 1);
	CHECK_EQ(number(parts[1], CL_DEVICE_MAX_COMPUTE_UNITS), units - 1);
	let_go(parts, n);
}

// A context of two parts: a queue on each, one program for both.
static void parts_compute(void)
{
	static const char source[] = "kernel void k(global int *a, int k)"
				     "{ a[get_global_id(0)] = get_global_id(0) * k; }";
	const char *text = source;
	cl_device_id *parts, got[2];
	cl_uint n = divide(by_one, &parts), listed = 0;
	cl_context x = clCreateContext(NULL, 2, parts, NULL, NULL, &err);
	size_t global = N;
	static int out[N];

	OK(err);
	cl_program p = clCreateProgramWithSource(x, 1, &text, NULL, &err);
	OK(err);
	OK(clBuildProgram(p, 0, NULL, "", NULL, NULL));
	cl_kernel k = cl_kernel_of(p, "k");
	for (int i = 0; i < 2; i++) {
		cl_command_queue q = clCreateCommandQueue(x, parts[i], 0, &err);
		OK(err);
		cl_mem m = clCreateBuffer(x, CL_MEM_READ_WRITE, sizeof out, NULL, &err);
		OK(err);
		int factor = i + 3;
		OK(clGetCommandQueueInfo(q, CL_QUEUE_DEVICE, sizeof got[0], got, NULL));
		CHECK(got[0] == parts[i]);
		OK(clSetKernelArg(k, 0, sizeof m, &m));
		OK(clSetKernelArg(k, 1, sizeof factor, &factor));
		OK(clEnqueueNDRangeKernel(q, k, 1, NULL, &global, NULL, 0, NULL, NULL));
		OK(clEnqueueReadBuffer(q, m, CL_TRUE, 0, sizeof out, out, 0, NULL, NULL));
		for (int j = 0; j < N; j++)
			CHECK_EQ(out[j], j * factor);
		OK(clReleaseMemObject(m));
		OK(clReleaseCommandQueue(q));
	}
	OK(clGetProgramInfo(p, CL_PROGRAM_NUM_DEVICES, sizeof listed, &listed, NULL));
	CHECK(listed >= 1); // PoCL 3.1 names the one whole device
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
	let_go(parts, n); // the context keeps them
	OK(clReleaseContext(x));
}

static cl_int refused(const cl_device_partition_property *how)
{
	cl_device_id parts[8];

	return clCreateSubDevices(c.device, how, 8, parts, NULL);
}

static void misuse_is_refused(void)
{
	cl_device_partition_property none[] = { CL_DEVICE_PARTITION_EQUALLY, 0, 0 };
	cl_device_partition_property much[] = { CL_DEVICE_PARTITION_EQUALLY, units + 1, 0 };
	cl_device_partition_property more[] = { CL_DEVICE_PARTITION_BY_COUNTS, units, 1, 0, 0 };
	cl_device_partition_property odd[] = { 0x7777, 1, 0 };
	cl_device_id *parts, one[1];
	cl_uint n = divide(by_one, &parts);

	CHECK_EQ(refused(NULL), CL_INVALID_VALUE);
	CHECK_EQ(refused(none), CL_INVALID_VALUE);
	CHECK(refused(much) < 0);
	CHECK_EQ(refused(odd), CL_INVALID_VALUE);
	CHECK_EQ(refused(more), CL_INVALID_DEVICE_PARTITION_COUNT);
	CHECK_EQ(clCreateSubDevices(NULL, by_one, 0, NULL, &n), CL_INVALID_DEVICE);
	CHECK_EQ(clCreateSubDevices(c.device, by_one, 1, one, NULL), CL_INVALID_VALUE);
	CHECK(clCreateSubDevices(parts[0], by_one, 1, one, NULL) < 0);
	CHECK_EQ(clReleaseDevice(NULL), CL_INVALID_DEVICE);
	let_go(parts, n);
}

int main(void)
{
	c = cl_setup();
	units = number(c.device, CL_DEVICE_MAX_COMPUTE_UNITS);
	if (number(c.device, CL_DEVICE_PARTITION_MAX_SUB_DEVICES) < 2) {
		printf("the device cannot be divided\n");
		return 77;
	}
	RUN(equal_parts_know_what_they_are);
	RUN(counts_are_kept);
	RUN(parts_compute);
	RUN(misuse_is_refused);
	cl_teardown(&c);
}
