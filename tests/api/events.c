// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 5.9 to 5.12: events, user events, callbacks, markers, profiling, and queues
// that run out of order.
#include "api.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

static struct cl c;
static cl_mem m;

static cl_int status_of(cl_event e)
{
	cl_int s;

	OK(clGetEventInfo(e, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof s, &s, NULL));
	return s;
}

static cl_event user_event(void)
{
	cl_int err;
	cl_event e = clCreateUserEvent(c.context, &err);

	OK(err);
	return e;
}

static cl_event write_int(cl_command_queue q, int v, cl_uint n, const cl_event *waits)
{
	static int values[8192]; // each stays as it is until its command is over
	static int next;
	int *at = &values[next++ % 8192];
	cl_event e;

	*at = v;
	OK(clEnqueueWriteBuffer(q, m, CL_FALSE, 0, 4, at, n, waits, &e));
	return e;
}

static int read_int(void)
{
	int v;

	OK(clEnqueueReadBuffer(c.queue, m, CL_TRUE, 0, 4, &v, 0, NULL, NULL));
	return v;
}

static void an_event_tells_of_its_command(void)
{
	cl_event e = write_int(c.queue, 1, 0, NULL);
	cl_command_type type;
	cl_command_queue q;

	OK(clGetEventInfo(e, CL_EVENT_COMMAND_TYPE, sizeof type, &type, NULL));
	CHECK_EQ(type, CL_COMMAND_WRITE_BUFFER);
	OK(clGetEventInfo(e, CL_EVENT_COMMAND_QUEUE, sizeof q, &q, NULL));
	CHECK(q == c.queue);
	OK(clWaitForEvents(1, &e));
	CHECK_EQ(status_of(e), CL_COMPLETE);
	OK(clReleaseEvent(e));
}

static void a_user_event_holds_commands_back(void)
{
	write_int(c.queue, 1, 0, NULL);
	OK(clFinish(c.queue));
	cl_event gate = user_event(), e = write_int(c.queue, 2, 1, &gate);
	OK(clFlush(c.queue));
	usleep(20000);
	CHECK(status_of(e) > CL_COMPLETE);
	CHECK(status_of(gate) > CL_COMPLETE);
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	OK(clWaitForEvents(1, &e));
	CHECK_EQ(read_int(), 2);
	CHECK_EQ(clSetUserEventStatus(gate, CL_COMPLETE), CL_INVALID_OPERATION);
	CHECK_EQ(clSetUserEventStatus(e, CL_COMPLETE), CL_INVALID_EVENT);
	OK(clReleaseEvent(gate));
	OK(clReleaseEvent(e));
}

static volatile int calls;
static volatile cl_int called_with;

static void CL_CALLBACK note(cl_event e, cl_int status, void *user_data)
{
	called_with = status;
	calls += *(int *)user_data;
}

static void wait_for_calls(int n)
{
	for (int i = 0; i < 2000 && calls < n; i++)
		usleep(1000);
	CHECK_EQ(calls, n);
}

static void events_call_back(void)
{
	static int one = 1, ten = 10;
	cl_event gate = user_event(), e = write_int(c.queue, 3, 1, &gate);

	OK(clSetEventCallback(e, CL_COMPLETE, note, &one));
	usleep(10000);
	CHECK_EQ(calls, 0);
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	wait_for_calls(1);
	CHECK_EQ(called_with, CL_COMPLETE);
	OK(clSetEventCallback(e, CL_COMPLETE, note, &ten)); // already over
	wait_for_calls(11);
	OK(clSetEventCallback(gate, CL_COMPLETE, note, &one));
	wait_for_calls(12);
	OK(clReleaseEvent(gate));
	OK(clReleaseEvent(e));
}

