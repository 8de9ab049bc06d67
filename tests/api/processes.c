// SPDX-License-Identifier: Apache-2.0
// Several processes at once, and what fork(2) does: a child that had no OpenCL before has its own; one
// that inherits its parent's objects can use none of them, and the parent notices nothing. And signals.
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "api.h"
#include <CL/cl_ext.h>

#define CHILDREN 6
#define N        1024

static const char source[] = "kernel void k(global int *a, int k)"
			     "{ a[get_global_id(0)] = get_global_id(0) * k; }";

static void compute(struct cl *c, cl_kernel k, cl_int factor)
{
	cl_mem m = cl_buffer(c, CL_MEM_READ_WRITE, N * sizeof(cl_int), NULL);
	static cl_int got[N];
	size_t global = N;

	for (int round = 0; round < 20; round++) {
		OK(clSetKernelArg(k, 0, sizeof m, &m));
		OK(clSetKernelArg(k, 1, sizeof factor, &factor));
		OK(clEnqueueNDRangeKernel(c->queue, k, 1, NULL, &global, NULL, 0, NULL, NULL));
		OK(clEnqueueReadBuffer(c->queue, m, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL));
		for (int i = 0; i < N; i++)
			CHECK_EQ(got[i], i * factor);
	}
	OK(clReleaseMemObject(m));
}

// Waits until all are there, so that they hold what they have at once.
static void child(cl_int number, int there, int go)
{
	struct cl c = cl_setup();
	cl_program p = cl_build(&c, source);
	cl_kernel k = cl_kernel_of(p, "k");
	char byte = 0;

	CHECK_EQ(write(there, &byte, 1), 1);
	CHECK_EQ(read(go, &byte, 1), 0); // its other end closes
	compute(&c, k, number);
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
	cl_teardown(&c);
	_exit(0);
}

static void expect_exit(pid_t pid, int code)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code);
}

// Before this process uses OpenCL.
static void children_compute_side_by_side(void)
{
	int there[2], go[2];
	pid_t pids[CHILDREN];
	char byte;

	CHECK(pipe(there) == 0 && pipe(go) == 0);
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (!pids[i]) {
			close(go[1]);
			child(i + 1, there[1], go[0]);
		}
	}
	for (int i = 0; i < CHILDREN; i++)
		CHECK_EQ(read(there[0], &byte, 1), 1);
	close(go[1]);
	for (int i = 0; i < CHILDREN; i++)
		expect_exit(pids[i], 0);
	close(go[0]);
	close(there[0]);
	close(there[1]);
}

static void ignore(int number)
{
}

// Five thousand a second, whose handler has calls return early (EINTR): poll(2) does so in any case.
static void signals_interrupt_nothing(void)
{
	const struct sigaction action = { .sa_handler = ignore };
	const struct itimerval often = { { 0, 200 }, { 0, 200 } };

	for (int i = 0; i < 8; i++) {
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
			CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
			struct cl c = cl_setup();
			cl_program p = cl_build(&c, source);
			compute(&c, cl_kernel_of(p, "k"), i);
			_exit(0);
		}
		expect_exit(pid, 0);
	}
}

static bool through_ferry(cl_platform_id p)
{
	char suffix[32] = "";

	clGetPlatformInfo(p, CL_PLATFORM_ICD_SUFFIX_KHR, sizeof suffix, suffix, NULL);
	return !strcmp(suffix, "FERRY");
}

// What a driver's threads do after fork(2) is nowhere defined: only Ferry's answer is looked at.
static void inherited_objects_are_refused(struct cl *c, cl_kernel k)
{
	cl_mem m;
	cl_int err;
	cl_bool there = CL_TRUE;
	const size_t one = 1;

	if (!through_ferry(c->platform))
		return;
	pid_t pid = fork();
	if (pid) {
		expect_exit(pid, 0);
		return;
	}
	m = clCreateBuffer(c->context, 0, 64, NULL, &err);
	CHECK(!m && err == CL_DEVICE_NOT_AVAILABLE);
	CHECK_EQ(clEnqueueNDRangeKernel(c->queue, k, 1, NULL, &one, NULL, 0, NULL, NULL),
		CL_DEVICE_NOT_AVAILABLE);
	CHECK_EQ(clFinish(c->queue), CL_DEVICE_NOT_AVAILABLE);
	OK(clGetDeviceInfo(c->device, CL_DEVICE_AVAILABLE, sizeof there, &there, NULL));
	CHECK(!there);
	OK(clReleaseKernel(k)); // only memory of its own
	_exit(0);
}

static void the_parent_goes_on(struct cl *c, cl_kernel k)
{
	pid_t pid = fork();

	if (!pid)
		_exit(3);
	compute(c, k, 7);
	expect_exit(pid, 3);
}

// execve(2) ends what the process was: the new program starts anew.
static void a_program_that_is_executed_has_its_own(const char *self)
{
	pid_t pid = fork();

	if (!pid) {
		execl(self, self, "one", NULL);
		_exit(127);
	}
	expect_exit(pid, 0);
}

static void use_once(void)
{
	struct cl c = cl_setup();
	cl_program p = cl_build(&c, source);
	cl_kernel k = cl_kernel_of(p, "k");

	compute(&c, k, 3);
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
	cl_teardown(&c);
}

int main(int argc, char **argv)
{
	if (argc == 2) {
		use_once();
		return 0;
	}
	RUN(children_compute_side_by_side);
	RUN(signals_interrupt_nothing);
	struct cl c = cl_setup();
	cl_program p = cl_build(&c, source);
	cl_kernel k = cl_kernel_of(p, "k");
	inherited_objects_are_refused(&c, k);
	the_parent_goes_on(&c, k);
	printf("ok fork\n");
	a_program_that_is_executed_has_its_own(argv[0]);
	printf("ok exec\n");
	OK(clReleaseKernel(k));
	OK(clReleaseProgram(p));
	cl_teardown(&c);
}
