// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 4 and 5.1: what can be asked about platform, device, context and queue.
#include "api.h"

static struct cl c;

static void the_platform_names_itself(void)
{
	char text[4096];
	size_t n;

	OK(clGetPlatformInfo(c.platform, CL_PLATFORM_VERSION, sizeof text, text, &n));
	CHECK(!strncmp(text, "OpenCL ", 7) && n == strlen(text) + 1);
	OK(clGetPlatformInfo(c.platform, CL_PLATFORM_PROFILE, sizeof text, text, NULL));
	CHECK_STR(text, "FULL_PROFILE");
	CHECK_EQ(clGetPlatformInfo(c.platform, CL_PLATFORM_NAME, 1, text, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clGetPlatformInfo(c.platform, 0x1234, sizeof text, text, NULL), CL_INVALID_VALUE);
}

static void the_device_has_what_1_2_demands(void)
{
	cl_uint dims, units;
	size_t sizes[3], group;
	cl_ulong memory, alloc, local;
	cl_bool yes;

	OK(clGetDeviceInfo(c.device, CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS, sizeof dims, &dims, NULL));
	CHECK_EQ(dims, 3);
	OK(clGetDeviceInfo(c.device, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof sizes, sizes, NULL));
	OK(clGetDeviceInfo(c.device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL));
	CHECK(group >= 1 && sizes[0] >= 1);
	OK(clGetDeviceInfo(c.device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL));
	CHECK(units >= 1);
	OK(clGetDeviceInfo(c.device, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory, &memory, NULL));
	OK(clGetDeviceInfo(c.device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof alloc, &alloc, NULL));
	OK(clGetDeviceInfo(c.device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL));
	CHECK(alloc >= memory / 4 && alloc <= memory && local >= 32768);
	OK(clGetDeviceInfo(c.device, CL_DEVICE_AVAILABLE, sizeof yes, &yes, NULL));
	CHECK(yes);
}

static void the_device_belongs_to_the_platform(void)
{
	cl_platform_id p;
	cl_device_id parent = c.device;
	cl_uint n = 99;

	OK(clGetDeviceInfo(c.device, CL_DEVICE_PLATFORM, sizeof p, &p, NULL));
	CHECK(p == c.platform);
	OK(clGetDeviceInfo(c.device, CL_DEVICE_PARENT_DEVICE, sizeof parent, &parent, NULL));
	CHECK(!parent);
	OK(clGetDeviceIDs(c.platform, CL_DEVICE_TYPE_DEFAULT, 0, NULL, &n));
	CHECK_EQ(n, 1);
	CHECK(clGetDeviceIDs(c.platform, 0, 0, NULL, &n) < 0);
	CHECK_EQ(clGetDeviceIDs(c.platform, CL_DEVICE_TYPE_ALL, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clGetDeviceIDs(c.platform, CL_DEVICE_TYPE_ACCELERATOR, 0, NULL, &n),
		CL_DEVICE_NOT_FOUND);
}

static void a_context_counts_its_references(void)
{
	cl_uint n;
	cl_device_id d;

	OK(clGetContextInfo(c.context, CL_CONTEXT_NUM_DEVICES, sizeof n, &n, NULL));
	CHECK_EQ(n, 1);
	OK(clGetContextInfo(c.context, CL_CONTEXT_DEVICES, sizeof d, &d, NULL));
	CHECK(d == c.device);
	OK(clRetainContext(c.context));
	OK(clReleaseContext(c.context));
	CHECK_EQ(clGetContextInfo(c.context, 0x1234, sizeof n, &n, NULL), CL_INVALID_VALUE);
}

static void a_context_remembers_its_properties(void)
{
	cl_context_properties props[] = { CL_CONTEXT_PLATFORM, (cl_context_properties)c.platform,
		0 };
	cl_context_properties got[8] = { 0 };
	size_t n;
	cl_int err;
	cl_context x = clCreateContext(props, 1, &c.device, NULL, NULL, &err);

	OK(err);
	OK(clGetContextInfo(x, CL_CONTEXT_PROPERTIES, sizeof got, got, &n));
	CHECK(n == sizeof props && got[1] == (cl_context_properties)c.platform);
	OK(clReleaseContext(x));
}

static void a_queue_knows_its_context(void)
{
	cl_context x;
	cl_device_id d;
	cl_command_queue_properties p;

	OK(clGetCommandQueueInfo(c.queue, CL_QUEUE_CONTEXT, sizeof x, &x, NULL));
	OK(clGetCommandQueueInfo(c.queue, CL_QUEUE_DEVICE, sizeof d, &d, NULL));
	OK(clGetCommandQueueInfo(c.queue, CL_QUEUE_PROPERTIES, sizeof p, &p, NULL));
	CHECK(x == c.context && d == c.device && p == CL_QUEUE_PROFILING_ENABLE);
}

int main(void)
{
	c = cl_setup();
	RUN(the_platform_names_itself);
	RUN(the_device_has_what_1_2_demands);
	RUN(the_device_belongs_to_the_platform);
	RUN(a_context_counts_its_references);
	RUN(a_context_remembers_its_properties);
	RUN(a_queue_knows_its_context);
	cl_teardown(&c);
}
