// SPDX-License-Identifier: Apache-2.0
// When a map's turn has come, and what may happen to memory while parts of it are mapped.
#define CL_TARGET_OPENCL_VERSION 120
#include "api.h"

#include <string.h>
#include <sys/mman.h>

#define BYTES 4096

static const char source[] = "kernel void slow(global uint *out, uint n)\n"
			     "{\n"
			     "	uint x = 1;\n"
			     "	for (uint i = 0; i < n; i++)\n"
			     "		x = x * 1664525u + 1013904223u;\n"
			     "	out[0] = x ? 7 : 8;\n"
			     "}\n";
static const size_t zero[3];

static struct cl c;
static cl_command_queue unordered;
static cl_kernel slow;
static cl_int err;

// Writes 7, some tenths of a second later.
static cl_event run_slow(cl_command_queue q, cl_mem m)
{
	const cl_uint n = 400u << 20;
	const size_t one = 1;
	cl_event e;

	OK(clSetKernelArg(slow, 0, sizeof m, &m));
	OK(clSetKernelArg(slow, 1, sizeof n, &n));
	OK(clEnqueueNDRangeKernel(q, slow, 1, NULL, &one, NULL, 0, NULL, &e));
	OK(clFlush(q));
	return e;
}

static cl_int status_of(cl_event e)
{
	cl_int status;

	OK(clGetEventInfo(e, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
	return status;
}

static cl_mem image_of(size_t side)
{
	const cl_image_format format = { CL_RGBA, CL_UNSIGNED_INT8 };
	const cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = side, .image_height = side
	};
	cl_mem m = clCreateImage(c.context, 0, &format, &desc, NULL, &err);

	OK(err);
	return m;
}

static void *map(cl_command_queue q, cl_mem m, cl_bool blocking, cl_uint n, const cl_event *list,
	cl_event *event)
{
	const cl_map_flags flags = CL_MAP_WRITE_INVALIDATE_REGION;
	const size_t region[] = { 8, 8, 1 };
	cl_mem_object_type type;
	size_t pitch;

	OK(clGetMemObjectInfo(m, CL_MEM_TYPE, sizeof type, &type, NULL));
	void *at =
		type == CL_MEM_OBJECT_BUFFER
			? clEnqueueMapBuffer(q, m, blocking, flags, 0, BYTES, n, list, event, &err)
			: clEnqueueMapImage(q, m, blocking, flags, zero, region, &pitch, NULL, n,
				  list, event, &err);
	OK(err);
	return at;
}

// All before it in the queue has ended then, what was read among it.
static void blocking_map_waits(cl_mem m, const char *what)
{
	cl_mem small = cl_buffer(&c, CL_MEM_READ_WRITE, 64, NULL);
	cl_event ran = run_slow(c.queue, small);
	cl_uint out = 0;

	OK(clEnqueueReadBuffer(c.queue, small, CL_FALSE, 0, sizeof out, &out, 0, NULL, NULL));
	void *at = map(c.queue, m, CL_TRUE, 0, NULL, NULL);
	CHECK_EQ(status_of(ran), CL_COMPLETE);
	CHECK_EQ(out, 7);
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clFinish(c.queue));
	OK(clReleaseEvent(ran));
	OK(clReleaseMemObject(small));
	OK(clReleaseMemObject(m));
	printf("ok a blocking map that reads nothing waits for its turn: %s\n", what);
}

// What is written after the map is not overwritten by what it waited for.
static void blocking_map_waits_for_events(cl_command_queue q, const char *what)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	cl_event ran = run_slow(q, m), unmapped;
	cl_uint *at = map(q, m, CL_TRUE, 1, &ran, NULL), out = 0;

	CHECK_EQ(status_of(ran), CL_COMPLETE);
	at[0] = 42;
	OK(clEnqueueUnmapMemObject(q, m, at, 0, NULL, &unmapped));
	OK(clEnqueueReadBuffer(q, m, CL_TRUE, 0, sizeof out, &out, 1, &unmapped, NULL));
	OK(clFinish(q));
	CHECK_EQ(out, 42);
	OK(clReleaseEvent(ran));
	OK(clReleaseEvent(unmapped));
	OK(clReleaseMemObject(m));
	printf("ok a blocking map that reads nothing waits for its wait list: %s\n", what);
}

