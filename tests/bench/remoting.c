// SPDX-License-Identifier: Apache-2.0
// What calling OpenCL costs, case by case. Run it on the host's own OpenCL and through ferry-vgpu; the
// difference is Ferry's. Prints one line for each figure, `name <tab> value <tab> unit`: the median of several runs.
// tests/bench/remoting.py runs both in turn and compares.
#include "../api/api.h"

#include "base/clock.h"

#define BYTES   ((size_t)64 << 20)
#define MANY    1000
#define RUNS    7
#define SINGLES 300
#define ROUNDS  50 // of chatter

static struct cl c;
static cl_kernel empty;
static cl_mem a, b, small;
static char *host;

// ---- launches

static void enqueue_empty(void)
{
	size_t one = 1;

	OK(clEnqueueNDRangeKernel(c.queue, empty, 1, NULL, &one, &one, 0, NULL, NULL));
}

static void single(void)
{
	for (int i = 0; i < SINGLES; i++) {
		enqueue_empty();
		OK(clFinish(c.queue));
	}
}

static void many(void)
{
	for (int i = 0; i < MANY; i++)
		enqueue_empty();
	OK(clFinish(c.queue));
}

static void with_argument(void)
{
	for (int i = 0; i < MANY; i++) {
		OK(clSetKernelArg(empty, 1, sizeof i, &i));
		enqueue_empty();
	}
	OK(clFinish(c.queue));
}

static void set_argument(void)
{
	for (int i = 0; i < MANY; i++)
		OK(clSetKernelArg(empty, 1, sizeof i, &i));
}

static void ask(void)
{
	cl_uint units;
	char name[256];

	for (int i = 0; i < MANY; i++) {
		OK(clGetDeviceInfo(
			c.device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL));
		OK(clGetKernelInfo(empty, CL_KERNEL_FUNCTION_NAME, sizeof name, name, NULL));
	}
}

// ---- bytes

static void write_all(void)
{
	OK(clEnqueueWriteBuffer(c.queue, a, CL_TRUE, 0, BYTES, host, 0, NULL, NULL));
	OK(clFinish(c.queue));
}

static void read_all(void)
{
	OK(clEnqueueReadBuffer(c.queue, a, CL_TRUE, 0, BYTES, host, 0, NULL, NULL));
}

// Not waited for in the call, and behind a kernel.
static void write_later(void)
{
	enqueue_empty();
	OK(clEnqueueWriteBuffer(c.queue, a, CL_FALSE, 0, BYTES, host, 0, NULL, NULL));
	OK(clFinish(c.queue));
}

static void read_later(void)
{
	enqueue_empty();
	OK(clEnqueueReadBuffer(c.queue, a, CL_FALSE, 0, BYTES, host, 0, NULL, NULL));
	OK(clFinish(c.queue));
}

static void copy_all(void)
{
	OK(clEnqueueCopyBuffer(c.queue, a, b, 0, 0, BYTES, 0, NULL, NULL));
	OK(clFinish(c.queue));
}

static void read_four(void)
{
	for (int i = 0; i < SINGLES; i++)
		OK(clEnqueueReadBuffer(c.queue, a, CL_TRUE, 0, 4, host, 0, NULL, NULL));
}

static void map_unmap(cl_mem m, cl_map_flags flags, size_t n)
{
	cl_int err;
	char *at = clEnqueueMapBuffer(c.queue, m, CL_TRUE, flags, 0, n, 0, NULL, NULL, &err);

	OK(err);
	at[n - 1] = at[0];
	OK(clEnqueueUnmapMemObject(c.queue, m, at, 0, NULL, NULL));
	OK(clFinish(c.queue));
}

static void map_small(void)
{
	for (int i = 0; i < SINGLES; i++)
		map_unmap(small, CL_MAP_READ | CL_MAP_WRITE, 4096);
}

static void map_large(void)
{
	map_unmap(a, CL_MAP_READ | CL_MAP_WRITE, BYTES);
}

// ---- programs

static void build(void)
{
	OK(clReleaseProgram(cl_build(&c, "kernel void warm(global int *x) { x[0] = 1; }")));
}

// ---- what a library of small routines does (CLBlast's tests): buffers made, filled, used, read and
// dropped, with a finish after each step

