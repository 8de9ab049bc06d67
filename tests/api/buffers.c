// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 5.2 and 5.4: buffers, sub-buffers, rectangles, fills, maps, host pointers.
#include "api.h"

#define N 100003 // no multiple of anything; longer than one frame of the guest stream

static struct cl c;
static uint8_t in[N * 3], out[N * 3];

static void fill_pattern(uint8_t *at, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		at[i] = (uint8_t)((i * 2654435761u + seed) >> 7);
}

static void what_is_written_is_read(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, N, NULL);

	fill_pattern(in, N, 1);
	OK(clEnqueueWriteBuffer(c.queue, m, CL_FALSE, 0, N, in, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, N, out, 0, NULL, NULL));
	CHECK(!memcmp(in, out, N));
	memset(out, 0, N);
	OK(clEnqueueWriteBuffer(c.queue, m, CL_TRUE, 7, 9, "new bytes", 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_FALSE, 0, N, out, 0, NULL, NULL));
	OK(clFinish(c.queue));
	memcpy(in + 7, "new bytes", 9);
	CHECK(!memcmp(in, out, N));
	OK(clReleaseMemObject(m));
}

static void a_copy_copies(void)
{
	cl_mem a = cl_buffer(&c, CL_MEM_COPY_HOST_PTR, N, in);
	cl_mem b = cl_buffer(&c, CL_MEM_READ_WRITE, 2 * N, NULL);

	OK(clEnqueueCopyBuffer(c.queue, a, b, 5, N, 1000, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, b, CL_TRUE, N, 1000, out, 0, NULL, NULL));
	CHECK(!memcmp(in + 5, out, 1000));
	CHECK_EQ(clEnqueueCopyBuffer(c.queue, a, a, 0, 10, 11, 0, NULL, NULL), CL_MEM_COPY_OVERLAP);
	OK(clEnqueueCopyBuffer(c.queue, a, a, 0, 11, 11, 0, NULL, NULL));
	OK(clReleaseMemObject(a));
	OK(clReleaseMemObject(b));
}

static void a_fill_repeats_its_pattern(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 4096, NULL);
	cl_uint four[] = { 1, 2, 3, 4 };

	OK(clEnqueueFillBuffer(c.queue, m, "\0", 1, 0, 4096, 0, NULL, NULL));
	OK(clEnqueueFillBuffer(c.queue, m, four, sizeof four, 16, 160, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 4096, out, 0, NULL, NULL));
	CHECK(!out[15] && !out[176]);
	for (int i = 0; i < 10; i++)
		CHECK(!memcmp(out + 16 + 16 * i, four, 16));
	CHECK_EQ(clEnqueueFillBuffer(c.queue, m, four, 16, 8, 16, 0, NULL, NULL), CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueFillBuffer(c.queue, m, four, 3, 0, 3, 0, NULL, NULL), CL_INVALID_VALUE);
	OK(clReleaseMemObject(m));
}

static void a_sub_buffer_is_a_window(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_COPY_HOST_PTR, N, in), parent;
	cl_buffer_region region = { 4096, 1000 };
	size_t offset;
	cl_int err;
	cl_mem sub =
		clCreateSubBuffer(m, CL_MEM_READ_ONLY, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);

	OK(err);
	OK(clEnqueueReadBuffer(c.queue, sub, CL_TRUE, 1, 999, out, 0, NULL, NULL));
	CHECK(!memcmp(in + 4097, out, 999));
	OK(clEnqueueWriteBuffer(c.queue, sub, CL_TRUE, 0, 3, "sub", 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 4096, 3, out, 0, NULL, NULL));
	CHECK(!memcmp(out, "sub", 3));
	OK(clGetMemObjectInfo(sub, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof parent, &parent, NULL));
	OK(clGetMemObjectInfo(sub, CL_MEM_OFFSET, sizeof offset, &offset, NULL));
	CHECK(parent == m && offset == 4096);
	OK(clReleaseMemObject(m)); // the window keeps it
	OK(clEnqueueReadBuffer(c.queue, sub, CL_TRUE, 0, 3, out, 0, NULL, NULL));
	OK(clReleaseMemObject(sub));
}

static void rectangles_leave_the_rest_alone(void)
{
	size_t from[] = { 3, 2, 1 }, to[] = { 4, 1, 0 }, region[] = { 5, 3, 2 };
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 4096, NULL);

	memset(out, 0, 4096);
	fill_pattern(in, 4096, 2);
	OK(clEnqueueFillBuffer(c.queue, m, "\x55", 1, 0, 4096, 0, NULL, NULL));
	OK(clEnqueueWriteBufferRect(
		c.queue, m, CL_TRUE, from, to, region, 32, 320, 16, 160, in, 0, NULL, NULL));
	OK(clEnqueueReadBufferRect(
		c.queue, m, CL_TRUE, from, to, region, 32, 320, 16, 160, out, 0, NULL, NULL));
	for (size_t z = 0; z < 2; z++)
		for (size_t y = 0; y < 3; y++) {
			size_t at = 4 + 16 * (1 + y) + 160 * z;
			CHECK(!memcmp(in + at, out + at, 5));
			CHECK(!out[at - 1] && !out[at + 5]);
		}
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 4096, out, 0, NULL, NULL));
	CHECK_EQ(out[3 + 64 + 320 - 1], 0x55);
	CHECK_EQ(out[3 + 64 + 320], in[4 + 16]);
	OK(clReleaseMemObject(m));
}