static void profiling_times_are_in_order(void)
{
	cl_event e = write_int(c.queue, 4, 0, NULL);
	cl_ulong t[4];

	OK(clFinish(c.queue));
	for (cl_uint i = 0; i < 4; i++)
		OK(clGetEventProfilingInfo(
			e, CL_PROFILING_COMMAND_QUEUED + i, sizeof t[i], &t[i], NULL));
	CHECK(t[0] <= t[1] && t[1] <= t[2] && t[2] <= t[3] && t[0]);
	OK(clReleaseEvent(e));
	cl_event gate = user_event();
	CHECK_EQ(clGetEventProfilingInfo(gate, CL_PROFILING_COMMAND_END, sizeof t[0], &t[0], NULL),
		CL_PROFILING_INFO_NOT_AVAILABLE);
	OK(clReleaseEvent(gate));
}

static void out_of_order_only_events_order(void)
{
	cl_int err;
	cl_command_queue q = clCreateCommandQueue(
		c.context, c.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err);

	OK(err);
	cl_event gate = user_event(), last = write_int(q, 6, 1, &gate);
	cl_event first = write_int(q, 5, 0, NULL);
	OK(clFlush(q));
	OK(clWaitForEvents(1, &first)); // not held up by the one before it
	CHECK(status_of(last) > CL_COMPLETE);
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	OK(clWaitForEvents(1, &last));
	CHECK_EQ(read_int(), 6);
	cl_event chain = write_int(q, 7, 0, NULL);
	for (int i = 0; i < 50; i++) {
		cl_event next = write_int(q, 8 + i, 1, &chain);
		OK(clReleaseEvent(chain));
		chain = next;
	}
	OK(clFinish(q));
	CHECK_EQ(read_int(), 57);
	OK(clReleaseEvent(chain));
	OK(clReleaseEvent(first));
	OK(clReleaseEvent(last));
	OK(clReleaseEvent(gate));
	OK(clReleaseCommandQueue(q));
}

static void markers_and_barriers_wait(void)
{
	cl_event gate = user_event(), marker, barrier;
	cl_event e = write_int(c.queue, 9, 1, &gate);

	OK(clEnqueueMarkerWithWaitList(c.queue, 1, &e, &marker));
	OK(clEnqueueBarrierWithWaitList(c.queue, 0, NULL, &barrier));
	OK(clFlush(c.queue));
	CHECK(status_of(marker) > CL_COMPLETE);
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	OK(clWaitForEvents(1, &barrier));
	CHECK_EQ(status_of(marker), CL_COMPLETE);
	OK(clReleaseEvent(gate));
	OK(clReleaseEvent(e));
	OK(clReleaseEvent(marker));
	OK(clReleaseEvent(barrier));
}

