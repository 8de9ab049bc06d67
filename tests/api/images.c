// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 5.3, 5.5 and 6.12.14: images of every type and samplers.
#include "api.h"

#include <stdbool.h>

#define W 61 // odd, so that no row ends where something is aligned
#define H 37
#define D 5

static struct cl c;
static cl_int err;
static const cl_image_format rgba8 = { CL_RGBA, CL_UNSIGNED_INT8 };
static const size_t zero[3];
static uint32_t in[W * H * D], out[W * H * D];

static const char source[] =
	"__constant sampler_t inside = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_CLAMP |"
	" CLK_FILTER_NEAREST;\n"
	"kernel void invert(read_only image2d_t from, write_only image2d_t to)\n"
	"{ int2 p = (int2)(get_global_id(0), get_global_id(1));\n"
	"  write_imageui(to, p, 255 - read_imageui(from, inside, p)); }\n"
	"kernel void sample(read_only image2d_t from, sampler_t s, global float4 *to)\n"
	"{ int x = get_global_id(0), y = get_global_id(1);\n"
	"  float2 p = (float2)((x + 0.25f) / 8.0f - 0.5f, (y + 0.25f) / 8.0f - 0.5f);\n"
	"  to[y * get_global_size(0) + x] = read_imagef(from, s, p); }\n"
	"kernel void layers(write_only image2d_array_t to)\n"
	"{ int4 p = (int4)(get_global_id(0), get_global_id(1), get_global_id(2), 0);\n"
	"  write_imageui(to, p, (uint4)(p.x, p.y, p.z, get_image_array_size(to))); }\n"
	"kernel void lines(write_only image1d_array_t to)\n"
	"{ int2 p = (int2)(get_global_id(0), get_global_id(1));\n"
	"  write_imageui(to, p, (uint4)(p.x, p.y, 7, get_image_array_size(to))); }\n"
	"kernel void line(write_only image1d_t to)\n"
	"{ int p = get_global_id(0); write_imageui(to, p, (uint4)(p, get_image_width(to), 0, 1)); "
	"}\n"
	"kernel void voxels(read_only image3d_t from, global uint4 *to)\n"
	"{ int4 p = (int4)(get_global_id(0), get_global_id(1), get_global_id(2), 0);\n"
	"  to[(p.z * get_global_size(1) + p.y) * get_global_size(0) + p.x] ="
	" read_imageui(from, inside, p); }\n"
	"kernel void sizes(read_only image2d_t a, read_only image3d_t b, global int *to)\n"
	"{ to[0] = get_image_width(a); to[1] = get_image_height(a); to[2] = get_image_depth(b);\n"
	"  to[3] = get_image_channel_data_type(a); to[4] = get_image_channel_order(b); }\n";

static void fill_pattern(unsigned seed)
{
	for (size_t i = 0; i < W * H * D; i++)
		in[i] = (uint32_t)(i * 2654435761u + seed);
}

static cl_mem image(cl_mem_object_type type, cl_mem_flags flags, size_t w, size_t h, size_t d,
	size_t array, void *host_ptr)
{
	cl_image_desc desc = { .image_type = type,
		.image_width = w,
		.image_height = h,
		.image_depth = d,
		.image_array_size = array };
	cl_mem m = clCreateImage(c.context, flags, &rgba8, &desc, host_ptr, &err);

	OK(err);
	return m;
}

static void run(cl_kernel k, cl_uint dims, size_t x, size_t y, size_t z)
{
	size_t global[] = { x, y, z };

	OK(clEnqueueNDRangeKernel(c.queue, k, dims, NULL, global, NULL, 0, NULL, NULL));
}

static void read_all(cl_mem m, size_t w, size_t h, size_t d)
{
	size_t region[] = { w, h, d };

	memset(out, 0xee, sizeof out);
	OK(clEnqueueReadImage(c.queue, m, CL_TRUE, zero, region, 0, 0, out, 0, NULL, NULL));
}

