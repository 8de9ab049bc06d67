// SPDX-License-Identifier: Apache-2.0
// OpenCL 3.0, section 5.6: fine-grained shared virtual memory, and atomics in it. The program and the
// kernels use one memory at the same time, without maps. API_MEMORY says whether this device is to have
// it: "shared" (as on the host), "stream" (not), unset (either).
#define CL_TARGET_OPENCL_VERSION 300
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "api.h"

#define WORDS 4096u
#define TURNS 1000u

static const char source[] =
	"kernel void add(global uint *a, uint k) { a[get_global_id(0)] += k; }\n"
	"kernel void odd(global uchar *a) { a[2 * get_global_id(0) + 1] = 7; }\n"
	"kernel void count(volatile global int *n, uint k) {\n"
	"  for (uint i = 0; i < k; i++) atomic_inc(n); }\n"
	// Each turn: the kernel says a number, the program says it back. A program that is gone ends it.
	"kernel void play(volatile global int *said, volatile global int *heard, int turns) {\n"
	"  for (int i = 1; i <= turns; i++) {\n"
	"    atomic_xchg(said, i);\n"
	"    for (uint n = 0; atomic_or(heard, 0) != i; n++) if (n == 1u << 31) return; } }\n";

static struct cl c;
static cl_program program;
static cl_device_svm_capabilities can;

static void *alloc(size_t n, cl_svm_mem_flags flags)
{
	void *at = clSVMAlloc(c.context, CL_MEM_READ_WRITE | flags, n, 0);

	CHECK(at);
	return at;
}

static bool is_fine(void)
{
	return can & CL_DEVICE_SVM_FINE_GRAIN_BUFFER;
}

static bool has_atomics(void)
{
	return can & CL_DEVICE_SVM_ATOMICS;
}

static void launch(cl_kernel k, size_t n)
{
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &n, NULL, 0, NULL, NULL));
}

static void it_is_there_where_memory_is_one(void)
{
	const char *memory = getenv("API_MEMORY");

	OK(clGetDeviceInfo(c.device, CL_DEVICE_SVM_CAPABILITIES, sizeof can, &can, NULL));
	CHECK(can & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER);
	CHECK(!(can & CL_DEVICE_SVM_FINE_GRAIN_SYSTEM));
	if (!memory)
		return;
	CHECK_EQ(is_fine(), !strcmp(memory, "shared"));
	CHECK_EQ(has_atomics(), is_fine());
}

static void what_the_device_lacks_is_refused(void)
{
	const cl_svm_mem_flags fine = CL_MEM_SVM_FINE_GRAIN_BUFFER, atomics = CL_MEM_SVM_ATOMICS;

	for (unsigned i = 0; i < 4; i++) {
		cl_svm_mem_flags flags = (i & 1 ? fine : 0) | (i & 2 ? atomics : 0);
		bool is_right = !flags || (flags == fine && is_fine()) ||
				(flags == (fine | atomics) && has_atomics());
		void *at = clSVMAlloc(c.context, CL_MEM_READ_WRITE | flags, WORDS, 0);
		CHECK_EQ(at != NULL, is_right);
		clSVMFree(c.context, at);
	}
}

static void stores_need_no_map(void)
{
	cl_kernel k = cl_kernel_of(program, "add");
	cl_uint one = 1;

	if (!is_fine())
		return;
	cl_uint *a = alloc(WORDS * 4, CL_MEM_SVM_FINE_GRAIN_BUFFER);
	OK(clSetKernelArgSVMPointer(k, 0, a));
	OK(clSetKernelArg(k, 1, sizeof one, &one));
	for (cl_uint turn = 0; turn < 10; turn++) {
		for (cl_uint i = 0; i < WORDS; i++)
			a[i] = turn ? a[i] * 2 : i;
		launch(k, WORDS);
		OK(clFinish(c.queue));
	}
	for (cl_uint i = 0; i < WORDS; i++)
		CHECK_EQ(a[i], i * 512 + 1023);
	OK(clReleaseKernel(k));
	clSVMFree(c.context, a);
}

