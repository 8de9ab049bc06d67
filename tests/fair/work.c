// SPDX-License-Identifier: Apache-2.0
// Work for a device: work ITERATIONS DEPTH launches kernels of that length, DEPTH of them ahead (1: each
// is waited for). It says "ready", then for each line "SECONDS" on standard input works for that time and
// prints what it got: {"kernels":N,"device_ms":X,"longest_ms":Y}, kernels that ended, the device's time
// by their events, and the longest wait from a kernel's launch to its end.
// work churn MEBIBYTES: in the same way makes a buffer, fills it, waits, and releases it, again and again:
// {"buffers":N}.
// work calibrate: prints how many iterations take a millisecond.
#include "../api/api.h"

#include "base/clock.h"

#define DEPTH_MAX 64
#define ITEMS     256

static const char source[] = "kernel void spin(global float *x, uint n) {"
			     " float a = get_global_id(0);"
			     " for (uint i = 0; i < n; i++) a = a * 1.0001f + 0.5f;"
			     " x[get_global_id(0)] = a; }";

static struct cl c;
static cl_kernel spin;
static cl_mem out;

struct launched {
	cl_event event;
	int64_t at_ns;
};

static struct launched launch(void)
{
	size_t global = ITEMS, local = ITEMS / 8;
	struct launched l = { .at_ns = clock_now_ns() };

	OK(clEnqueueNDRangeKernel(c.queue, spin, 1, NULL, &global, &local, 0, NULL, &l.event));
	return l;
}

static void set_length(cl_uint n)
{
	OK(clSetKernelArg(spin, 1, sizeof n, &n));
}

static double device_ns(cl_event e)
{
	cl_ulong from = 0, to = 0;

	OK(clGetEventProfilingInfo(e, CL_PROFILING_COMMAND_START, sizeof from, &from, NULL));
	OK(clGetEventProfilingInfo(e, CL_PROFILING_COMMAND_END, sizeof to, &to, NULL));
	return (double)(to - from);
}

struct got {
	unsigned long kernels;
	double device_ns, longest_ns;
};

static void await(struct launched *l, struct got *got, int64_t until)
{
	OK(clWaitForEvents(1, &l->event));
	int64_t now = clock_now_ns();
	if (now <= until) {
		double waited = (double)(now - l->at_ns);
		got->kernels++;
		got->device_ns += device_ns(l->event);
		got->longest_ns = waited > got->longest_ns ? waited : got->longest_ns;
	}
	OK(clReleaseEvent(l->event));
}

static void work(double seconds, unsigned depth)
{
	int64_t until = clock_now_ns() + (int64_t)(seconds * 1e9);
	struct launched ring[DEPTH_MAX];
	unsigned first = 0, n = 0;
	struct got got = { 0 };

	while (clock_now_ns() < until) {
		ring[(first + n++) % depth] = launch();
		OK(clFlush(c.queue));
		if (n < depth)
			continue;
		await(&ring[first], &got, until);
		first = (first + 1) % depth;
		n--;
	}
	for (; n; n--, first = (first + 1) % depth)
		await(&ring[first], &got, until);
	printf("{\"kernels\":%lu,\"device_ms\":%.3f,\"longest_ms\":%.3f}\n", got.kernels,
		got.device_ns / 1e6, got.longest_ns / 1e6);
	fflush(stdout);
}

static void churn(double seconds, size_t bytes)
{
	int64_t until = clock_now_ns() + (int64_t)(seconds * 1e9);
	const cl_uint pattern = 0x55aa55aa;
	unsigned long n = 0;

	for (; clock_now_ns() < until; n++) {
		cl_mem m = cl_buffer(&c, CL_MEM_READ_WRITE, bytes, NULL);
		OK(clEnqueueFillBuffer(
			c.queue, m, &pattern, sizeof pattern, 0, bytes, 0, NULL, NULL));
		OK(clFinish(c.queue));
		OK(clReleaseMemObject(m));
	}
	printf("{\"buffers\":%lu}\n", n);
	fflush(stdout);
}

static int calibrate(void)
{
	const cl_uint n = 20000;
	double best = 1e18;

	set_length(n);
	for (int i = 0; i < 20; i++) {
		struct launched l = launch();
		OK(clWaitForEvents(1, &l.event));
		double took = device_ns(l.event);
		best = took < best ? took : best;
		OK(clReleaseEvent(l.event));
	}
	printf("%.0f\n", n * 1e6 / best);
	return 0;
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

static int serve_churn(size_t mebibytes)
{
	char line[32];

	ready();
	while (fgets(line, sizeof line, stdin))
		churn(strtod(line, NULL), mebibytes << 20);
	return 0;
}

static int serve_work(cl_uint iterations, unsigned depth)
{
	char line[32];

	CHECK(depth >= 1 && depth <= DEPTH_MAX);
	set_length(1);
	launch(); // compiles
	OK(clFinish(c.queue));
	set_length(iterations);
	ready();
	while (fgets(line, sizeof line, stdin))
		work(strtod(line, NULL), depth);
	return 0;
}

int main(int argc, char **argv)
{
	CHECK(argc >= 2);
	c = cl_setup();
	spin = cl_kernel_of(cl_build(&c, source), "spin");
	out = cl_buffer(&c, CL_MEM_READ_WRITE, ITEMS * sizeof(float), NULL);
	OK(clSetKernelArg(spin, 0, sizeof out, &out));
	if (argc == 2)
		return calibrate();
	if (!strcmp(argv[1], "churn"))
		return serve_churn(strtoul(argv[2], NULL, 10));
	return serve_work((cl_uint)strtoul(argv[1], NULL, 10), (unsigned)atoi(argv[2]));
}