static void the_device_has_images(void)
{
	cl_bool has = CL_FALSE;
	cl_uint args = 0, samplers = 0;
	size_t width = 0, array = 0;

	OK(clGetDeviceInfo(c.device, CL_DEVICE_IMAGE_SUPPORT, sizeof has, &has, NULL));
	OK(clGetDeviceInfo(c.device, CL_DEVICE_MAX_READ_IMAGE_ARGS, sizeof args, &args, NULL));
	OK(clGetDeviceInfo(c.device, CL_DEVICE_MAX_SAMPLERS, sizeof samplers, &samplers, NULL));
	OK(clGetDeviceInfo(c.device, CL_DEVICE_IMAGE2D_MAX_WIDTH, sizeof width, &width, NULL));
	OK(clGetDeviceInfo(c.device, CL_DEVICE_IMAGE_MAX_ARRAY_SIZE, sizeof array, &array, NULL));
	CHECK(has);
	printf("read images %u, samplers %u, width %zu, array %zu\n", args, samplers, width, array);
}

static void formats_are_those_of_the_host(void)
{
	static const cl_mem_object_type types[] = { CL_MEM_OBJECT_IMAGE1D,
		CL_MEM_OBJECT_IMAGE1D_BUFFER, CL_MEM_OBJECT_IMAGE1D_ARRAY, CL_MEM_OBJECT_IMAGE2D,
		CL_MEM_OBJECT_IMAGE2D_ARRAY, CL_MEM_OBJECT_IMAGE3D };
	static const cl_mem_flags flags[] = { CL_MEM_READ_WRITE, CL_MEM_READ_ONLY,
		CL_MEM_WRITE_ONLY };
	cl_image_format list[256];
	cl_uint n;

	for (size_t t = 0; t < 6; t++)
		for (size_t f = 0; f < 3; f++) {
			OK(clGetSupportedImageFormats(
				c.context, flags[f], types[t], 256, list, &n));
			cl_uint sum = 0;
			for (cl_uint i = 0; i < n && i < 256; i++)
				sum = sum * 31 + list[i].image_channel_order * 4096 +
				      list[i].image_channel_data_type;
			printf("type %x flags %u: %u formats, sum %08x\n", types[t],
				(unsigned)flags[f], n, sum);
		}
	CHECK_EQ(clGetSupportedImageFormats(
			 NULL, CL_MEM_READ_WRITE, CL_MEM_OBJECT_IMAGE2D, 0, NULL, &n),
		CL_INVALID_CONTEXT);
}

static void an_image_knows_its_shape(void)
{
	static const cl_image_info sizes[] = { CL_IMAGE_ELEMENT_SIZE, CL_IMAGE_ROW_PITCH,
		CL_IMAGE_SLICE_PITCH, CL_IMAGE_WIDTH, CL_IMAGE_HEIGHT, CL_IMAGE_DEPTH,
		CL_IMAGE_ARRAY_SIZE };
	cl_mem all[] = { image(CL_MEM_OBJECT_IMAGE1D, 0, W, 0, 0, 0, NULL),
		image(CL_MEM_OBJECT_IMAGE2D, 0, W, H, 0, 0, NULL),
		image(CL_MEM_OBJECT_IMAGE3D, 0, W, H, D, 0, NULL),
		image(CL_MEM_OBJECT_IMAGE1D_ARRAY, 0, W, 0, 0, D, NULL),
		image(CL_MEM_OBJECT_IMAGE2D_ARRAY, 0, W, H, 0, D, NULL) };
	cl_image_format format;

	for (size_t i = 0; i < 5; i++) {
		cl_mem_object_type type;
		size_t v;
		OK(clGetMemObjectInfo(all[i], CL_MEM_TYPE, sizeof type, &type, NULL));
		OK(clGetMemObjectInfo(all[i], CL_MEM_SIZE, sizeof v, &v, NULL));
		printf("type %x, %zu bytes:", type, v);
		for (size_t k = 0; k < 7; k++) {
			OK(clGetImageInfo(all[i], sizes[k], sizeof v, &v, NULL));
			printf(" %zu", v);
		}
		printf("\n");
		OK(clGetImageInfo(all[i], CL_IMAGE_FORMAT, sizeof format, &format, NULL));
		CHECK(!memcmp(&format, &rgba8, sizeof format));
		OK(clReleaseMemObject(all[i]));
	}
}