// In a queue without order, what is not a marker waits for nothing but its list.
static void no_order(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL), image = image_of(8);
	cl_event user = clCreateUserEvent(c.context, &err), ends[4], pending, over;

	OK(err);
	OK(clEnqueueMarkerWithWaitList(unordered, 1, &user, &pending));
	void *a = map(unordered, m, CL_FALSE, 0, NULL, &ends[0]);
	void *b = map(unordered, image, CL_FALSE, 0, NULL, &ends[1]);
	OK(clEnqueueMigrateMemObjects(unordered, 1, &m, 0, 0, NULL, &ends[2]));
	over = clCreateUserEvent(c.context, &err);
	OK(err);
	OK(clSetUserEventStatus(over, CL_COMPLETE));
	OK(clEnqueueMigrateMemObjects(unordered, 1, &m, 0, 1, &over, &ends[3]));
	OK(clWaitForEvents(4, ends));
	CHECK(status_of(pending) > CL_COMPLETE);
	OK(clEnqueueUnmapMemObject(unordered, m, a, 0, NULL, NULL));
	OK(clEnqueueUnmapMemObject(unordered, image, b, 0, NULL, NULL));
	OK(clSetUserEventStatus(user, CL_COMPLETE));
	OK(clFinish(unordered));
	for (int i = 0; i < 4; i++)
		OK(clReleaseEvent(ends[i]));
	OK(clReleaseEvent(user));
	OK(clReleaseEvent(over));
	OK(clReleaseEvent(pending));
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(image));
	puts("ok out of order, maps and migrations wait for no other command");
}

// "The memory object is deleted" after the commands that use it have finished.
static void released_while_mapping(void)
{
	const size_t bytes = 8 << 20;
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, bytes, NULL);
	cl_event ran = run_slow(c.queue, m);

	CHECK(clEnqueueMapBuffer(c.queue, m, CL_FALSE, CL_MAP_READ, 0, bytes, 0, NULL, NULL, &err));
	OK(err);
	OK(clReleaseMemObject(m));
	OK(clFinish(c.queue));
	OK(clReleaseEvent(ran));
	puts("ok released before its map has ended");
}

// The kernel may take back what a program has declared free: here it does at once, madvise(2).
static void part_stays_mapped(void)
{
	const size_t half = 512 << 10, bytes = 64 << 10;
	cl_mem whole = cl_buffer(&c, CL_MEM_READ_WRITE, 2 * half, NULL);
	cl_buffer_region region = { half, bytes };
	cl_mem part = clCreateSubBuffer(whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
	static char out[64 << 10];

	OK(err);
	char *at = clEnqueueMapBuffer(
		unordered, part, CL_TRUE, CL_MAP_WRITE, 0, bytes, 0, NULL, NULL, &err);
	OK(err);
	memset(at, 'x', bytes);
	void *first = clEnqueueMapBuffer(
		unordered, whole, CL_TRUE, CL_MAP_READ, 0, half, 0, NULL, NULL, &err);
	OK(err);
	OK(clEnqueueUnmapMemObject(unordered, whole, first, 0, NULL, NULL));
	OK(clFinish(unordered));
	madvise(at, bytes, 21); // MADV_PAGEOUT, linux/mman.h
	OK(clEnqueueUnmapMemObject(unordered, part, at, 0, NULL, NULL));
	OK(clFinish(unordered));
	OK(clEnqueueReadBuffer(unordered, part, CL_TRUE, 0, bytes, out, 0, NULL, NULL));
	for (size_t i = 0; i < bytes; i++)
		CHECK_EQ(out[i], 'x');
	OK(clReleaseMemObject(part));
	OK(clReleaseMemObject(whole));
	puts("ok a part stays mapped when the whole is unmapped");
}

// What is mapped for writing keeps the bytes that are not written: somebody has to read them, though the program may not.
static void only_written_by_the_host(void)
{
	static cl_uint host[BYTES / 4], out[BYTES / 4];
	cl_mem m, copy = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);

	for (cl_uint i = 0; i < BYTES / 4; i++)
		host[i] = i * 2654435761u;
	m = cl_buffer(&c, CL_MEM_COPY_HOST_PTR | CL_MEM_HOST_WRITE_ONLY, BYTES, host);
	cl_event ran = run_slow(c.queue, copy), mapped;
	cl_uint *at = clEnqueueMapBuffer(
		c.queue, m, CL_FALSE, CL_MAP_WRITE, 0, BYTES, 0, NULL, &mapped, &err);
	OK(err);
	OK(clWaitForEvents(1, &mapped));
	at[7] = host[7] = 42;
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clEnqueueCopyBuffer(c.queue, m, copy, 0, 0, BYTES, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, copy, CL_TRUE, 0, BYTES, out, 0, NULL, NULL));
	CHECK(!memcmp(host, out, BYTES));
	OK(clReleaseEvent(ran));
	OK(clReleaseEvent(mapped));
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(copy));
	puts("ok memory that the host may only write is mapped for writing behind a kernel");
}

int main(void)
{
	c = cl_setup();
	unordered = clCreateCommandQueue(
		c.context, c.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err);
	OK(err);
	cl_program p = cl_build(&c, source);
	slow = cl_kernel_of(p, "slow");
	blocking_map_waits(cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL), "buffer");
	blocking_map_waits(image_of(8), "image");
	blocking_map_waits_for_events(unordered, "out of order");
	blocking_map_waits_for_events(c.queue, "in order");
	no_order();
	released_while_mapping();
	part_stays_mapped();
	only_written_by_the_host();
	OK(clReleaseKernel(slow));
	OK(clReleaseProgram(p));
	OK(clReleaseCommandQueue(unordered));
	cl_teardown(&c);
	return 0;
}