static void a_failed_user_event_fails_what_waits(void)
{
	cl_int err;
	cl_command_queue q = clCreateCommandQueue(c.context, c.device, 0, &err);
	OK(err);
	cl_event gate = user_event(), e = write_int(q, 99, 1, &gate);

	OK(clFlush(q));
	OK(clSetUserEventStatus(gate, -5));
	CHECK_EQ(clWaitForEvents(1, &e), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
	CHECK(status_of(e) < 0);
	CHECK(read_int() != 99);
	OK(clReleaseEvent(gate));
	OK(clReleaseEvent(e));
	OK(clReleaseCommandQueue(q));
}

// Their events tell it, and no other command does.
static void a_read_or_map_that_fails_fails_nothing_else(void)
{
	const cl_uint seven = 7;
	cl_uint out[4] = { 0 };
	cl_int err;
	cl_mem held = cl_buffer(&c, CL_MEM_READ_WRITE, sizeof out, NULL);
	cl_event user = clCreateUserEvent(c.context, &err), e[2];

	OK(err);
	OK(clEnqueueReadBuffer(c.queue, held, CL_FALSE, 0, sizeof out, out, 1, &user, &e[0]));
	CHECK(clEnqueueMapBuffer(
		c.queue, held, CL_FALSE, CL_MAP_READ, 0, sizeof out, 1, &user, &e[1], &err));
	OK(err);
	OK(clSetUserEventStatus(user, -5));
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(clWaitForEvents(1, &e[i]), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
		OK(clEnqueueFillBuffer(
			c.queue, held, &seven, sizeof seven, 0, sizeof out, 0, NULL, NULL));
		OK(clReleaseEvent(e[i]));
	}
	OK(clEnqueueReadBuffer(c.queue, held, CL_TRUE, 0, sizeof out, out, 0, NULL, NULL));
	CHECK_EQ(out[3], 7);
	OK(clReleaseEvent(user));
	OK(clReleaseMemObject(held));
}

static void thousands_of_events_come_and_go(void)
{
	for (int i = 0; i < 5000; i++)
		OK(clReleaseEvent(write_int(c.queue, i, 0, NULL)));
	CHECK_EQ(read_int(), 4999);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Seconds for thousands of commands, all of them held back until the last is there.
static double thousands_held_back(cl_command_queue q)
{
	enum { N = 15000 };
	static cl_event ends[N];
	cl_event gate = user_event();
	double begin = seconds();
	const char seven = 7;

	for (int i = 0; i < N; i++)
		OK(clEnqueueFillBuffer(q, m, &seven, 1, 0, 4, 1, &gate, &ends[i]));
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	OK(clWaitForEvents(N, ends));
	for (int i = 0; i < N; i++)
		OK(clReleaseEvent(ends[i]));
	OK(clReleaseEvent(gate));
	return seconds() - begin;
}

static void without_order_thousands_are_held_back_as_with_it(void)
{
	cl_int err;
	cl_command_queue q = clCreateCommandQueue(
		c.context, c.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err);

	OK(err);
	double ordered = thousands_held_back(c.queue);
	CHECK(thousands_held_back(q) < 1 + 10 * ordered);
	OK(clReleaseCommandQueue(q));
}

// More than a message of any transport is likely to hold.
static void long_lists_are_waited_for(void)
{
	enum { N = 3000 };
	static cl_event list[N];
	cl_int err;
	cl_command_queue unordered = clCreateCommandQueue(
		c.context, c.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err);
	cl_command_queue queues[] = { c.queue, unordered };
	const cl_uint one = 1;
	cl_uint got;

	OK(err);
	for (int q = 0; q < 2; q++) {
		cl_event filled;
		for (int i = 0; i < N; i++)
			list[i] = user_event();
		OK(clEnqueueFillBuffer(queues[q], m, &one, 4, 0, 4, N, list, &filled));
		for (int i = N - 1; i >= 0; i--) {
			CHECK(status_of(filled) > CL_COMPLETE);
			OK(clSetUserEventStatus(list[i], CL_COMPLETE));
			OK(clReleaseEvent(list[i]));
		}
		OK(clEnqueueReadBuffer(queues[q], m, CL_TRUE, 0, 4, &got, 1, &filled, NULL));
		CHECK_EQ(got, 1);
		OK(clReleaseEvent(filled));
	}
	OK(clReleaseCommandQueue(unordered));
}

// A user event is submitted from the beginning.
static void submitted_calls_back(void)
{
	static int one = 1;
	cl_event user = user_event();

	calls = 0;
	OK(clSetEventCallback(user, CL_SUBMITTED, note, &one));
	wait_for_calls(1);
	CHECK_EQ(called_with, CL_SUBMITTED);
	OK(clSetUserEventStatus(user, CL_COMPLETE));
	OK(clReleaseEvent(user));
}

static void *wait_for(void *event)
{
	cl_event e = event;

	return clWaitForEvents(1, &e) == CL_SUCCESS ? event : NULL;
}

// Nothing else happens that could wake it.
static void a_thread_waits_for_what_another_sets(void)
{
	for (int i = 0; i < 3; i++) {
		cl_int err;
		cl_event e = clCreateUserEvent(c.context, &err);
		pthread_t waiter;
		void *woken;
		OK(err);
		CHECK_EQ(pthread_create(&waiter, NULL, wait_for, e), 0);
		usleep(50000);
		OK(clSetUserEventStatus(e, CL_COMPLETE));
		CHECK_EQ(pthread_join(waiter, &woken), 0);
		CHECK(woken == e);
		OK(clReleaseEvent(e));
	}
}

#define BIG (24u << 20)

static void all_are(cl_mem big, char *got, char v)
{
	OK(clEnqueueReadBuffer(c.queue, big, CL_TRUE, 0, BIG, got, 0, NULL, NULL));
	for (size_t i = 0; i < BIG; i++)
		if (got[i] != v)
			CHECK_EQ(got[i], v);
}

// More bytes than are let to wait for their turn: none of these calls may wait for the thread that makes
// them.
static void large_writes_wait_behind_a_user_event(void)
{
	cl_mem big = cl_buffer(&c, CL_MEM_READ_WRITE, BIG, NULL);
	const size_t origin[] = { 0, 0, 0 }, box[] = { BIG / 1024, 1024, 1 };
	char *one = malloc(BIG), *got = malloc(BIG);
	cl_event gate = user_event(), e;
	cl_int err;

	CHECK(one && got);
	memset(one, 1, BIG);
	OK(clEnqueueWriteBuffer(c.queue, big, CL_FALSE, 0, BIG, one, 1, &gate, NULL));
	OK(clEnqueueWriteBuffer(c.queue, big, CL_FALSE, 0, BIG, one, 0, NULL, NULL));
	OK(clEnqueueWriteBufferRect(
		c.queue, big, CL_FALSE, origin, origin, box, 0, 0, 0, 0, one, 0, NULL, &e));
	OK(clFlush(c.queue));
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	OK(clWaitForEvents(1, &e));
	all_are(big, got, 1);
	OK(clReleaseEvent(gate));
	OK(clReleaseEvent(e));
	char *at = clEnqueueMapBuffer(
		c.queue, big, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, BIG, 0, NULL, NULL, &err);
	OK(err);
	memset(at, 2, BIG);
	gate = user_event();
	OK(clEnqueueBarrierWithWaitList(c.queue, 1, &gate, NULL));
	OK(clEnqueueUnmapMemObject(c.queue, big, at, 0, NULL, NULL));
	OK(clSetUserEventStatus(gate, CL_COMPLETE));
	all_are(big, got, 2);
	OK(clReleaseEvent(gate));
	OK(clReleaseMemObject(big));
	free(one);
	free(got);
}

// What is written is gone with the event.
static void a_large_write_fails_with_its_event(void)
{
	cl_mem big = cl_buffer(&c, CL_MEM_READ_WRITE, BIG, NULL);
	char *one = calloc(1, BIG);
	cl_event gate = user_event(), e;

	CHECK(one);
	OK(clEnqueueWriteBuffer(c.queue, big, CL_FALSE, 0, BIG, one, 1, &gate, &e));
	OK(clSetUserEventStatus(gate, -5));
	CHECK(clWaitForEvents(1, &e) < 0);
	CHECK(status_of(e) < 0);
	OK(clEnqueueWriteBuffer(c.queue, big, CL_TRUE, 0, BIG, one, 0, NULL, NULL));
	OK(clReleaseEvent(gate));
	OK(clReleaseEvent(e));
	OK(clReleaseMemObject(big));
	free(one);
}

int main(void)
{
	c = cl_setup();
	m = cl_buffer(&c, CL_MEM_READ_WRITE, 4, NULL);
	RUN(an_event_tells_of_its_command);
	RUN(a_user_event_holds_commands_back);
	RUN(events_call_back);
	RUN(profiling_times_are_in_order);
	RUN(out_of_order_only_events_order);
	RUN(markers_and_barriers_wait);
	RUN(a_failed_user_event_fails_what_waits);
	RUN(a_read_or_map_that_fails_fails_nothing_else);
	RUN(thousands_of_events_come_and_go);
	RUN(without_order_thousands_are_held_back_as_with_it);
	RUN(long_lists_are_waited_for);
	RUN(submitted_calls_back);
	RUN(a_thread_waits_for_what_another_sets);
	OK(clReleaseMemObject(m));
	RUN(large_writes_wait_behind_a_user_event);
	RUN(a_large_write_fails_with_its_event);
	cl_teardown(&c);
}