static void what_is_written_is_read(void)
{
	size_t origin[] = { 7, 3, 1 }, region[] = { 11, 5, 3 };
	cl_mem m = image(CL_MEM_OBJECT_IMAGE3D, CL_MEM_COPY_HOST_PTR, W, H, D, 0, in);
	const uint32_t *at = out;

	read_all(m, W, H, D);
	CHECK(!memcmp(in, out, sizeof in));
	// A box out of it, and one with pitches into it.
	OK(clEnqueueReadImage(c.queue, m, CL_TRUE, origin, region, 0, 0, out, 0, NULL, NULL));
	for (size_t z = 0; z < 3; z++)
		for (size_t y = 0; y < 5; y++, at += 11)
			CHECK(!memcmp(at, in + ((z + 1) * H + y + 3) * W + 7, 44));
	OK(clEnqueueWriteImage(c.queue, m, CL_TRUE, origin, region, 64, 640, in, 0, NULL, NULL));
	read_all(m, W, H, D);
	CHECK_EQ(out[(2 * H + 4) * W + 8], in[160 + 16 + 1]);
	CHECK_EQ(out[(2 * H + 4) * W + 18], in[(2 * H + 4) * W + 18]);
	OK(clReleaseMemObject(m));
}

static void kernels_read_and_write(cl_program p)
{
	cl_kernel k = cl_kernel_of(p, "invert");
	cl_mem from = image(
		CL_MEM_OBJECT_IMAGE2D, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, W, H, 0, 0, in);
	cl_mem to = image(CL_MEM_OBJECT_IMAGE2D, CL_MEM_WRITE_ONLY, W, H, 0, 0, NULL);

	CHECK_EQ(clSetKernelArg(k, 0, sizeof from, NULL), CL_INVALID_ARG_VALUE);
	CHECK_EQ(clSetKernelArg(k, 0, 4, &from), CL_INVALID_ARG_SIZE);
	OK(clSetKernelArg(k, 0, sizeof from, &from));
	OK(clSetKernelArg(k, 1, sizeof to, &to));
	run(k, 2, W, H, 1);
	read_all(to, W, H, 1);
	for (size_t i = 0; i < W * H; i++)
		CHECK_EQ(out[i], ~in[i]);
	OK(clReleaseMemObject(from));
	OK(clReleaseMemObject(to));
	OK(clReleaseKernel(k));
}

static void kernels_know_sizes(cl_program p)
{
	cl_kernel k = cl_kernel_of(p, "sizes");
	cl_mem a = image(CL_MEM_OBJECT_IMAGE2D, 0, W, H, 0, 0, NULL);
	cl_mem b = image(CL_MEM_OBJECT_IMAGE3D, 0, W, H, D, 0, NULL);
	cl_mem to = cl_buffer(&c, CL_MEM_READ_WRITE, 20, NULL);
	int v[5];

	OK(clSetKernelArg(k, 0, sizeof a, &a));
	OK(clSetKernelArg(k, 1, sizeof b, &b));
	OK(clSetKernelArg(k, 2, sizeof to, &to));
	run(k, 1, 1, 1, 1);
	OK(clEnqueueReadBuffer(c.queue, to, CL_TRUE, 0, sizeof v, v, 0, NULL, NULL));
	printf("sizes %d %d %d %x %x\n", v[0], v[1], v[2], v[3], v[4]);
	OK(clReleaseMemObject(a));
	OK(clReleaseMemObject(b));
	OK(clReleaseMemObject(to));
	OK(clReleaseKernel(k));
}

