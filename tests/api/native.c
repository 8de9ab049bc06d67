// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.8.3: native kernels, functions of the program as commands of a queue.
#include "api.h"

#include <stdlib.h>
#include <unistd.h>

#define N 50000

static struct cl c;

// The argument of every function here.
struct args {
	cl_int *ints;
	cl_int *more;
	size_t n;
	cl_int by;
};

static void CL_CALLBACK add(void *p)
{
	struct args *a = p;

	for (size_t i = 0; i < a->n; i++)
		a->ints[i] += a->by;
}

static void CL_CALLBACK swap(void *p)
{
	struct args *a = p;

	for (size_t i = 0; i < a->n; i++) {
		cl_int v = a->ints[i];
		a->ints[i] = a->more[i];
		a->more[i] = v;
	}
}

static cl_event run(cl_command_queue q, void(CL_CALLBACK *fn)(void *), struct args a, cl_uint n,
	const cl_mem *mems, cl_uint n_waits, const cl_event *waits)
{
	const void *places[] = { &a.ints, &a.more };
	cl_event e;

	OK(clEnqueueNativeKernel(
		q, fn, &a, sizeof a, n, n ? mems : NULL, n ? places : NULL, n_waits, waits, &e));
	a = (struct args){ NULL, NULL, 1, 999 }; // the command has a copy
	return e;
}

static cl_mem filled(cl_mem_flags flags, size_t n, cl_int v, void *host_ptr)
{
	cl_mem m = cl_buffer(&c, flags, n * sizeof v, host_ptr);

	OK(clEnqueueFillBuffer(c.queue, m, &v, sizeof v, 0, n * sizeof v, 0, NULL, NULL));
	return m;
}

static void expect(cl_mem m, size_t n, cl_int v)
{
	cl_int *at = malloc(n * sizeof v);

	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, n * sizeof v, at, 0, NULL, NULL));
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(at[i], v);
	free(at);
}

static void the_device_runs_them(void)
{
	cl_device_exec_capabilities can;

	OK(clGetDeviceInfo(c.device, CL_DEVICE_EXECUTION_CAPABILITIES, sizeof can, &can, NULL));
	CHECK_EQ(can, CL_EXEC_KERNEL | CL_EXEC_NATIVE_KERNEL);
}

static void one_has_its_place_in_the_queue(void)
{
	cl_program p =
		cl_build(&c, "kernel void twice(global int *a) { a[get_global_id(0)] *= 2; }");
	cl_kernel k = cl_kernel_of(p, "twice");
	cl_mem m = filled(CL_MEM_READ_WRITE, N, 1, NULL);
	size_t n = N;

	OK(clSetKernelArg(k, 0, sizeof m, &m));
	for (int i = 0; i < 10; i++) {
		OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &n, NULL, 0, NULL, NULL));
		clReleaseEvent(run(c.queue, add, (struct args){ .n = N, .by = 1 }, 1, &m, 0, NULL));
	}
	expect(m, N, 2047);
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
	OK(clReleaseMemObject(m));
	puts("ok: a native kernel has its place between kernels");
}

static void several_buffers(void)
{
	cl_int *own = malloc(N * sizeof *own);
	cl_mem m[] = { filled(CL_MEM_READ_WRITE, N, 3, NULL),
		filled(CL_MEM_USE_HOST_PTR, N, 4, own) };

	clReleaseEvent(run(c.queue, swap, (struct args){ .n = N }, 2, m, 0, NULL));
	expect(m[0], N, 4);
	expect(m[1], N, 3);
	OK(clReleaseMemObject(m[0]));
	OK(clReleaseMemObject(m[1]));
	free(own);
	puts("ok: several buffers, and memory of the program's own");
}

static void the_host_may_not_but_a_kernel_may(void)
{
	cl_mem m = filled(CL_MEM_READ_WRITE | CL_MEM_HOST_NO_ACCESS, 4, 1, NULL);
	cl_mem seen = cl_buffer(&c, CL_MEM_READ_WRITE, 4 * sizeof(cl_int), NULL);

	clReleaseEvent(run(c.queue, add, (struct args){ .n = 4, .by = 6 }, 1, &m, 0, NULL));
	OK(clEnqueueCopyBuffer(c.queue, m, seen, 0, 0, 4 * sizeof(cl_int), 0, NULL, NULL));
	expect(seen, 4, 7);
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(seen));
	puts("ok: a buffer that the host may not read");
}

// ---- events

static int ran; // atomic

static void CL_CALLBACK count(void *p)
{
	__atomic_add_fetch(&ran, 1, __ATOMIC_SEQ_CST);
}

