// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, appendix A.2: every call but clSetKernelArg on one kernel is thread-safe. Threads with
// their own queues share a context, a program and a buffer.
#include "api.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 6
#define ROUNDS  150

static struct cl c;
static cl_program program;
static cl_mem shared;

static void one_round(cl_command_queue q, cl_kernel k, cl_mem m, int id, int round)
{
	int in[256], out[256], add = id * 1000 + round;
	size_t n = 256;
	cl_event e[2];

	for (int i = 0; i < 256; i++)
		in[i] = i;
	OK(clSetKernelArg(k, 0, sizeof m, &m));
	OK(clSetKernelArg(k, 1, sizeof add, &add));
	OK(clEnqueueWriteBuffer(q, m, CL_FALSE, 0, sizeof in, in, 0, NULL, &e[0]));
	OK(clEnqueueNDRangeKernel(q, k, 1, NULL, &n, NULL, 1, &e[0], &e[1]));
	OK(clEnqueueReadBuffer(q, m, round & 1, 0, sizeof out, out, 1, &e[1], NULL));
	if (!(round & 1))
		OK(clFinish(q));
	for (int i = 0; i < 256; i++)
		CHECK_EQ(out[i], i + add);
	OK(clReleaseEvent(e[0]));
	OK(clReleaseEvent(e[1]));
}

static void *work(void *arg)
{
	int id = (int)(intptr_t)arg;
	cl_int err;
	cl_command_queue q = clCreateCommandQueue(c.context, c.device, 0, &err);
	OK(err);
	cl_kernel k = cl_kernel_of(program, "add");
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 1024, NULL);

	for (int i = 0; i < ROUNDS; i++) {
		one_round(q, k, m, id, i);
		OK(clEnqueueFillBuffer(q, shared, &id, 4, (size_t)id * 4, 4, 0, NULL, NULL));
		OK(clRetainMemObject(shared));
		OK(clReleaseMemObject(shared));
	}
	OK(clFinish(q));
	OK(clReleaseMemObject(m));
	OK(clReleaseKernel(k));
	OK(clReleaseCommandQueue(q));
	return NULL;
}

static void threads_do_not_disturb_each_other(void)
{
	pthread_t t[THREADS];
	int got[THREADS];

	for (intptr_t i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, work, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	OK(clEnqueueReadBuffer(c.queue, shared, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL));
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(got[i], i);
}

static void *let_go(void *arg)
{
	OK(clSetUserEventStatus(arg, CL_COMPLETE));
	return NULL;
}

static void one_thread_frees_another(void)
{
	for (int i = 0; i < 20; i++) {
		pthread_t t;
		cl_int err;
		cl_event gate = clCreateUserEvent(c.context, &err), e;
		OK(err);
		OK(clEnqueueFillBuffer(c.queue, shared, &i, 4, 0, 4, 1, &gate, &e));
		CHECK_EQ(pthread_create(&t, NULL, let_go, gate), 0);
		OK(clWaitForEvents(1, &e));
		pthread_join(t, NULL);
		OK(clReleaseEvent(gate));
		OK(clReleaseEvent(e));
	}
}

#define BULK ((size_t)24 << 20)

static void *write_in_bulk(void *arg)
{
	_Bool *done = arg;
	int *words = malloc(BULK);
	cl_int err;
	cl_command_queue q = clCreateCommandQueue(c.context, c.device, 0, &err);
	OK(err);
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, BULK, NULL);

	CHECK(words);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < BULK / sizeof *words; i++)
			words[i] = (int)i ^ round;
		// Behind something that waits, so that memory shared with the host is no way around.
		cl_event gate = clCreateUserEvent(c.context, &err);
		OK(err);
		OK(clEnqueueMarkerWithWaitList(q, 1, &gate, NULL));
		OK(clEnqueueWriteBuffer(q, m, CL_FALSE, 0, BULK / 8, words, 0, NULL, NULL));
		OK(clSetUserEventStatus(gate, CL_COMPLETE));
		OK(clEnqueueWriteBuffer(q, m, CL_TRUE, BULK / 8, BULK - BULK / 8,
			(char *)words + BULK / 8, 0, NULL, NULL));
		memset(words, 0, BULK);
		OK(clEnqueueReadBuffer(q, m, CL_TRUE, 0, BULK, words, 0, NULL, NULL));
		for (size_t i = 0; i < BULK / sizeof *words; i++)
			CHECK_EQ(words[i], (int)i ^ round);
		OK(clReleaseEvent(gate));
	}
	__atomic_store_n(done, 1, __ATOMIC_SEQ_CST);
	OK(clReleaseMemObject(m));
	OK(clReleaseCommandQueue(q));
	free(words);
	return NULL;
}