static void every_layer_is_where_it_belongs(cl_program p)
{
	cl_kernel layers = cl_kernel_of(p, "layers"), lines = cl_kernel_of(p, "lines");
	cl_kernel line = cl_kernel_of(p, "line"), voxels = cl_kernel_of(p, "voxels");
	cl_mem m = image(CL_MEM_OBJECT_IMAGE2D_ARRAY, 0, W, H, 0, D, NULL);
	cl_mem n = image(CL_MEM_OBJECT_IMAGE1D_ARRAY, 0, W, 0, 0, D, NULL);
	cl_mem one = image(CL_MEM_OBJECT_IMAGE1D, 0, W, 0, 0, 0, NULL);

	OK(clSetKernelArg(layers, 0, sizeof m, &m));
	run(layers, 3, W, H, D);
	read_all(m, W, H, D);
	for (uint32_t i = 0; i < W * H * D; i++)
		CHECK_EQ(out[i], i % W | i / W % H << 8 | i / (W * H) << 16 | D << 24);
	OK(clSetKernelArg(lines, 0, sizeof n, &n));
	run(lines, 2, W, D, 1);
	read_all(n, W, D, 1);
	for (uint32_t i = 0; i < W * D; i++)
		CHECK_EQ(out[i], i % W | i / W << 8 | 7 << 16 | D << 24);
	OK(clSetKernelArg(line, 0, sizeof one, &one));
	run(line, 1, W, 1, 1);
	read_all(one, W, 1, 1);
	for (uint32_t i = 0; i < W; i++)
		CHECK_EQ(out[i], i | W << 8 | 1 << 24);
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(n));
	OK(clReleaseMemObject(one));
	m = image(CL_MEM_OBJECT_IMAGE3D, CL_MEM_COPY_HOST_PTR, 8, 4, 2, 0, in);
	n = cl_buffer(&c, CL_MEM_READ_WRITE, 64 * 16, NULL);
	OK(clSetKernelArg(voxels, 0, sizeof m, &m));
	OK(clSetKernelArg(voxels, 1, sizeof n, &n));
	run(voxels, 3, 8, 4, 2);
	OK(clEnqueueReadBuffer(c.queue, n, CL_TRUE, 0, 64 * 16, out, 0, NULL, NULL));
	for (size_t i = 0; i < 64; i++)
		CHECK_EQ(out[4 * i] | out[4 * i + 1] << 8 | out[4 * i + 2] << 16 |
				 out[4 * i + 3] << 24,
			in[i]);
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(n));
	OK(clReleaseKernel(layers));
	OK(clReleaseKernel(lines));
	OK(clReleaseKernel(line));
	OK(clReleaseKernel(voxels));
}

// The values are printed: they are those of the host's own driver, bit for bit.
static void samplers_sample(cl_program p)
{
	static const cl_addressing_mode addressing[] = { CL_ADDRESS_CLAMP_TO_EDGE, CL_ADDRESS_CLAMP,
		CL_ADDRESS_REPEAT, CL_ADDRESS_MIRRORED_REPEAT };
	cl_image_format format = { CL_RGBA, CL_FLOAT };
	cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 4, .image_height = 4
	};
	float pixels[64], got[1024];
	cl_kernel k = cl_kernel_of(p, "sample");
	cl_mem to = cl_buffer(&c, CL_MEM_READ_WRITE, sizeof got, NULL);

	for (int i = 0; i < 64; i++)
		pixels[i] = (float)(i * i % 17) / 7.0f;
	cl_mem m = clCreateImage(c.context, CL_MEM_COPY_HOST_PTR, &format, &desc, pixels, &err);
	OK(err);
	for (size_t i = 0; i < 8; i++) {
		cl_filter_mode filter = i % 2 ? CL_FILTER_LINEAR : CL_FILTER_NEAREST;
		cl_sampler s = clCreateSampler(c.context, CL_TRUE, addressing[i / 2], filter, &err);
		cl_uint bits, sum = 0;
		OK(err);
		OK(clSetKernelArg(k, 0, sizeof m, &m));
		OK(clSetKernelArg(k, 1, sizeof s, &s));
		OK(clSetKernelArg(k, 2, sizeof to, &to));
		run(k, 2, 16, 16, 1);
		OK(clEnqueueReadBuffer(c.queue, to, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL));
		for (size_t n = 0; n < 1024; n++) {
			memcpy(&bits, got + n, 4);
			sum = sum * 31 + bits;
		}
		printf("addressing %x filter %x: %08x\n", addressing[i / 2], filter, sum);
		OK(clReleaseSampler(s));
	}
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(to));
	OK(clReleaseKernel(k));
}

