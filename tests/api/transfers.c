// SPDX-License-Identifier: Apache-2.0
// Large reads, writes and maps, in every kind of queue: their order among commands, events and
// profiling times, sub-buffers, memory of the program's own.
#include "api.h"

#define N     ((size_t)1 << 20) // numbers: 4 MiB
#define BYTES (N * sizeof(cl_uint))

static struct cl c;
static cl_kernel add, slow;
static cl_uint *data, *got;

static void run(cl_command_queue q, cl_kernel k, cl_mem m, cl_uint n)
{
	size_t global = N;

	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clSetKernelArg(k, 1, sizeof n, &n));
	OK(clEnqueueNDRangeKernel(q, k, 1, NULL, &global, NULL, 0, NULL, NULL));
}

static void fill(cl_uint first)
{
	for (size_t i = 0; i < N; i++)
		data[i] = (cl_uint)i + first;
}

static void expect(const cl_uint *at, size_t n, cl_uint first)
{
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(at[i], (cl_uint)i + first);
}

// A blocking transfer comes after what was enqueued before it, without any other wait.
static void blocking_transfers_keep_their_place(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);

	fill(0);
	OK(clEnqueueWriteBuffer(c.queue, m, CL_TRUE, 0, BYTES, data, 0, NULL, NULL));
	memset(data, 0, BYTES); // the program's again
	for (int i = 0; i < 5; i++)
		run(c.queue, slow, m, 1);
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, BYTES, got, 0, NULL, NULL));
	expect(got, N, 5);
	fill(100);
	run(c.queue, slow, m, 1); // must not add to what is written next
	OK(clEnqueueWriteBuffer(c.queue, m, CL_TRUE, 0, BYTES, data, 0, NULL, NULL));
	run(c.queue, add, m, 7);
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, BYTES / 2, BYTES / 2, got, 0, NULL, NULL));
	expect(got, N / 2, (cl_uint)(N / 2) + 107);
	OK(clReleaseMemObject(m));
}

// On an idle queue, then behind a kernel: what is not waited for comes in order all the same.
static void transfers_not_waited_for_keep_their_place(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	cl_event e;

	OK(clFinish(c.queue));
	fill(0);
	OK(clEnqueueWriteBuffer(c.queue, m, CL_FALSE, 0, BYTES, data, 0, NULL, &e));
	run(c.queue, slow, m, 1);
	OK(clWaitForEvents(1, &e));
	OK(clReleaseEvent(e));
	fill(1000); // the first write has ended; the kernel may not have
	OK(clEnqueueWriteBuffer(c.queue, m, CL_FALSE, 0, BYTES / 2, data, 0, NULL, NULL));
	run(c.queue, slow, m, 1);
	OK(clEnqueueReadBuffer(c.queue, m, CL_FALSE, 0, BYTES, got, 0, NULL, NULL));
	run(c.queue, slow, m, 1); // after the read
	OK(clFinish(c.queue));
	expect(got, N / 2, 1001);
	expect(got + N / 2, N / 2, (cl_uint)(N / 2) + 2);
	OK(clEnqueueReadBuffer(c.queue, m, CL_FALSE, 0, BYTES, got, 0, NULL, &e));
	OK(clWaitForEvents(1, &e));
	OK(clReleaseEvent(e));
	expect(got, N / 2, 1002);
	OK(clReleaseMemObject(m));
}

static void check_times(cl_event e)
{
	cl_ulong t[4];

	for (cl_uint i = 0; i < 4; i++)
		OK(clGetEventProfilingInfo(
			e, CL_PROFILING_COMMAND_QUEUED + i, sizeof t[i], &t[i], NULL));
	CHECK(t[0] && t[0] <= t[1] && t[1] <= t[2] && t[2] <= t[3]);
}