static void it_waits_and_is_waited_for(void)
{
	cl_int err;
	cl_event user = clCreateUserEvent(c.context, &err), e;
	cl_command_type type;
	cl_int status;

	OK(err);
	OK(clEnqueueNativeKernel(c.queue, count, NULL, 0, 0, NULL, NULL, 1, &user, &e));
	OK(clGetEventInfo(e, CL_EVENT_COMMAND_TYPE, sizeof type, &type, NULL));
	CHECK_EQ(type, CL_COMMAND_NATIVE_KERNEL);
	OK(clFlush(c.queue));
	usleep(20000);
	CHECK_EQ(__atomic_load_n(&ran, __ATOMIC_SEQ_CST), 0);
	OK(clSetUserEventStatus(user, CL_COMPLETE));
	OK(clWaitForEvents(1, &e));
	CHECK_EQ(__atomic_load_n(&ran, __ATOMIC_SEQ_CST), 1);
	OK(clGetEventInfo(e, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
	CHECK_EQ(status, CL_COMPLETE);
	OK(clReleaseEvent(e));
	OK(clReleaseEvent(user));
	OK(clEnqueueNativeKernel(c.queue, count, NULL, 0, 0, NULL, NULL, 0, NULL, NULL));
	OK(clFinish(c.queue));
	CHECK_EQ(__atomic_load_n(&ran, __ATOMIC_SEQ_CST), 2);
	puts("ok: it waits for an event, and is waited for");
}

static void its_times_are_in_order(void)
{
	cl_event e;
	cl_ulong t[4];

	OK(clEnqueueNativeKernel(c.queue, count, NULL, 0, 0, NULL, NULL, 0, NULL, &e));
	OK(clWaitForEvents(1, &e));
	for (cl_uint i = 0; i < 4; i++)
		OK(clGetEventProfilingInfo(
			e, CL_PROFILING_COMMAND_QUEUED + i, sizeof t[i], &t[i], NULL));
	CHECK(t[0] && t[0] <= t[1] && t[1] <= t[2] && t[2] <= t[3]);
	OK(clReleaseEvent(e));
	puts("ok: its times are in order");
}

static void CL_CALLBACK note(cl_event e, cl_int status, void *user_data)
{
	__atomic_store_n((cl_int *)user_data, status + 1, __ATOMIC_SEQ_CST);
}

static void its_end_calls_back(void)
{
	cl_int noted = 0;
	cl_mem m = filled(CL_MEM_READ_WRITE, 4, 0, NULL);
	cl_event e = run(c.queue, add, (struct args){ .n = 4, .by = 1 }, 1, &m, 0, NULL);

	OK(clSetEventCallback(e, CL_COMPLETE, note, &noted));
	OK(clReleaseMemObject(m)); // the command keeps it
	OK(clFlush(c.queue));
	while (!__atomic_load_n(&noted, __ATOMIC_SEQ_CST))
		usleep(1000);
	CHECK_EQ(noted, 1);
	OK(clReleaseEvent(e));
	puts("ok: its end calls back");
}

// An out-of-order queue: a chain by events alone.
static void events_order_an_out_of_order_queue(void)
{
	cl_int err;
	cl_command_queue q = clCreateCommandQueue(
		c.context, c.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err);
	cl_mem m = filled(CL_MEM_READ_WRITE, N, 0, NULL);
	cl_event last = NULL;

	OK(err);
	OK(clFinish(c.queue));
	for (int i = 0; i < 20; i++) {
		cl_event e = run(q, add, (struct args){ .n = N, .by = 1 }, 1, &m, !!last,
			last ? &last : NULL);
		if (last)
			OK(clReleaseEvent(last));
		last = e;
	}
	OK(clFinish(q));
	OK(clReleaseEvent(last));
	expect(m, N, 20);
	OK(clReleaseMemObject(m));
	OK(clReleaseCommandQueue(q));
	puts("ok: events order them in an out-of-order queue");
}

static void wrong_arguments(void)
{
	cl_mem m = filled(CL_MEM_READ_WRITE, 4, 0, NULL), none = NULL;
	struct args a = { 0 };
	const void *place = &a.ints;
	cl_event unset = NULL;

	CHECK_EQ(clEnqueueNativeKernel(NULL, add, &a, sizeof a, 0, NULL, NULL, 0, NULL, NULL),
		CL_INVALID_COMMAND_QUEUE);
	CHECK_EQ(clEnqueueNativeKernel(c.queue, NULL, &a, sizeof a, 0, NULL, NULL, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueNativeKernel(c.queue, add, NULL, sizeof a, 0, NULL, NULL, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueNativeKernel(c.queue, add, &a, 0, 0, NULL, NULL, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueNativeKernel(c.queue, add, &a, sizeof a, 1, NULL, &place, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueNativeKernel(c.queue, add, &a, sizeof a, 1, &m, NULL, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueNativeKernel(c.queue, add, &a, sizeof a, 0, &m, NULL, 0, NULL, NULL),
		CL_INVALID_VALUE);
	CHECK_EQ(clEnqueueNativeKernel(c.queue, add, &a, sizeof a, 1, &none, &place, 0, NULL, NULL),
		CL_INVALID_MEM_OBJECT);
	CHECK_EQ(clEnqueueNativeKernel(c.queue, add, &a, sizeof a, 1, &m, &place, 1, NULL, NULL),
		CL_INVALID_EVENT_WAIT_LIST);
	CHECK_EQ(clEnqueueNativeKernel(c.queue, add, &a, sizeof a, 1, &m, &place, 1, &unset, NULL),
		CL_INVALID_EVENT_WAIT_LIST);
	OK(clReleaseMemObject(m));
	puts("ok: wrong arguments are refused");
}

// ---- more commands behind it than may be outstanding

#define MANY 60000

static int enqueued; // atomic

// Begins to write when the program enqueues nothing more, be it that all is enqueued or that it must wait.
static void CL_CALLBACK add_when_all_waits(void *p)
{
	for (int before = -1, now = 0; now != before && now < MANY;) {
		before = now;
		usleep(100000);
		now = __atomic_load_n(&enqueued, __ATOMIC_SEQ_CST);
	}
	add(p);
}

static void its_bytes_have_room_beside_all_that_waits(void)
{
	const size_t n = 2u << 20;
	const char pattern[128] = { 0 };
	cl_mem m = filled(CL_MEM_READ_WRITE, n, 1, NULL);
	cl_mem other = cl_buffer(&c, CL_MEM_READ_WRITE, sizeof pattern, NULL);

	clReleaseEvent(
		run(c.queue, add_when_all_waits, (struct args){ .n = n, .by = 1 }, 1, &m, 0, NULL));
	for (int i = 0; i < MANY; i++) {
		OK(clEnqueueFillBuffer(
			c.queue, other, pattern, sizeof pattern, 0, sizeof pattern, 0, NULL, NULL));
		__atomic_add_fetch(&enqueued, 1, __ATOMIC_SEQ_CST);
	}
	expect(m, n, 2);
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(other));
	puts("ok: thousands of commands wait behind one");
}

// Its bytes go when its turn has come, beside all that waits behind the native kernel.
static void a_write_before_it_has_room_too(void)
{
	const size_t n = 2u << 20;
	const char pattern[128] = { 0 };
	cl_int err, *ones = malloc(n * sizeof *ones);
	cl_event gate = clCreateUserEvent(c.context, &err);
	cl_mem m = filled(CL_MEM_READ_WRITE, n, 0, NULL);
	cl_mem other = cl_buffer(&c, CL_MEM_READ_WRITE, sizeof pattern, NULL);

	OK(err);
	for (size_t i = 0; i < n; i++)
		ones[i] = 1;
	OK(clFinish(c.queue));
	OK(clEnqueueWriteBuffer(c.queue, m, CL_FALSE, 0, n * sizeof *ones, ones, 1, &gate, NULL));
	clReleaseEvent(run(c.queue, add, (struct args){ .n = n, .by = 1 }, 1, &m, 0, NULL));
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	for (int i = 0; i < MANY; i++)
		OK(clEnqueueFillBuffer(
			c.queue, other, pattern, sizeof pattern, 0, sizeof pattern, 0, NULL, NULL));
	expect(m, n, 2);
	OK(clReleaseEvent(gate));
	OK(clReleaseMemObject(m));
	OK(clReleaseMemObject(other));
	free(ones);
	puts("ok: a large write before it");
}

int main(void)
{
	c = cl_setup();
	the_device_runs_them();
	one_has_its_place_in_the_queue();
	several_buffers();
	the_host_may_not_but_a_kernel_may();
	it_waits_and_is_waited_for();
	its_times_are_in_order();
	its_end_calls_back();
	events_order_an_out_of_order_queue();
	wrong_arguments();
	its_bytes_have_room_beside_all_that_waits();
	a_write_before_it_has_room_too();
	cl_teardown(&c);
	return 0;
}