static void a_sampler_knows_itself(void)
{
	cl_sampler s =
		clCreateSampler(c.context, CL_FALSE, CL_ADDRESS_CLAMP, CL_FILTER_LINEAR, &err);
	cl_uint refs, filter, addressing;
	cl_context context;
	cl_bool normalized;

	OK(err);
	OK(clRetainSampler(s));
	OK(clGetSamplerInfo(s, CL_SAMPLER_REFERENCE_COUNT, sizeof refs, &refs, NULL));
	OK(clGetSamplerInfo(s, CL_SAMPLER_CONTEXT, sizeof context, &context, NULL));
	OK(clGetSamplerInfo(s, CL_SAMPLER_NORMALIZED_COORDS, sizeof normalized, &normalized, NULL));
	OK(clGetSamplerInfo(s, CL_SAMPLER_FILTER_MODE, sizeof filter, &filter, NULL));
	OK(clGetSamplerInfo(s, CL_SAMPLER_ADDRESSING_MODE, sizeof addressing, &addressing, NULL));
	CHECK(refs == 2 && context == c.context && !normalized);
	CHECK(filter == CL_FILTER_LINEAR && addressing == CL_ADDRESS_CLAMP);
	CHECK_EQ(clGetSamplerInfo(s, 0x1234, 4, &filter, NULL), CL_INVALID_VALUE);
	OK(clReleaseSampler(s));
	OK(clReleaseSampler(s));
	CHECK_EQ(clReleaseSampler(NULL), CL_INVALID_SAMPLER);
	CHECK(!clCreateSampler(NULL, CL_FALSE, CL_ADDRESS_CLAMP, CL_FILTER_LINEAR, &err) &&
		err == CL_INVALID_CONTEXT);
}

static void fills_convert(void)
{
	static const cl_image_format formats[] = { { CL_RGBA, CL_FLOAT },
		{ CL_RGBA, CL_UNORM_INT8 }, { CL_BGRA, CL_UNORM_INT8 }, { CL_RGBA, CL_SNORM_INT16 },
		{ CL_R, CL_FLOAT }, { CL_RGBA, CL_SIGNED_INT16 } };
	cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 6, .image_height = 4
	};
	// That need no rounding up, which PoCL 3.1 does not do (strict_fills.c).
	const float color[] = { 0.2f, 1.0f, 0.0f, 0.6f };
	const int whole[] = { -3, 70000, 5, 0 };
	size_t origin[] = { 1, 1, 0 }, region[] = { 3, 2, 1 }, all[] = { 6, 4, 1 };

	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		cl_mem m = clCreateImage(c.context, 0, &formats[i], &desc, NULL, &err);
		bool ints = formats[i].image_channel_data_type == CL_SIGNED_INT16;
		uint8_t bytes[6 * 4 * 16] = { 0 };
		OK(err);
		OK(clEnqueueWriteImage(c.queue, m, CL_TRUE, zero, all, 0, 0, bytes, 0, NULL, NULL));
		OK(clEnqueueFillImage(c.queue, m, ints ? (const void *)whole : color, origin,
			region, 0, NULL, NULL));
		OK(clEnqueueReadImage(c.queue, m, CL_TRUE, zero, all, 0, 0, bytes, 0, NULL, NULL));
		printf("format %x/%x:", formats[i].image_channel_order,
			formats[i].image_channel_data_type);
		for (size_t n = 0; n < sizeof bytes; n++)
			if (bytes[n])
				printf(" %zu:%02x", n, bytes[n]);
		printf("\n");
		OK(clReleaseMemObject(m));
	}
}