static void chatter_round(void)
{
	cl_mem m[3];
	int x[256] = { 0 };

	for (int i = 0; i < 3; i++) {
		m[i] = cl_buffer(&c, CL_MEM_READ_WRITE, sizeof x, NULL);
		OK(clEnqueueWriteBuffer(c.queue, m[i], CL_TRUE, 0, sizeof x, x, 0, NULL, NULL));
	}
	OK(clSetKernelArg(empty, 0, sizeof m[0], &m[0]));
	enqueue_empty();
	OK(clFinish(c.queue));
	OK(clEnqueueReadBuffer(c.queue, m[2], CL_TRUE, 0, sizeof x, x, 0, NULL, NULL));
	OK(clSetKernelArg(empty, 0, sizeof a, &a));
	for (int i = 0; i < 3; i++)
		OK(clReleaseMemObject(m[i]));
	OK(clFinish(c.queue));
}

static void chatter(void)
{
	for (int i = 0; i < ROUNDS; i++)
		chatter_round();
}

// ---- measuring

static int by_size(const void *x, const void *y)
{
	double d = *(const double *)x - *(const double *)y;

	return d < 0 ? -1 : d > 0;
}

// Median seconds of one call, after one that does not count.
static double median(void (*fn)(void))
{
	double t[RUNS];

	fn();
	for (int i = 0; i < RUNS; i++) {
		int64_t start = clock_now_ns();
		fn();
		t[i] = (double)(clock_now_ns() - start) / 1e9;
	}
	qsort(t, RUNS, sizeof t[0], by_size);
	return t[RUNS / 2];
}

static const struct {
	const char *name, *unit;
	void (*fn)(void);
	double amount; // of calls or bytes in one run
	double scale;  // seconds to the unit; 0: amount per second
} cases[] = {
	{ "empty kernel and finish", "us", single, SINGLES, 1e6 },
	{ "pipelined launches", "1/s", many, MANY, 0 },
	{ "pipelined, an argument each", "1/s", with_argument, MANY, 0 },
	{ "clSetKernelArg", "us", set_argument, MANY, 1e6 },
	{ "two queries", "us", ask, MANY, 1e6 },
	{ "read of 4 bytes", "us", read_four, SINGLES, 1e6 },
	{ "write of 64 MiB", "B/s", write_all, BYTES, 0 },
	{ "read of 64 MiB", "B/s", read_all, BYTES, 0 },
	{ "write, not blocking", "B/s", write_later, BYTES, 0 },
	{ "read, not blocking", "B/s", read_later, BYTES, 0 },
	{ "copy of 64 MiB", "B/s", copy_all, BYTES, 0 },
	{ "map and unmap of 4 KiB", "us", map_small, SINGLES, 1e6 },
	{ "map and unmap of 64 MiB", "us", map_large, 1, 1e6 },
	{ "warm program build", "ms", build, 1, 1e3 },
	{ "chatter, a round", "us", chatter, ROUNDS, 1e6 },
};

static void report(const char *name, double value, const char *unit)
{
	printf("%s\t%.6g\t%s\n", name, value, unit);
	fflush(stdout);
}

static void set_up(void)
{
	int zero = 0;
	int64_t start = clock_now_ns();

	c = cl_setup();
	report("first call to first queue", (double)(clock_now_ns() - start) / 1e6, "ms");
	empty = cl_kernel_of(cl_build(&c, "kernel void empty(global int *x, int i) { }"), "empty");
	a = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	b = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	small = cl_buffer(&c, CL_MEM_READ_WRITE, 4096, NULL);
	host = malloc(BYTES);
	CHECK(host);
	memset(host, 1, BYTES);
	OK(clSetKernelArg(empty, 0, sizeof a, &a));
	OK(clSetKernelArg(empty, 1, sizeof zero, &zero));
}

int main(void)
{
	set_up();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		double s = median(cases[i].fn);
		report(cases[i].name,
			cases[i].scale > 0 ? s / cases[i].amount * cases[i].scale
					   : cases[i].amount / s,
			cases[i].unit);
	}
	free(host);
	OK(clReleaseMemObject(a));
	OK(clReleaseMemObject(b));
	OK(clReleaseMemObject(small));
	OK(clReleaseKernel(empty));
	cl_teardown(&c);
}
