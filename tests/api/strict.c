// SPDX-License-Identifier: Apache-2.0
// What the specification says and PoCL 3.1 does not do: 1D buffer images in kernels and queries of them there (it crashes),
// errors for functions that it declares and nobody defines (it crashes), clones of kernels with local arguments (it reads
// beyond its arguments, clCloneKernel.c), the errors that it does not return for misuse of images and samplers, parts of
// buffers in native kernels (it crashes), and those for features of OpenCL 3.0 that the vGPU does not have.
#define CL_TARGET_OPENCL_VERSION 300
#include "api.h"

#include <stdlib.h>

static struct cl c;
static cl_int err;
static const cl_image_format rgba8 = { CL_RGBA, CL_UNSIGNED_INT8 };
static const size_t zero[3];

static cl_int refused(
	cl_mem_flags flags, const cl_image_format *f, const cl_image_desc *d, void *ptr)
{
	CHECK(!clCreateImage(c.context, flags, f, d, ptr, &err));
	return err;
}

static cl_int refused_desc(const cl_image_desc *d)
{
	return refused(0, &rgba8, d, NULL);
}

static void wrong_shapes(void)
{
	const cl_mem_object_type t = CL_MEM_OBJECT_IMAGE2D;
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 64, NULL);
	static uint32_t host[64];

	CHECK_EQ(refused_desc(&(cl_image_desc){ .image_type = 1 }), CL_INVALID_IMAGE_DESCRIPTOR);
	CHECK_EQ(refused_desc(&(cl_image_desc){ .image_type = t, .image_width = 4 }),
		CL_INVALID_IMAGE_DESCRIPTOR);
	CHECK_EQ(refused_desc(&(cl_image_desc){
			 .image_type = t, .image_width = 1 << 20, .image_height = 1 }),
		CL_INVALID_IMAGE_SIZE);
	CHECK_EQ(refused_desc(&(cl_image_desc){ .image_type = CL_MEM_OBJECT_IMAGE2D_ARRAY,
			 .image_width = 4,
			 .image_height = 4,
			 .image_array_size = 1 << 20 }),
		CL_INVALID_IMAGE_SIZE);
	CHECK_EQ(refused_desc(&(cl_image_desc){ .image_type = t,
			 .image_width = 4,
			 .image_height = 4,
			 .num_mip_levels = 1 }),
		CL_INVALID_IMAGE_DESCRIPTOR);
	CHECK_EQ(refused_desc(&(cl_image_desc){ .image_type = t,
			 .image_width = 4,
			 .image_height = 4,
			 .image_row_pitch = 16 }),
		CL_INVALID_IMAGE_DESCRIPTOR);
	CHECK_EQ(refused_desc(&(cl_image_desc){
			 .image_type = t, .image_width = 4, .image_height = 4, .buffer = m }),
		CL_INVALID_OPERATION);
	cl_image_desc desc = { .image_type = t, .image_width = 4, .image_height = 4 };
	for (size_t pitch = 12; pitch <= 18; pitch += 6) {
		desc.image_row_pitch = pitch;
		CHECK_EQ(refused(CL_MEM_COPY_HOST_PTR, &rgba8, &desc, host),
			CL_INVALID_IMAGE_DESCRIPTOR);
	}
	OK(clReleaseMemObject(m));
}