static void a_long_rectangle_spans_frames(void)
{
	size_t zero[] = { 0, 0, 0 }, region[] = { 1001, 97, 1 };
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, N * 2, NULL);

	fill_pattern(in, sizeof in, 3);
	memset(out, 0, sizeof out);
	OK(clEnqueueWriteBufferRect(
		c.queue, m, CL_TRUE, zero, zero, region, 2000, 0, 1500, 0, in, 0, NULL, NULL));
	OK(clEnqueueReadBufferRect(
		c.queue, m, CL_TRUE, zero, zero, region, 2000, 0, 1500, 0, out, 0, NULL, NULL));
	for (size_t y = 0; y < 97; y++)
		CHECK(!memcmp(in + 1500 * y, out + 1500 * y, 1001) && !out[1500 * y + 1001]);
	OK(clReleaseMemObject(m));
}

static void rectangles_are_copied(void)
{
	size_t from[] = { 0, 0, 0 }, to[] = { 8, 4, 0 }, region[] = { 8, 4, 1 };
	cl_mem m = cl_buffer(&c, CL_MEM_COPY_HOST_PTR, 1024, in);

	OK(clEnqueueCopyBufferRect(c.queue, m, m, from, to, region, 32, 0, 32, 0, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 1024, out, 0, NULL, NULL));
	for (size_t y = 0; y < 4; y++)
		CHECK(!memcmp(out + 8 + 32 * (4 + y), in + 32 * y, 8));
	to[0] = 4;
	to[1] = 2;
	CHECK_EQ(clEnqueueCopyBufferRect(
			 c.queue, m, m, from, to, region, 32, 0, 32, 0, 0, NULL, NULL),
		CL_MEM_COPY_OVERLAP);
	OK(clReleaseMemObject(m));
}

static cl_uint map_count(cl_mem m)
{
	cl_uint n;

	OK(clGetMemObjectInfo(m, CL_MEM_MAP_COUNT, sizeof n, &n, NULL));
	return n;
}

static void what_is_mapped_is_there(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_COPY_HOST_PTR, N, in);
	cl_int err;
	uint8_t *at = clEnqueueMapBuffer(
		c.queue, m, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 100, 5000, 0, NULL, NULL, &err);

	OK(err);
	CHECK(!memcmp(at, in + 100, 5000));
	CHECK_EQ(map_count(m), 1);
	memcpy(at, "mapped", 6);
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 99, 8, out, 0, NULL, NULL));
	CHECK(!memcmp(out + 1, "mapped", 6) && out[0] == in[99] && out[7] == in[106]);
	CHECK_EQ(map_count(m), 0);
	at = clEnqueueMapBuffer(
		c.queue, m, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, 16, 0, NULL, NULL, &err);
	OK(err);
	memset(at, 0x77, 16);
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 17, out, 0, NULL, NULL));
	CHECK(out[15] == 0x77 && out[16] == in[16]);
	CHECK_EQ(clEnqueueUnmapMemObject(c.queue, m, in, 0, NULL, NULL), CL_INVALID_VALUE);
	OK(clReleaseMemObject(m));
}

static void a_host_pointer_is_where_maps_are(void)
{
	static uint8_t host[8192] __attribute__((aligned(4096)));
	cl_int err;

	fill_pattern(host, sizeof host, 9);
	cl_mem m = cl_buffer(&c, CL_MEM_USE_HOST_PTR, sizeof host, host);
	OK(clEnqueueFillBuffer(c.queue, m, "\x11", 1, 0, 100, 0, NULL, NULL));
	uint8_t *at = clEnqueueMapBuffer(
		c.queue, m, CL_TRUE, CL_MAP_READ, 0, sizeof host, 0, NULL, NULL, &err);
	OK(err);
	CHECK(at == host && host[99] == 0x11);
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clFinish(c.queue));
	OK(clReleaseMemObject(m));
	m = cl_buffer(&c, CL_MEM_ALLOC_HOST_PTR, 4096, NULL);
	at = clEnqueueMapBuffer(c.queue, m, CL_TRUE, CL_MAP_WRITE, 0, 4096, 0, NULL, NULL, &err);
	OK(err);
	memset(at, 1, 4096);
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clFinish(c.queue));
	OK(clReleaseMemObject(m));
}

static int destroyed[3], n_destroyed;

static void CL_CALLBACK note(cl_mem m, void *user_data)
{
	destroyed[n_destroyed++] = *(int *)user_data;
}

static void destructors_run_last_first(void)
{
	static int one = 1, two = 2;
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 16, NULL);

	OK(clSetMemObjectDestructorCallback(m, note, &one));
	OK(clSetMemObjectDestructorCallback(m, note, &two));
	OK(clRetainMemObject(m));
	OK(clReleaseMemObject(m));
	CHECK_EQ(n_destroyed, 0);
	OK(clReleaseMemObject(m));
	CHECK(n_destroyed == 2 && destroyed[0] == 2 && destroyed[1] == 1);
}

int main(void)
{
	c = cl_setup();
	RUN(what_is_written_is_read);
	RUN(a_copy_copies);
	RUN(a_fill_repeats_its_pattern);
	RUN(a_sub_buffer_is_a_window);
	RUN(rectangles_leave_the_rest_alone);
	RUN(a_long_rectangle_spans_frames);
	RUN(rectangles_are_copied);
	RUN(what_is_mapped_is_there);
	RUN(a_host_pointer_is_where_maps_are);
	RUN(destructors_run_last_first);
	cl_teardown(&c);
}