static void blocking_transfers_have_events(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	cl_event wrote, read;
	cl_command_type type;
	cl_int status;

	fill(3);
	OK(clEnqueueWriteBuffer(c.queue, m, CL_TRUE, 0, BYTES, data, 0, NULL, &wrote));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, BYTES, got, 1, &wrote, &read));
	expect(got, N, 3);
	OK(clGetEventInfo(read, CL_EVENT_COMMAND_TYPE, sizeof type, &type, NULL));
	CHECK_EQ(type, CL_COMMAND_READ_BUFFER);
	OK(clGetEventInfo(wrote, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
	CHECK_EQ(status, CL_COMPLETE);
	check_times(wrote);
	check_times(read);
	OK(clReleaseEvent(wrote));
	OK(clReleaseEvent(read));
	OK(clReleaseMemObject(m));
}

static cl_uint *map(cl_command_queue q, cl_mem m, cl_bool blocking, cl_map_flags flags,
	size_t offset, size_t size, cl_event *event)
{
	cl_int err;
	cl_uint *at = clEnqueueMapBuffer(q, m, blocking, flags, offset, size, 0, NULL, event, &err);

	OK(err);
	return at;
}

static void maps_show_and_take_what_is_there(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	cl_event e;

	fill(0);
	OK(clEnqueueWriteBuffer(c.queue, m, CL_FALSE, 0, BYTES, data, 0, NULL, NULL));
	run(c.queue, slow, m, 1);
	cl_uint *at = map(c.queue, m, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, BYTES, NULL);
	expect(at, N, 1);
	for (size_t i = 0; i < N; i++)
		at[i] += 10;
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	run(c.queue, slow, m, 1);
	// Part of it, and not waited for in the call.
	at = map(c.queue, m, CL_FALSE, CL_MAP_READ, 4096, 8192, &e);
	OK(clWaitForEvents(1, &e));
	OK(clReleaseEvent(e));
	expect(at, 2048, 1024 + 12);
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, &e));
	OK(clWaitForEvents(1, &e));
	OK(clReleaseEvent(e));
	at = map(c.queue, m, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, BYTES, NULL);
	for (size_t i = 0; i < N; i++)
		at[i] = (cl_uint)i + 500;
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, BYTES, got, 0, NULL, NULL));
	expect(got, N, 500);
	OK(clReleaseMemObject(m));
}

static void small_maps_do_the_same(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 64, NULL);
	cl_uint *at = map(c.queue, m, CL_TRUE, CL_MAP_WRITE, 0, 64, NULL);

	for (cl_uint i = 0; i < 16; i++)
		at[i] = i + 9;
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 64, got, 0, NULL, NULL));
	expect(got, 16, 9);
	OK(clReleaseMemObject(m));
}

static void parts_of_a_buffer_are_the_buffer(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	cl_buffer_region half = { BYTES / 2, BYTES / 2 };
	cl_int err;
	cl_mem part =
		clCreateSubBuffer(m, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &half, &err);

	OK(err);
	fill(0);
	OK(clEnqueueWriteBuffer(c.queue, part, CL_TRUE, 0, BYTES / 2, data, 0, NULL, NULL));
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, BYTES / 2, BYTES / 2, got, 0, NULL, NULL));
	expect(got, N / 2, 0);
	cl_uint *at = map(c.queue, part, CL_TRUE, CL_MAP_WRITE, 0, BYTES / 2, NULL);
	at[0] = 77;
	OK(clEnqueueUnmapMemObject(c.queue, part, at, 0, NULL, NULL));
	at = map(c.queue, m, CL_TRUE, CL_MAP_READ, BYTES / 2, 4096, NULL);
	CHECK_EQ(at[0], 77);
	CHECK_EQ(at[1], 1);
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clFinish(c.queue));
	OK(clReleaseMemObject(part));
	OK(clReleaseMemObject(m));
}

static void memory_of_the_programs_own_is_mapped_in_place(void)
{
	cl_int err;

	fill(1);
	cl_mem m = clCreateBuffer(
		c.context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, BYTES, data, &err);
	OK(err);
	run(c.queue, slow, m, 1);
	cl_uint *at = map(c.queue, m, CL_TRUE, CL_MAP_READ, 0, BYTES, NULL);
	CHECK(at == data);
	expect(at, N, 2);
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	run(c.queue, slow, m, 1);
	at = map(c.queue, m, CL_FALSE, CL_MAP_READ, 0, BYTES, NULL);
	CHECK(at == data);
	OK(clFinish(c.queue));
	expect(at, N, 3);
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clFinish(c.queue));
	OK(clReleaseMemObject(m));
	fill(4);
	m = cl_buffer(&c, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, BYTES, data);
	memset(data, 0, BYTES);
	run(c.queue, add, m, 1);
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, BYTES, got, 0, NULL, NULL));
	expect(got, N, 5);
	OK(clReleaseMemObject(m));
}