// Two write far more than the stream holds, while others go on with small calls.
static void long_writes_do_not_disturb_small_calls(void)
{
	_Bool done[2] = { 0 };
	pthread_t bulk[2], small;

	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&bulk[i], NULL, write_in_bulk, &done[i]), 0);
	for (intptr_t id = 0; !__atomic_load_n(&done[0], __ATOMIC_SEQ_CST) || id < 2; id++) {
		CHECK_EQ(pthread_create(&small, NULL, work, (void *)(id % THREADS)), 0);
		pthread_join(small, NULL);
	}
	pthread_join(bulk[0], NULL);
	pthread_join(bulk[1], NULL);
}

struct bulk_write {
	cl_mem m;
	cl_event gate;
	const int *words;
};

static void *write_behind_gate(void *arg)
{
	const struct bulk_write *w = arg;
	const size_t zero[3] = { 0 }, region[3] = { BULK / 1024, 1024, 1 };
	cl_int err;
	cl_command_queue q = clCreateCommandQueue(c.context, c.device, 0, &err);
	OK(err);

	OK(clEnqueueWriteBufferRect(
		q, w->m, CL_TRUE, zero, zero, region, 0, 0, 0, 0, w->words, 1, &w->gate, NULL));
	OK(clFinish(q));
	OK(clReleaseCommandQueue(q));
	return NULL;
}

// The write may not begin, and must not keep the other threads' commands from the one that lets it.
static void a_long_blocking_write_that_waits_disturbs_nobody(void)
{
	pthread_t t;
	cl_int err;
	int *words = malloc(BULK), *got = malloc(BULK);
	struct bulk_write w = { cl_buffer(&c, CL_MEM_READ_WRITE, BULK, NULL),
		clCreateUserEvent(c.context, &err), words };

	OK(err);
	CHECK(words && got);
	for (size_t i = 0; i < BULK / sizeof *words; i++)
		words[i] = (int)i;
	CHECK_EQ(pthread_create(&t, NULL, write_behind_gate, &w), 0);
	usleep(300000); // it is in its call by now, most likely
	work((void *)1);
	OK(clSetUserEventStatus(w.gate, CL_COMPLETE));
	pthread_join(t, NULL);
	OK(clEnqueueReadBuffer(c.queue, w.m, CL_TRUE, 0, BULK, got, 0, NULL, NULL));
	CHECK(!memcmp(got, words, BULK));
	OK(clReleaseEvent(w.gate));
	OK(clReleaseMemObject(w.m));
	free(words);
	free(got);
}

static void *box_there_and_back(void *unused)
{
	enum { SIDE = 600, ROW = 1000 };
	static char there[SIDE * SIDE], back[SIDE * SIDE];
	const size_t at[] = { 1, 1, 0 }, zero[3] = { 0 }, region[] = { SIDE, SIDE, 1 };
	cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, 1 << 20, NULL);

	for (size_t i = 0; i < sizeof there; i++)
		there[i] = (char)(i * 7);
	OK(clEnqueueWriteBufferRect(
		c.queue, m, CL_FALSE, at, zero, region, ROW, 0, SIDE, 0, there, 0, NULL, NULL));
	OK(clEnqueueReadBufferRect(
		c.queue, m, CL_TRUE, at, zero, region, ROW, 0, SIDE, 0, back, 0, NULL, NULL));
	CHECK(!memcmp(there, back, sizeof back));
	OK(clReleaseMemObject(m));
	return NULL;
}