static void copies_copy(void)
{
	size_t from[] = { 3, 2, 1 }, to[] = { 10, 20, 0 }, region[] = { 13, 7, 1 };
	cl_mem a = image(CL_MEM_OBJECT_IMAGE3D, CL_MEM_COPY_HOST_PTR, W, H, D, 0, in);
	cl_mem b = image(CL_MEM_OBJECT_IMAGE2D, CL_MEM_COPY_HOST_PTR, W, H, 0, 0, in);
	cl_mem buffer = cl_buffer(&c, CL_MEM_READ_WRITE, 4096, NULL);
	cl_event e;
	cl_command_type type;

	OK(clEnqueueCopyImage(c.queue, a, b, from, to, region, 0, NULL, &e));
	OK(clGetEventInfo(e, CL_EVENT_COMMAND_TYPE, sizeof type, &type, NULL));
	CHECK_EQ(type, CL_COMMAND_COPY_IMAGE);
	OK(clReleaseEvent(e));
	read_all(b, W, H, 1);
	for (size_t y = 0; y < 7; y++)
		CHECK(!memcmp(out + (20 + y) * W + 10, in + (H + 2 + y) * W + 3, 13 * 4));
	CHECK_EQ(out[20 * W + 9], in[20 * W + 9]);
	OK(clEnqueueCopyImageToBuffer(c.queue, a, buffer, from, region, 100, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, buffer, CL_TRUE, 100, 13 * 7 * 4, out, 0, NULL, NULL));
	for (size_t y = 0; y < 7; y++)
		CHECK(!memcmp(out + 13 * y, in + (H + 2 + y) * W + 3, 13 * 4));
	to[0] = to[1] = 0;
	OK(clEnqueueCopyBufferToImage(c.queue, buffer, b, 100, to, region, 0, NULL, NULL));
	read_all(b, W, H, 1);
	CHECK_EQ(out[6 * W + 12], in[(H + 8) * W + 15]);
	CHECK_EQ(out[6 * W + 13], in[6 * W + 13]);
	OK(clReleaseMemObject(a));
	OK(clReleaseMemObject(b));
	OK(clReleaseMemObject(buffer));
}

static void what_is_mapped_is_there(void)
{
	size_t origin[] = { 5, 6, 2 }, region[] = { 9, 8, 2 }, row = 0, slice = 0;
	cl_mem m = image(CL_MEM_OBJECT_IMAGE3D, CL_MEM_COPY_HOST_PTR, W, H, D, 0, in);
	uint8_t *at = clEnqueueMapImage(c.queue, m, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, origin,
		region, &row, &slice, 0, NULL, NULL, &err);
	uint32_t pixel;

	OK(err);
	for (size_t z = 0; z < 2; z++)
		for (size_t y = 0; y < 8; y++)
			CHECK(!memcmp(
				at + z * slice + y * row, in + ((z + 2) * H + y + 6) * W + 5, 36));
	memset(at + slice + row, 0x5a, 36);
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	read_all(m, W, H, D);
	memcpy(&pixel, "ZZZZ", 4);
	CHECK(out[(3 * H + 7) * W + 5] == pixel && out[(3 * H + 7) * W + 13] == pixel);
	CHECK_EQ(out[(3 * H + 7) * W + 14], in[(3 * H + 7) * W + 14]);
	at = clEnqueueMapImage(c.queue, m, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, zero, region,
		&row, &slice, 0, NULL, NULL, &err);
	OK(err);
	for (size_t i = 0; i < 16; i++)
		memset(at + i / 8 * slice + i % 8 * row, (int)i, 36);
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	read_all(m, W, H, D);
	CHECK(out[7 * W + 8] == 0x07070707 && out[(H + 7) * W] == 0x0f0f0f0f);
	OK(clReleaseMemObject(m));
}

static void a_host_pointer_may_have_pitches(void)
{
	static uint32_t host[80 * 64] __attribute__((aligned(4096)));
	cl_image_desc desc = { .image_type = CL_MEM_OBJECT_IMAGE2D,
		.image_width = W,
		.image_height = H,
		.image_row_pitch = 320 };
	size_t region[] = { W, H, 1 }, row = 0, pitch = 0;

	for (size_t i = 0; i < 80 * 64; i++)
		host[i] = (uint32_t)i;
	cl_mem m = clCreateImage(c.context, CL_MEM_USE_HOST_PTR, &rgba8, &desc, host, &err);
	OK(err);
	OK(clGetImageInfo(m, CL_IMAGE_ROW_PITCH, sizeof pitch, &pitch, NULL));
	CHECK_EQ(pitch, 320);
	read_all(m, W, H, 1);
	CHECK(out[0] == 0 && out[W] == 80 && out[W * H - 1] == 80 * (H - 1) + W - 1);
	const cl_uint color[] = { 1, 2, 3, 4 };
	OK(clEnqueueFillImage(c.queue, m, color, zero, region, 0, NULL, NULL));
	uint8_t *at = clEnqueueMapImage(
		c.queue, m, CL_TRUE, CL_MAP_READ, zero, region, &row, NULL, 0, NULL, NULL, &err);
	OK(err);
	CHECK(at == (uint8_t *)host && row == 320);
	CHECK(host[0] == 0x04030201 && host[80 * (H - 1) + W - 1] == 0x04030201);
	CHECK_EQ(host[W], W); // between the rows
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clFinish(c.queue));
	OK(clReleaseMemObject(m));
}