static void wrong_formats_and_flags(void)
{
	cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 4, .image_height = 4
	};
	static uint32_t host[16];

	CHECK_EQ(refused(0, &(cl_image_format){ CL_RGBA, 1 }, &desc, NULL),
		CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
	CHECK_EQ(refused(0, &(cl_image_format){ CL_RGBA, CL_UNORM_SHORT_565 }, &desc, NULL),
		CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
	CHECK_EQ(refused(0, &(cl_image_format){ CL_BGRA, CL_FLOAT }, &desc, NULL),
		CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
	CHECK_EQ(refused(0, &(cl_image_format){ CL_RGB, CL_UNORM_SHORT_565 }, &desc, NULL),
		CL_IMAGE_FORMAT_NOT_SUPPORTED);
	CHECK_EQ(refused(0, &rgba8, &desc, host), CL_INVALID_HOST_PTR);
	CHECK_EQ(refused(CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, &rgba8, &desc, NULL),
		CL_INVALID_VALUE);
	CHECK(!clCreateImage2D(c.context, 0, &rgba8, 0, 4, 0, NULL, &err) &&
		err == CL_INVALID_IMAGE_SIZE);
	CHECK(!clCreateSampler(c.context, CL_TRUE, 1, CL_FILTER_LINEAR, &err) &&
		err == CL_INVALID_VALUE);
	CHECK(!clCreateSampler(c.context, CL_TRUE, CL_ADDRESS_CLAMP, 1, &err) &&
		err == CL_INVALID_VALUE);
}

static void wrong_arguments(void)
{
	cl_program p = cl_build(&c,
		"kernel void k(read_only image2d_t a, write_only image2d_t b, sampler_t s,"
		" global int *o) { *o = 1; }");
	cl_kernel k = cl_kernel_of(p, "k");
	cl_image_desc flat = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 4, .image_height = 4
	};
	cl_image_desc deep = { .image_type = CL_MEM_OBJECT_IMAGE3D,
		.image_width = 4,
		.image_height = 4,
		.image_depth = 4 };
	cl_mem ro = clCreateImage(c.context, CL_MEM_READ_ONLY, &rgba8, &flat, NULL, &err);
	cl_mem wo = clCreateImage(c.context, CL_MEM_WRITE_ONLY, &rgba8, &flat, NULL, &err);
	cl_mem cube = clCreateImage(c.context, 0, &rgba8, &deep, NULL, &err);
	cl_mem buffer = cl_buffer(&c, CL_MEM_READ_WRITE, 64, NULL), none = NULL;
	char host[64];
	cl_buffer_region part = { 0, 16 };

	CHECK_EQ(clSetKernelArg(k, 0, sizeof wo, &wo), CL_INVALID_ARG_VALUE);
	CHECK_EQ(clSetKernelArg(k, 1, sizeof ro, &ro), CL_INVALID_ARG_VALUE);
	CHECK_EQ(clSetKernelArg(k, 0, sizeof cube, &cube), CL_INVALID_ARG_VALUE);
	CHECK_EQ(clSetKernelArg(k, 0, sizeof buffer, &buffer), CL_INVALID_MEM_OBJECT);
	CHECK_EQ(clSetKernelArg(k, 0, sizeof none, &none), CL_INVALID_MEM_OBJECT);
	CHECK_EQ(clSetKernelArg(k, 2, sizeof ro, &ro), CL_INVALID_SAMPLER);
	CHECK_EQ(clSetKernelArg(k, 2, sizeof(cl_sampler), NULL), CL_INVALID_SAMPLER);
	CHECK_EQ(clSetKernelArg(k, 2, 4, &ro), CL_INVALID_ARG_SIZE);
	CHECK_EQ(clSetKernelArg(k, 3, sizeof ro, &ro), CL_INVALID_ARG_VALUE);
	CHECK_EQ(clGetImageInfo(buffer, CL_IMAGE_WIDTH, 64, host, NULL), CL_INVALID_MEM_OBJECT);
	CHECK_EQ(clEnqueueReadBuffer(c.queue, ro, 1, 0, 4, host, 0, NULL, NULL),
		CL_INVALID_MEM_OBJECT);
	CHECK(!clCreateSubBuffer(ro, 0, CL_BUFFER_CREATE_TYPE_REGION, &part, &err) &&
		err == CL_INVALID_MEM_OBJECT);
	OK(clReleaseMemObject(ro));
	OK(clReleaseMemObject(wo));
	OK(clReleaseMemObject(cube));
	OK(clReleaseMemObject(buffer));
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
}

static void wrong_commands(void)
{
	cl_image_desc desc = { .image_type = CL_MEM_OBJECT_IMAGE3D,
		.image_width = 4,
		.image_height = 4,
		.image_depth = 4 };
	cl_mem m = clCreateImage(c.context, CL_MEM_HOST_READ_ONLY, &rgba8, &desc, NULL, &err);
	size_t region[] = { 2, 2, 2 }, one[] = { 1, 1, 1 }, none[] = { 0, 1, 1 }, row, slice;
	uint32_t host[64] = { 0 };

	OK(err);
	CHECK_EQ(clEnqueueWriteImage(c.queue, m, 1, zero, region, 0, 0, host, 0, NULL, NULL),
		CL_INVALID_OPERATION);
	CHECK_EQ(clEnqueueReadImage(c.queue, m, 1, zero, none, 0, 0, host, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueReadImage(c.queue, m, 1, zero, region, 4, 0, host, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueCopyImage(c.queue, m, m, zero, one, region, 0, NULL, NULL),
		CL_MEM_COPY_OVERLAP);
	CHECK_EQ(clEnqueueFillImage(c.queue, m, NULL, zero, region, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK(!clEnqueueMapImage(c.queue, m, 1, CL_MAP_READ, zero, region, NULL, &slice, 0, NULL,
		      NULL, &err) &&
		err == CL_INVALID_VALUE);
	CHECK(!clEnqueueMapImage(
		      c.queue, m, 1, CL_MAP_READ, zero, region, &row, NULL, 0, NULL, NULL, &err) &&
		err == CL_INVALID_VALUE);
	CHECK(!clEnqueueMapImage(c.queue, m, 1, CL_MAP_WRITE, zero, region, &row, &slice, 0, NULL,
		      NULL, &err) &&
		err == CL_INVALID_OPERATION);
	OK(clReleaseMemObject(m));
}

#define N 1000

static void a_buffer_is_an_image(void)
{
	cl_program p = cl_build(&c,
		"kernel void advance(read_only image1d_buffer_t a, write_only image1d_buffer_t b)\n"
		"{ int i = get_global_id(0); uint4 v = read_imageui(a, i);\n"
		"  write_imageui(b, i, v + (uint4)(1, 1, 0, 2)); }");
	cl_kernel k = cl_kernel_of(p, "advance");
	uint8_t bytes[N * 4] = { 0 };
	cl_mem buffer = cl_buffer(&c, CL_MEM_COPY_HOST_PTR, sizeof bytes, bytes), back;
	cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE1D_BUFFER, .image_width = N, .buffer = buffer
	};
	size_t n = N, region[] = { N, 1, 1 };
	cl_mem m = clCreateImage(c.context, CL_MEM_READ_WRITE, &rgba8, &desc, NULL, &err);

	OK(err);
	desc.image_width = N + 1;
	CHECK_EQ(refused_desc(&desc), CL_INVALID_IMAGE_SIZE);
	// The specification has no pitch for it, the conformance suite gives one.
	desc.image_width = N;
	desc.image_row_pitch = sizeof bytes;
	OK(clReleaseMemObject(
		clCreateImage(c.context, CL_MEM_READ_WRITE, &rgba8, &desc, NULL, &err)));
	OK(err);
	desc.image_row_pitch = sizeof bytes - 4;
	CHECK_EQ(refused_desc(&desc), CL_INVALID_IMAGE_DESCRIPTOR);
	desc.image_row_pitch = sizeof bytes + 4;
	CHECK_EQ(refused_desc(&desc), CL_INVALID_IMAGE_DESCRIPTOR);
	OK(clGetImageInfo(m, CL_IMAGE_BUFFER, sizeof back, &back, NULL));
	CHECK(back == buffer);
	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clSetKernelArg(k, 1, sizeof m, &m));
	for (int i = 0; i < 3; i++)
		OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &n, NULL, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, buffer, CL_TRUE, 0, sizeof bytes, bytes, 0, NULL, NULL));
	for (int i = 0; i < N; i++)
		CHECK(bytes[4 * i] == 3 && bytes[4 * i + 1] == 3 && bytes[4 * i + 3] == 6);
	OK(clReleaseMemObject(buffer)); // the image keeps it
	memset(bytes, 0, sizeof bytes);
	OK(clEnqueueReadImage(c.queue, m, CL_TRUE, zero, region, 0, 0, bytes, 0, NULL, NULL));
	CHECK_EQ(bytes[4 * N - 1], 6);
	OK(clReleaseMemObject(m));
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
}

// Width, channel order and data type, as a kernel sees them.
static void check_queries(const char *options, const char *access)
{
	char text[640];
	cl_program p;
	cl_int got[3] = { 0 };
	cl_mem buffer = cl_buffer(&c, CL_MEM_READ_WRITE, N * 4, NULL);
	cl_mem o = cl_buffer(&c, CL_MEM_READ_WRITE, sizeof got, NULL);
	cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE1D_BUFFER, .image_width = N, .buffer = buffer
	};
	cl_mem m = clCreateImage(c.context, CL_MEM_READ_WRITE, &rgba8, &desc, NULL, &err);
	const size_t one = 1;

	OK(err);
	snprintf(text, sizeof text,
		"kernel void k(global int *o, %s image1d_buffer_t i) { o[0] = get_image_width(i);"
		" o[1] = get_image_channel_order(i); o[2] = get_image_channel_data_type(i); }",
		access);
	p = clCreateProgramWithSource(c.context, 1, (const char *[]){ text }, NULL, &err);
	OK(err);
	OK(clBuildProgram(p, 1, &c.device, options, NULL, NULL));
	cl_kernel k = cl_kernel_of(p, "k");
	OK(clSetKernelArg(k, 0, sizeof o, &o));
	OK(clSetKernelArg(k, 1, sizeof m, &m));
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &one, NULL, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, o, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL));
	CHECK(got[0] == N && got[1] == CL_RGBA && got[2] == CL_UNSIGNED_INT8);
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(o));
	OK(clReleaseMemObject(buffer));
}