static void an_out_of_order_queue_does_the_same(void)
{
	cl_int err;
	cl_command_queue q = clCreateCommandQueue(
		c.context, c.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err);
	OK(err);
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	fill(20);
	OK(clEnqueueWriteBuffer(q, m, CL_TRUE, 0, BYTES, data, 0, NULL, NULL));
	cl_uint *at = map(q, m, CL_TRUE, CL_MAP_READ, 0, BYTES, NULL);
	expect(at, N, 20);
	OK(clEnqueueUnmapMemObject(q, m, at, 0, NULL, NULL));
	OK(clFinish(q));
	OK(clReleaseMemObject(m));
	OK(clReleaseCommandQueue(q));
}

// The first waits for the program's word and then for kernels; the bytes of the second, which is sent
// meanwhile, do not keep its own from coming.
static void a_large_write_follows_one_that_waits(void)
{
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	cl_mem other = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	cl_int err;
	cl_event word = clCreateUserEvent(c.context, &err);

	OK(err);
	fill(5);
	memcpy(got, data, BYTES);
	OK(clEnqueueMarkerWithWaitList(c.queue, 1, &word, NULL));
	for (int i = 0; i < 5; i++)
		run(c.queue, slow, m, 1);
	OK(clEnqueueWriteBuffer(c.queue, other, CL_FALSE, 0, BYTES, data, 0, NULL, NULL));
	OK(clSetUserEventStatus(word, CL_COMPLETE));
	OK(clEnqueueWriteBuffer(c.queue, m, CL_TRUE, 0, BYTES, got, 0, NULL, NULL));
	memset(got, 0, BYTES);
	OK(clEnqueueReadBuffer(c.queue, other, CL_TRUE, 0, BYTES, got, 0, NULL, NULL));
	expect(got, N, 5);
	OK(clReleaseEvent(word));
	OK(clReleaseMemObject(other));
	OK(clReleaseMemObject(m));
}

// One row of a box, which the driver may be given behind what it is doing.
static void a_row_of_a_box_is_that_row(void)
{
	const size_t row = 256, slice = 16 * row, at[] = { 8, 3, 2 }, zero[3] = { 0 };
	const size_t region[] = { 64, 1, 1 }, first = 2 * slice + 3 * row + 8;
	cl_mem busy = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	uint8_t *bytes = (uint8_t *)data, *back = (uint8_t *)got;

	fill(0);
	cl_mem m = cl_buffer(&c, CL_MEM_COPY_HOST_PTR, 64 << 10, data);
	run(c.queue, slow, busy, 1);
	OK(clEnqueueReadBufferRect(
		c.queue, m, CL_TRUE, at, zero, region, row, slice, 0, 0, back, 0, NULL, NULL));
	CHECK(!memcmp(back, bytes + first, region[0]));
	memset(back, 0xee, region[0]);
	run(c.queue, slow, busy, 1);
	OK(clEnqueueWriteBufferRect(
		c.queue, m, CL_FALSE, at, zero, region, row, slice, 0, 0, back, 0, NULL, NULL));
	memset(bytes + first, 0xee, region[0]);
	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 64 << 10, back, 0, NULL, NULL));
	CHECK(!memcmp(back, bytes, 64 << 10));
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(busy));
}

int main(void)
{
	c = cl_setup();
	cl_program p = cl_build(&c,
		"kernel void add(global uint *a, uint n) { a[get_global_id(0)] += n; }\n"
		"kernel void slow(global uint *a, uint n)\n"
		"{ uint x = n; for (uint i = 0; i < 200; i++) x = x * 3 + i;\n"
		"  a[get_global_id(0)] += x == 1234567 ? 2 * n : n; }\n");
	add = cl_kernel_of(p, "add");
	slow = cl_kernel_of(p, "slow");
	data = malloc(BYTES);
	got = malloc(BYTES);
	CHECK(data && got);
	RUN(blocking_transfers_keep_their_place);
	RUN(transfers_not_waited_for_keep_their_place);
	RUN(blocking_transfers_have_events);
	RUN(maps_show_and_take_what_is_there);
	RUN(small_maps_do_the_same);
	RUN(parts_of_a_buffer_are_the_buffer);
	RUN(memory_of_the_programs_own_is_mapped_in_place);
	RUN(an_out_of_order_queue_does_the_same);
	RUN(a_row_of_a_box_is_that_row);
	RUN(a_large_write_follows_one_that_waits);
	free(data);
	free(got);
	OK(clReleaseKernel(add));
	OK(clReleaseKernel(slow));
	OK(clReleaseProgram(p));
	cl_teardown(&c);
}
