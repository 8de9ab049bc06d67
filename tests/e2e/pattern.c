// SPDX-License-Identifier: Apache-2.0
// A workload with a right answer: set up, go on, verify. A buffer of counters is stepped window by
// window with a linear congruence; the host knows what each must be after N steps and compares all
// of them when it gets SIGTERM (or after --steps N). Plain OpenCL; knows nothing of Ferry.
//
// usage: pattern MEBIBYTES [--steps N] [--idle-us N] [--stored 1]
// --stored: its program is made of a binary.
// Prints "step N" ten times a second at most, and last "pattern ok N" or "pattern bad INDEX".
#include "workload.h"

#include <string.h>
#include <unistd.h>

#define WINDOWS 16

static const char source[] =
	"kernel void advance(global uint *p, uint first, uint a, uint c)\n"
	"{ size_t i = get_global_id(0) + first; p[i] = p[i] * a + c; }\n"
	"kernel void fill(global uint *p) { size_t i = get_global_id(0); p[i] = (uint)i; }\n";

struct device {
	cl_context context;
	cl_command_queue queue;
	cl_kernel step, start;
	cl_mem buffer;
	size_t count; // of u32
};

static void set_up(struct device *d, size_t mebibytes, bool stored)
{
	cl_device_id id = workload_begin(&d->context, &d->queue);
	cl_program program = workload_program(d->context, id, source);
	cl_int error;

	if (stored)
		program = workload_stored(d->context, id, program);
	d->step = workload_kernel(program, "advance");
	d->start = workload_kernel(program, "fill");
	clReleaseProgram(program);
	d->count = mebibytes << 18;
	d->buffer = clCreateBuffer(d->context, CL_MEM_READ_WRITE, d->count * 4, NULL, &error);
	must(error, "clCreateBuffer");
	must(clSetKernelArg(d->start, 0, sizeof d->buffer, &d->buffer), "clSetKernelArg");
	must(clEnqueueNDRangeKernel(d->queue, d->start, 1, NULL, &d->count, NULL, 0, NULL, NULL),
		"start");
	must(clFinish(d->queue), "clFinish");
}

static void step(struct device *d, uint64_t n)
{
	size_t size = d->count / WINDOWS;
	cl_uint first = (cl_uint)(n % WINDOWS * size), a = A, c = C;

	must(clSetKernelArg(d->step, 0, sizeof d->buffer, &d->buffer), "clSetKernelArg");
	must(clSetKernelArg(d->step, 1, sizeof first, &first), "clSetKernelArg");
	must(clSetKernelArg(d->step, 2, sizeof a, &a), "clSetKernelArg");
	must(clSetKernelArg(d->step, 3, sizeof c, &c), "clSetKernelArg");
	must(clEnqueueNDRangeKernel(d->queue, d->step, 1, NULL, &size, NULL, 0, NULL, NULL),
		"step");
	must(clFinish(d->queue), "clFinish");
}

static int verify(struct device *d, uint64_t steps)
{
	size_t size = d->count / WINDOWS;
	uint32_t *got = malloc(size * 4), a, c;

	for (size_t w = 0; w < WINDOWS; w++) {
		must(clEnqueueReadBuffer(d->queue, d->buffer, CL_TRUE, w * size * 4, size * 4, got,
			     0, NULL, NULL),
			"clEnqueueReadBuffer");
		workload_power(steps / WINDOWS + (w < steps % WINDOWS), &a, &c);
		for (size_t i = 0; i < size; i++) {
			if (got[i] == (uint32_t)(w * size + i) * a + c)
				continue;
			printf("pattern bad %zu\n", w * size + i);
			return 1;
		}
	}
	printf("pattern ok %llu\n", (unsigned long long)steps);
	free(got);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t steps = 0, most = UINT64_MAX;
	useconds_t idle = 0;
	bool stored = false;
	struct device d = { 0 };

	for (int i = 2; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--steps"))
			most = strtoull(argv[i + 1], NULL, 10);
		if (!strcmp(argv[i], "--idle-us"))
			idle = (useconds_t)strtoul(argv[i + 1], NULL, 10);
		stored |= !strcmp(argv[i], "--stored");
	}
	set_up(&d, argc > 1 ? strtoul(argv[1], NULL, 10) : 16, stored);
	for (; steps < most && !ended; steps++) {
		step(&d, steps);
		workload_say(steps);
		if (idle)
			usleep(idle);
	}
	return verify(&d, steps);
}