static void kernels_ask_about_buffer_images(void)
{
	check_queries("", "read_only");
	check_queries("-Werror -cl-std=CL1.2", "write_only");
	check_queries("-cl-std=CL3.0", "read_only");
	check_queries("-cl-std=CL3.0", "read_write");
}

// What is put before such a program does not show: its lines keep their numbers, and two of its parts
// can name the type.
static void programs_with_buffer_images_are_as_they_were(void)
{
	const char *texts[] = {
		"int width(read_only image1d_buffer_t i) { return get_image_width(i); }\n",
		"#include \"width.h\"\nkernel void k(global int *o, read_only image1d_buffer_t i)\n"
		"{ o[0] = width(i); o[1] = __LINE__; nowhere_like_it; }\n"
	};
	const char *name = "width.h";
	static char log[65536];
	cl_program p[2];

	for (int i = 0; i < 2; i++) {
		p[i] = clCreateProgramWithSource(c.context, 1, &texts[i], NULL, &err);
		OK(err);
	}
	CHECK_EQ(clCompileProgram(p[1], 1, &c.device, "", 1, p, &name, NULL, NULL),
		CL_COMPILE_PROGRAM_FAILURE);
	OK(clGetProgramBuildInfo(p[1], c.device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL));
	CHECK(strstr(log, ":3:") && strstr(log, "nowhere_like_it"));
	for (int i = 0; i < 2; i++)
		OK(clReleaseProgram(p[i]));
}

