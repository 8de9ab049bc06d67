// SPDX-License-Identifier: Apache-2.0
// What calling OpenCL costs: the empty kernel, alone and by the thousand, and 64 MiB written, read
// and copied. Run it on the host's own OpenCL and through ferry-vgpu; the difference is Ferry's.
// Prints one line per figure, the median of several runs.
#include "../api/api.h"

#include <sys/resource.h>
#include "base/clock.h"

#define BYTES   ((size_t)64 << 20)
#define MANY    1000
#define RUNS    9
#define SINGLES 500

static struct cl c;
static cl_kernel empty;
static cl_mem a, b;
static char *host;

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

static void with_args(void)
{
	for (int i = 0; i < MANY; i++) {
		OK(clSetKernelArg(empty, 1, sizeof i, &i));
		enqueue_empty();
	}
	OK(clFinish(c.queue));
}

static void write_all(void)
{
	OK(clEnqueueWriteBuffer(c.queue, a, CL_TRUE, 0, BYTES, host, 0, NULL, NULL));
	OK(clFinish(c.queue));
}

static void read_all(void)
{
	OK(clEnqueueReadBuffer(c.queue, a, CL_TRUE, 0, BYTES, host, 0, NULL, NULL));
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

static int by_size(const void *x, const void *y)
{
	double d = *(const double *)x - *(const double *)y;

	return d < 0 ? -1 : d > 0;
}

static double cpu_s(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

// Median seconds of one call; *ret_cpu: this process's processor seconds per call, on average.
static double median(void (*fn)(void), double *ret_cpu)
{
	double t[RUNS];

	fn();
	double before = cpu_s();
	for (int i = 0; i < RUNS; i++) {
		int64_t start = clock_now_ns();
		fn();
		t[i] = (double)(clock_now_ns() - start) / 1e9;
	}
	*ret_cpu = (cpu_s() - before) / RUNS;
	qsort(t, RUNS, sizeof t[0], by_size);
	return t[RUNS / 2];
}

static void each(const char *name, void (*fn)(void), double n)
{
	double cpu, s = median(fn, &cpu);

	printf("%-28s %9.2f us (program's processor time %.2f us)\n", name, s / n * 1e6,
		cpu / n * 1e6);
}

static void rate(const char *name, void (*fn)(void))
{
	double cpu, s = median(fn, &cpu);

	printf("%-28s %9.2f GB/s\n", name, (double)BYTES / s / 1e9);
}

int main(void)
{
	c = cl_setup();
	cl_program p = cl_build(&c, "kernel void empty(global int *x, int i) { }");
	empty = cl_kernel_of(p, "empty");
	a = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	b = cl_buffer(&c, CL_MEM_READ_WRITE, BYTES, NULL);
	host = malloc(BYTES);
	CHECK(host);
	memset(host, 1, BYTES);
	int zero = 0;
	OK(clSetKernelArg(empty, 0, sizeof a, &a));
	OK(clSetKernelArg(empty, 1, sizeof zero, &zero));
	each("empty kernel + finish", single, SINGLES);
	each("1000 kernels + finish, each", many, MANY);
	each("the same with an argument", with_args, MANY);
	each("read of 4 bytes", read_four, SINGLES);
	rate("write of 64 MiB", write_all);
	rate("read of 64 MiB", read_all);
	rate("copy of 64 MiB", copy_all);
	free(host);
	OK(clReleaseMemObject(a));
	OK(clReleaseMemObject(b));
	OK(clReleaseKernel(empty));
	OK(clReleaseProgram(p));
	cl_teardown(&c);
}