// Also stores after the launch was given, to bytes of their own.
static void bytes_side_by_side_are_kept(void)
{
	cl_kernel k = cl_kernel_of(program, "odd");
	cl_int err;

	if (!is_fine())
		return;
	uint8_t *a = alloc(2 * WORDS, CL_MEM_SVM_FINE_GRAIN_BUFFER);
	cl_event gate = clCreateUserEvent(c.context, &err);
	size_t n = WORDS;
	OK(err);
	memset(a, 0, 2 * WORDS);
	OK(clSetKernelArgSVMPointer(k, 0, a));
	OK(clEnqueueNDRangeKernel(c.queue, k, 1, NULL, &n, NULL, 1, &gate, NULL));
	OK(clFlush(c.queue));
	for (unsigned i = 0; i < WORDS; i++) {
		if (i == WORDS / 2)
			OK(clSetUserEventStatus(gate, CL_COMPLETE));
		((volatile uint8_t *)a)[2 * i] = 5;
	}
	OK(clFinish(c.queue));
	for (unsigned i = 0; i < WORDS; i++)
		CHECK(a[2 * i] == 5 && a[2 * i + 1] == 7);
	OK(clReleaseEvent(gate));
	OK(clReleaseKernel(k));
	clSVMFree(c.context, a);
}

static void both_count_at_once(void)
{
	cl_kernel k = cl_kernel_of(program, "count");
	cl_uint times = 1000;

	if (!has_atomics())
		return;
	int *n = alloc(sizeof *n, CL_MEM_SVM_FINE_GRAIN_BUFFER | CL_MEM_SVM_ATOMICS);
	*n = 0;
	OK(clSetKernelArgSVMPointer(k, 0, n));
	OK(clSetKernelArg(k, 1, sizeof times, &times));
	launch(k, 256);
	OK(clFlush(c.queue));
	for (int i = 0; i < 200000; i++)
		__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
	OK(clFinish(c.queue));
	CHECK_EQ(*n, 256 * 1000 + 200000);
	OK(clReleaseKernel(k));
	clSVMFree(c.context, n);
}

static void a_running_kernel_is_answered(void)
{
	cl_kernel k = cl_kernel_of(program, "play");
	cl_int turns = TURNS;

	if (!has_atomics())
		return;
	int *said = alloc(256, CL_MEM_SVM_FINE_GRAIN_BUFFER | CL_MEM_SVM_ATOMICS),
	    *heard = said + 32;
	*said = *heard = 0;
	OK(clSetKernelArgSVMPointer(k, 0, said));
	OK(clSetKernelArgSVMPointer(k, 1, heard));
	OK(clSetKernelArg(k, 2, sizeof turns, &turns));
	launch(k, 1);
	OK(clFlush(c.queue));
	for (int i = 1; i <= turns; i++) {
		while (__atomic_load_n(said, __ATOMIC_SEQ_CST) != i)
			;
		__atomic_store_n(heard, i, __ATOMIC_SEQ_CST);
	}
	OK(clFinish(c.queue));
	CHECK_EQ(*said, turns);
	OK(clReleaseKernel(k));
	clSVMFree(c.context, said);
}

// What coarse-grained memory needs is allowed for this kind too.
static void maps_and_copies_work_there(void)
{
	if (!is_fine())
		return;
	cl_uint *a = alloc(WORDS * 4, CL_MEM_SVM_FINE_GRAIN_BUFFER), b[WORDS], ones = 1;
	for (cl_uint i = 0; i < WORDS; i++)
		a[i] = i;
	OK(clEnqueueSVMMemcpy(c.queue, CL_TRUE, b, a, sizeof b, 0, NULL, NULL));
	CHECK_EQ(b[WORDS - 1], WORDS - 1);
	OK(clEnqueueSVMMemFill(c.queue, a, &ones, 4, sizeof b, 0, NULL, NULL));
	OK(clEnqueueSVMMap(c.queue, CL_TRUE, CL_MAP_WRITE, a, sizeof b, 0, NULL, NULL));
	CHECK_EQ(a[7], 1);
	a[7] = 8;
	OK(clEnqueueSVMUnmap(c.queue, a, 0, NULL, NULL));
	OK(clFinish(c.queue));
	CHECK_EQ(a[7] + a[8], 9);
	clSVMFree(c.context, a);
}

int main(void)
{
	c = cl_setup();
	program = cl_build(&c, source);
	RUN(it_is_there_where_memory_is_one);
	RUN(what_the_device_lacks_is_refused);
	RUN(stores_need_no_map);
	RUN(bytes_side_by_side_are_kept);
	RUN(both_count_at_once);
	RUN(a_running_kernel_is_answered);
	RUN(maps_and_copies_work_there);
	OK(clReleaseProgram(program));
	cl_teardown(&c);
}