static void undefined(const char *text)
{
	cl_program p = clCreateProgramWithSource(c.context, 1, &text, NULL, &err);
	static char log[65536];
	cl_build_status status;

	OK(err);
	CHECK_EQ(clBuildProgram(p, 1, &c.device, "", NULL, NULL), CL_BUILD_PROGRAM_FAILURE);
	OK(clGetProgramBuildInfo(p, c.device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL));
	CHECK(strstr(log, "length"));
	OK(clGetProgramBuildInfo(
		p, c.device, CL_PROGRAM_BUILD_STATUS, sizeof status, &status, NULL));
	CHECK_EQ(status, CL_BUILD_ERROR);
	CHECK(!clCreateKernel(p, "k", &err) && err == CL_INVALID_PROGRAM_EXECUTABLE);
	OK(clCompileProgram(p, 1, &c.device, "", 0, NULL, NULL, NULL, NULL));
	cl_program linked = clLinkProgram(c.context, 1, &c.device, "", 1, &p, NULL, NULL, &err);
	CHECK_EQ(err, CL_LINK_PROGRAM_FAILURE);
	if (linked)
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

// Linked programs and binaries tell images and samplers from eight bytes, too.
static void linked_kernels_take_images(void)
{
	const char *text = "kernel void k(read_only image2d_t a, sampler_t s, global uint4 *o)"
			   " { *o = read_imageui(a, s, (int2)(1, 2)); }";
	cl_program part = clCreateProgramWithSource(c.context, 1, &text, NULL, &err);
	uint32_t pixels[16], got[4];
	cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 4, .image_height = 4
	};

	OK(clCompileProgram(part, 1, &c.device, "", 0, NULL, NULL, NULL, NULL));
	cl_program p = clLinkProgram(c.context, 1, &c.device, "", 1, &part, NULL, NULL, &err);
	OK(err);
	for (uint32_t i = 0; i < 16; i++)
		pixels[i] = i * 0x01020304;
	cl_mem m = clCreateImage(c.context, CL_MEM_COPY_HOST_PTR, &rgba8, &desc, pixels, &err);
	OK(err);
	cl_sampler s =
		clCreateSampler(c.context, CL_FALSE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST, &err);
	OK(err);
	cl_mem o = cl_buffer(&c, CL_MEM_READ_WRITE, sizeof got, NULL);
	cl_kernel k = cl_kernel_of(p, "k");
	uint64_t number = 12345;
	size_t one = 1;
	CHECK_EQ(clSetKernelArg(k, 0, sizeof number, &number), CL_INVALID_MEM_OBJECT);
	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clSetKernelArg(k, 1, sizeof s, &s));
	OK(clSetKernelArg(k, 2, sizeof o, &o));
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &one, NULL, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, o, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL));
	CHECK(got[0] == 36 && got[1] == 27 && got[2] == 18 && got[3] == 9);
	OK(clReleaseKernel(k));
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(o));
	OK(clReleaseSampler(s));
	OK(clReleaseProgram(p));
	OK(clReleaseProgram(part));
}

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
	*ret = clCreateProgramWithSource(c.context, 1, &source, NULL, &err);
	OK(err);
	return clBuildProgram(*ret, 0, NULL, options, NULL, NULL);
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

