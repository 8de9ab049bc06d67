// SPDX-License-Identifier: Apache-2.0
// What the guest's workloads share. Plain OpenCL; knows nothing of Ferry. A workload says "step N" ten
// times a second at most, goes on until SIGTERM, and then looks whether all is as it must be.
#pragma once

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Of the generator x -> x * A + C, modulo 2^32 (Knuth, TAOCP 2, section 3.3.4, table 1, line 16).
#define A 1664525u
#define C 1013904223u

static volatile sig_atomic_t ended;

static inline void on_signal(int signo)
{
	ended = 1;
}

static inline void must(cl_int error, const char *what)
{
	if (!error)
		return;
	printf("%s: error %d\n", what, (int)error);
	exit(1);
}

// The first device, a context and an in-order queue; lines are written as they end.
static inline cl_device_id workload_begin(cl_context *ret_context, cl_command_queue *ret_queue)
{
	cl_platform_id platform;
	cl_device_id id;
	cl_int error;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, on_signal);
	must(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
	must(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &id, NULL), "clGetDeviceIDs");
	*ret_context = clCreateContext(NULL, 1, &id, NULL, NULL, &error);
	must(error, "clCreateContext");
	*ret_queue = clCreateCommandQueue(*ret_context, id, 0, &error);
	must(error, "clCreateCommandQueue");
	return id;
}

static inline cl_program workload_program(cl_context c, cl_device_id id, const char *source)
{
	cl_int error;
	cl_program program = clCreateProgramWithSource(c, 1, &source, NULL, &error);

	must(error, "clCreateProgramWithSource");
	must(clBuildProgram(program, 1, &id, "", NULL, NULL), "clBuildProgram");
	return program;
}

// The same program again, made of its binary as from a file.
static inline cl_program workload_stored(cl_context c, cl_device_id id, cl_program program)
{
	unsigned char *binary;
	size_t size;
	cl_int error;

	must(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL), "size");
	binary = malloc(size);
	must(binary ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY, "malloc");
	must(clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL),
		"binary");
	must(clReleaseProgram(program), "clReleaseProgram");
	const unsigned char *stored = binary;
	program = clCreateProgramWithBinary(c, 1, &id, &size, &stored, NULL, &error);
	must(error, "clCreateProgramWithBinary");
	must(clBuildProgram(program, 1, &id, "", NULL, NULL), "clBuildProgram");
	free(binary);
	return program;
}

static inline cl_kernel workload_kernel(cl_program program, const char *name)
{
	cl_int error;
	cl_kernel k = clCreateKernel(program, name, &error);

	must(error, "clCreateKernel");
	return k;
}

static inline void workload_say(uint64_t step)
{
	static int64_t said;
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	int64_t tenths = t.tv_sec * 10 + t.tv_nsec / 100000000;
	if (tenths != said)
		printf("step %llu\n", (unsigned long long)step);
	said = tenths;
}

// `--idle-us N` is all that it may be told: steps until SIGTERM, so long apart. How many they were.
static inline uint64_t workload_run(
	int argc, char **argv, void (*step)(void *, uint64_t), void *scene)
{
	useconds_t idle = 0;
	uint64_t steps = 0;

	if (argc == 3 && !strcmp(argv[1], "--idle-us"))
		idle = (useconds_t)strtoul(argv[2], NULL, 10);
	for (; !ended; steps++) {
		step(scene, steps);
		workload_say(steps);
		usleep(idle);
	}
	return steps;
}

// n steps of the generator as one: x -> x * *ret_a + *ret_c.
static inline void workload_power(uint64_t n, uint32_t *ret_a, uint32_t *ret_c)
{
	uint32_t a = 1, c = 0;

	for (uint64_t i = 0; i < n; i++) {
		a *= A;
		c = c * A + C;
	}
	*ret_a = a;
	*ret_c = c;
}
