// SPDX-License-Identifier: Apache-2.0
// Images as the specification has them and PoCL 3.1 does not: 1D buffer images in kernels and queries of them there (it
// crashes), errors for misuse of images and samplers.
#include "api.h"

#include <stdlib.h>
#include <string.h>

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
	RUN(linked_kernels_take_images);
	cl_teardown(&c);
}