// PoCL 3.1 checks little of it, and has more of it than a vGPU can.
static void shared_virtual_memory_is_coarse_grained(void)
{
	cl_device_svm_capabilities can = 0;

	OK(clGetDeviceInfo(c.device, CL_DEVICE_SVM_CAPABILITIES, sizeof can, &can, NULL));
	CHECK_EQ(can, CL_DEVICE_SVM_COARSE_GRAIN_BUFFER);
	CHECK(!clSVMAlloc(c.context, CL_MEM_ALLOC_HOST_PTR, 64, 0));
	CHECK(!clSVMAlloc(c.context, CL_MEM_SVM_FINE_GRAIN_BUFFER, 64, 0));
	CHECK(!clSVMAlloc(c.context, CL_MEM_SVM_FINE_GRAIN_BUFFER | CL_MEM_SVM_ATOMICS, 64, 0));
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

	OK(build("kernel void k(global int *o, int v, local int *l) { *o = v; }", "", &p));
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
	RUN(wrong_shapes);
	RUN(wrong_formats_and_flags);
	RUN(wrong_arguments);
	RUN(wrong_commands);
	RUN(a_buffer_is_an_image);
	RUN(kernels_ask_about_buffer_images);
	RUN(programs_with_buffer_images_are_as_they_were);
	RUN(declaring_a_function_does_not_define_it);
	RUN(linked_kernels_take_images);
	RUN(wrong_properties_of_contexts);
	RUN(the_whole_device_is_no_part);
	RUN(a_context_has_its_devices);
	RUN(a_transfer_out_of_order_waits_for_its_own_events_only);
	RUN(promises_are_taken);
	RUN(only_reported_languages_compile);
	RUN(a_clone_has_the_arguments_of_that_moment);
	RUN(native_kernels_have_parts_and_waits);
	RUN(shared_virtual_memory_is_coarse_grained);
	RUN(only_shared_virtual_memory_is_taken_for_it);
	RUN(kernels_take_only_shared_virtual_memory);
	RUN(freeing_that_fails_frees_nothing);
	RUN(no_device_queues_il_or_built_in_kernels);
	RUN(damaged_binaries_are_refused);
	cl_teardown(&c);
}