static void a_small_stack_is_enough(void)
{
	pthread_attr_t small;
	pthread_t thread;

	CHECK_EQ(pthread_attr_init(&small), 0);
	CHECK_EQ(pthread_attr_setstacksize(&small, 64 << 10), 0);
	CHECK_EQ(pthread_create(&thread, &small, box_there_and_back, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(pthread_attr_destroy(&small), 0);
}

#define SIDE 768

static cl_mem picture; // SIDE rows and 256 more
static bool enough;

static void *map_the_last_rows(void *queue)
{
	const size_t origin[] = { 0, SIDE, 0 }, region[] = { SIDE, 256, 1 };
	size_t pitch;
	cl_int err;

	while (!__atomic_load_n(&enough, __ATOMIC_RELAXED)) {
		void *at = clEnqueueMapImage(queue, picture, CL_FALSE, CL_MAP_READ, origin, region,
			&pitch, NULL, 0, NULL, NULL, &err);
		OK(err);
		OK(clEnqueueUnmapMemObject(queue, picture, at, 0, NULL, NULL));
		OK(clFinish(queue));
	}
	return NULL;
}

// What one thread maps the kernel must not take back when another unmaps: here it does at once, madvise(2).
static void an_unmap_leaves_what_is_being_mapped(void)
{
	const cl_image_format format = { CL_RGBA, CL_UNSIGNED_INT8 };
	const cl_image_desc desc = {
		.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = SIDE, .image_height = SIDE + 256
	};
	const size_t zero[3] = { 0 }, region[] = { SIDE, SIDE, 1 };
	const uint8_t color = 'x';
	cl_int err;
	cl_command_queue q = clCreateCommandQueue(c.context, c.device, 0, &err);
	cl_uint fill[] = { color, color, color, color };
	pthread_t thread;
	size_t pitch;

	OK(err);
	picture = clCreateImage(c.context, 0, &format, &desc, NULL, &err);
	OK(err);
	OK(clEnqueueFillImage(c.queue, picture, fill, zero, region, 0, NULL, NULL));
	CHECK_EQ(pthread_create(&thread, NULL, map_the_last_rows, q), 0);
	for (int round = 0; round < 20; round++) {
		uint8_t *at = clEnqueueMapImage(c.queue, picture, CL_TRUE, CL_MAP_READ, zero,
			region, &pitch, NULL, 0, NULL, NULL, &err);
		OK(err);
		madvise((void *)(((uintptr_t)at + 4095) & ~(uintptr_t)4095), SIDE * pitch,
			21); // MADV_PAGEOUT, linux/mman.h
		for (size_t i = 0; i < SIDE * pitch; i++)
			CHECK_EQ(at[i], color);
		OK(clEnqueueUnmapMemObject(c.queue, picture, at, 0, NULL, NULL));
	}
	__atomic_store_n(&enough, true, __ATOMIC_RELAXED);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	OK(clFinish(c.queue));
	OK(clReleaseCommandQueue(q));
	OK(clReleaseMemObject(picture));
}

int main(void)
{
	c = cl_setup();
	program =
		cl_build(&c, "kernel void add(global int *x, int n) { x[get_global_id(0)] += n; }");
	shared = cl_buffer(&c, CL_MEM_READ_WRITE, 4096, NULL);
	RUN(threads_do_not_disturb_each_other);
	RUN(one_thread_frees_another);
	RUN(long_writes_do_not_disturb_small_calls);
	RUN(a_long_blocking_write_that_waits_disturbs_nobody);
	RUN(a_small_stack_is_enough);
	RUN(an_unmap_leaves_what_is_being_mapped);
	OK(clReleaseMemObject(shared));
	OK(clReleaseProgram(program));
	cl_teardown(&c);
}