static void the_old_calls_make_images(void)
{
	cl_mem a = clCreateImage2D(c.context, CL_MEM_COPY_HOST_PTR, &rgba8, W, H, 0, in, &err);

	OK(err);
	read_all(a, W, H, 1);
	CHECK(!memcmp(in, out, W * H * 4));
	cl_mem b = clCreateImage3D(c.context, CL_MEM_READ_ONLY, &rgba8, W, H, D, 0, 0, NULL, &err);
	OK(err);
	OK(clReleaseMemObject(a));
	OK(clReleaseMemObject(b));
}

static void misuse_is_refused(void)
{
	cl_image_format bad = { CL_RGBA, 0x1234 };
	cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 4, .image_height = 4
	};
	cl_mem m = clCreateImage(c.context, 0, &rgba8, &desc, NULL, &err);
	cl_mem other = clCreateImage(
		c.context, 0, &(cl_image_format){ CL_R, CL_FLOAT }, &desc, NULL, &err);
	cl_mem buffer = cl_buffer(&c, CL_MEM_READ_WRITE, 64, NULL);
	size_t region[] = { 4, 4, 1 }, outside[] = { 5, 4, 1 };
	char host[64];

	CHECK(!clCreateImage(NULL, 0, &rgba8, &desc, NULL, &err) && err == CL_INVALID_CONTEXT);
	CHECK(!clCreateImage(c.context, 0, NULL, &desc, NULL, &err) &&
		err == CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
	CHECK(!clCreateImage(c.context, 0, &rgba8, NULL, NULL, &err) &&
		err == CL_INVALID_IMAGE_DESCRIPTOR);
	CHECK(!clCreateImage(c.context, 0, &bad, &desc, NULL, &err) && err < 0);
	CHECK(!clCreateImage(c.context, CL_MEM_COPY_HOST_PTR, &rgba8, &desc, NULL, &err) &&
		err == CL_INVALID_HOST_PTR);
	CHECK_EQ(clEnqueueReadImage(c.queue, buffer, 1, zero, region, 0, 0, host, 0, NULL, NULL),
		CL_INVALID_MEM_OBJECT);
	CHECK_EQ(clEnqueueReadImage(NULL, m, 1, zero, region, 0, 0, host, 0, NULL, NULL),
		CL_INVALID_COMMAND_QUEUE);
	CHECK_EQ(clEnqueueReadImage(c.queue, m, 1, zero, outside, 0, 0, host, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueReadImage(c.queue, m, 1, zero, region, 0, 0, NULL, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueReadImage(c.queue, m, 1, zero, region, 0, 0, host, 1, NULL, NULL),
		CL_INVALID_EVENT_WAIT_LIST);
	CHECK_EQ(clEnqueueCopyImage(c.queue, m, other, zero, zero, region, 0, NULL, NULL),
		CL_IMAGE_FORMAT_MISMATCH);
	CHECK_EQ(clEnqueueCopyImageToBuffer(c.queue, m, buffer, zero, region, 60, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueCopyBufferToImage(c.queue, buffer, m, 60, zero, region, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clGetImageInfo(m, 0x1234, 64, host, NULL), CL_INVALID_VALUE);
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(other));
	OK(clReleaseMemObject(buffer));
}

int main(void)
{
	c = cl_setup();
	fill_pattern(1);
	cl_program p = cl_build(&c, source);
	RUN(the_device_has_images);
	RUN(formats_are_those_of_the_host);
	RUN(an_image_knows_its_shape);
	RUN(what_is_written_is_read);
	kernels_read_and_write(p);
	kernels_know_sizes(p);
	every_layer_is_where_it_belongs(p);
	samplers_sample(p);
	RUN(a_sampler_knows_itself);
	RUN(fills_convert);
	RUN(copies_copy);
	RUN(what_is_mapped_is_there);
	RUN(a_host_pointer_may_have_pitches);
	RUN(the_old_calls_make_images);
	RUN(misuse_is_refused);
	OK(clReleaseProgram(p));
	cl_teardown(&c);
}
