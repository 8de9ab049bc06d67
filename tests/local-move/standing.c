// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#define PERIOD 8 // rounds from begin() to use()
#define WORDS  4096u
#define HALF   (WORDS / 2)
#define CHAIN  4

static struct {
	cl_event gate, chain[CHAIN];
	uint32_t result[WORDS];
	cl_mem whole, part;
	uint32_t *mapped; // the part
	cl_kernel ready;
	cl_program compiled, unbuilt, failed; // NULL in three of four periods
	cl_mem half_buffer;
	bool begun;
} s;
static cl_command_queue held; // out of order, and its own: the other ones are finished meanwhile
static cl_context
	half_context; // of a sub-device; once too: PoCL 3.1 uses it after the last release
static cl_command_queue half_queue;
static atomic_uint called;
static unsigned expected; // callbacks

static void CL_CALLBACK on_status(cl_event e, cl_int status, void *arg)
{
	atomic_fetch_add(&called, 1);
}

static void CL_CALLBACK on_gone(cl_mem m, void *arg)
{
	atomic_fetch_add(&called, 1);
}

static cl_mem buffer(const uint32_t *from)
{
	cl_mem m = MADE(clCreateBuffer(context, from ? CL_MEM_COPY_HOST_PTR : CL_MEM_READ_WRITE,
		WORDS * sizeof *from, (void *)from, &err));

	MUST(clSetMemObjectDestructorCallback(m, on_gone, NULL));
	expected++;
	return m;
}

// ---- begun

struct native_args {
	uint32_t *words;
	uint32_t by;
};

static void CL_CALLBACK add_natively(void *p)
{
	const struct native_args *a = p;

	for (uint32_t i = 0; i < WORDS; i++)
		a->words[i] += a->by * i;
}

static void enqueue_native(cl_mem m, uint32_t by, const cl_event *wait, cl_event *ret)
{
	struct native_args a = { NULL, by };
	const void *place = &a.words;

	MUST(clEnqueueNativeKernel(held, add_natively, &a, sizeof a, 1, &m, &place, 1, wait, ret));
}

// Nothing of it can start; its buffer is let go of at once.
static void begin_chain(uint32_t round)
{
	cl_mem m = buffer(NULL);
	cl_kernel count = kernel("count");

	s.gate = MADE(clCreateUserEvent(context, &err));
	MUST(clEnqueueFillBuffer(held, m, &round, 4, 0, sizeof s.result, 1, &s.gate, &s.chain[0]));
	MUST(clSetKernelArg(count, 0, sizeof m, &m));
	MUST(clSetKernelArg(count, 1, sizeof round, &round));
	launch(held, count, HALF, &s.chain[0], &s.chain[1]);
	enqueue_native(m, round, &s.chain[1], &s.chain[2]);
	MUST(clEnqueueReadBuffer(
		held, m, CL_FALSE, 0, sizeof s.result, s.result, 1, &s.chain[2], &s.chain[3]));
	for (int i = 0; i < CHAIN; i++) {
		MUST(clSetEventCallback(s.chain[i], CL_COMPLETE, on_status, NULL));
		MUST(clSetEventCallback(s.chain[i], CL_RUNNING, on_status, NULL));
		expected += 2;
	}
	MUST(clReleaseKernel(count));
	MUST(clReleaseMemObject(m));
	MUST(clFlush(held));
}

static void begin_mapped(uint32_t round)
{
	static uint32_t words[WORDS];
	const cl_buffer_region region = { sizeof words / 4, sizeof words / 2 };

	for (uint32_t i = 0; i < WORDS; i++)
		words[i] = round ^ i;
	s.whole = buffer(words);
	s.part = MADE(clCreateSubBuffer(
		s.whole, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &err));
	s.mapped = MADE((uint32_t *)clEnqueueMapBuffer(queue, s.part, CL_TRUE,
		CL_MAP_READ | CL_MAP_WRITE, 0, region.size, 0, NULL, NULL, &err));
	for (uint32_t i = 0; i < HALF / 2; i++)
		s.mapped[i] += i;
}

static void begin_kernel(void)
{
	s.ready = kernel("count");
	MUST(clSetKernelArg(s.ready, 0, sizeof s.whole, &s.whole));
	MUST(clSetKernelArg(s.ready, 1, sizeof(uint32_t), &(uint32_t){ 5 }));
	MUST(clRetainKernel(s.ready));
}

static void begin_programs(void)
{
	s.unbuilt =
		source_program("kernel void last(global uint *a) { a[get_global_id(0)] *= 3u; }\n");
	s.compiled =
		source_program("kernel void last(global uint *a) { a[get_global_id(0)] += 9u; }\n");
	MUST(clCompileProgram(s.compiled, 1, &device, "", 0, NULL, NULL, NULL, NULL));
	s.failed = source_program("uint nowhere(uint);\n"
				  "kernel void last(global uint *a) { a[0] = nowhere(a[1]); }\n");
	HOLDS(clBuildProgram(s.failed, 1, &device, "", NULL, NULL) == CL_BUILD_PROGRAM_FAILURE);
}

static void begin_half(uint32_t round)
{
	s.half_buffer = MADE(clCreateBuffer(half_context, 0, WORDS * 4, NULL, &err));
	MUST(clEnqueueFillBuffer(
		half_queue, s.half_buffer, &round, 4, 0, WORDS * 4, 0, NULL, NULL));
	MUST(clFlush(half_queue));
}

// ---- used

// Never before the one that came before it, whichever host's clock gave them.
static void check_times(cl_event e)
{
	static const cl_profiling_info names[] = { CL_PROFILING_COMMAND_QUEUED,
		CL_PROFILING_COMMAND_SUBMIT, CL_PROFILING_COMMAND_START, CL_PROFILING_COMMAND_END };
	static cl_ulong last;
	cl_ulong t;

	for (int i = 0; i < 4; i++) {
		MUST(clGetEventProfilingInfo(e, names[i], sizeof t, &t, NULL));
		HOLDS(t >= last);
		last = t;
	}
}

static void use_chain(void)
{
	cl_int status;

	MUST(clGetEventInfo(s.chain[CHAIN - 1], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status,
		&status, NULL));
	HOLDS(status > CL_COMPLETE);
	MUST(clSetUserEventStatus(s.gate, CL_COMPLETE));
	MUST(clWaitForEvents(CHAIN, s.chain));
	fold_words(s.result, WORDS);
	MUST(clReleaseEvent(s.gate));
	for (int i = 0; i < CHAIN; i++)
		MUST(clReleaseEvent(s.chain[i]));
}

static void use_mapped(void)
{
	static uint32_t got[WORDS];
	cl_event e;

	for (uint32_t i = HALF / 2; i < HALF; i++)
		s.mapped[i] += i;
	MUST(clEnqueueUnmapMemObject(queue, s.part, s.mapped, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, s.whole, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL));
	fold_words(got, WORDS);
	launch(queue, s.ready, HALF, NULL, &e);
	MUST(clEnqueueReadBuffer(queue, s.part, CL_TRUE, 0, sizeof got / 2, got, 0, NULL, NULL));
	fold_words(got, HALF);
	check_times(e);
	MUST(clReleaseEvent(e));
}

static void use_last(cl_program p)
{
	static uint32_t got[HALF];
	cl_kernel last = MADE(clCreateKernel(p, "last", &err));

	MUST(clSetKernelArg(last, 0, sizeof s.part, &s.part));
	launch(queue, last, HALF, NULL, NULL);
	MUST(clEnqueueReadBuffer(queue, s.part, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL));
	fold_words(got, HALF);
	MUST(clReleaseKernel(last));
	MUST(clReleaseProgram(p));
}

static cl_program copy_as_binary(cl_program p)
{
	size_t size;

	MUST(clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL));
	unsigned char *bytes = malloc(size);
	MUST(clGetProgramInfo(p, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL));
	cl_program copy = MADE(clCreateProgramWithBinary(
		context, 1, &device, &size, (const unsigned char **)&bytes, NULL, &err));
	free(bytes);
	MUST(clBuildProgram(copy, 1, &device, "", NULL, NULL));
	return copy;
}

static void use_programs(void)
{
	cl_build_status status;

	MUST(clGetProgramBuildInfo(
		s.failed, device, CL_PROGRAM_BUILD_STATUS, sizeof status, &status, NULL));
	HOLDS(status == CL_BUILD_ERROR);
	MUST(clReleaseProgram(s.failed));
	use_last(MADE(clLinkProgram(context, 1, &device, "", 1, &s.compiled, NULL, NULL, &err)));
	MUST(clReleaseProgram(s.compiled));
	MUST(clBuildProgram(s.unbuilt, 1, &device, "", NULL, NULL));
	use_last(copy_as_binary(s.unbuilt));
	use_last(s.unbuilt);
	s.compiled = s.unbuilt = s.failed = NULL;
}

static void use_half(void)
{
	static uint32_t got[WORDS];

	MUST(clEnqueueReadBuffer(
		half_queue, s.half_buffer, CL_TRUE, 0, sizeof got, got, 0, NULL, NULL));
	fold_words(got, WORDS);
	MUST(clReleaseMemObject(s.half_buffer));
}

static void use(void)
{
	use_chain();
	use_mapped();
	if (s.failed)
		use_programs();
	MUST(clReleaseKernel(s.ready));
	MUST(clReleaseKernel(s.ready));
	use_half();
	MUST(clReleaseMemObject(s.part));
	MUST(clReleaseMemObject(s.whole));
	s.begun = false;
}

static void make_half(void)
{
	const cl_device_partition_property one[] = { CL_DEVICE_PARTITION_BY_COUNTS, 1,
		CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0 };
	cl_device_id half;

	MUST(clCreateSubDevices(device, one, 1, &half, NULL));
	half_context = MADE(clCreateContext(NULL, 1, &half, NULL, NULL, &err));
	half_queue = MADE(clCreateCommandQueue(half_context, half, 0, &err));
}

void standing_begin(void)
{
	held = MADE(clCreateCommandQueue(context, device,
		CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | CL_QUEUE_PROFILING_ENABLE, &err));
	make_half();
}

void standing_round(uint32_t round)
{
	if (round % PERIOD == 0) {
		begin_chain(round);
		begin_mapped(round);
		begin_kernel();
		if (round % (4 * PERIOD) == 0) // each move compiles them again
			begin_programs();
		begin_half(round);
		s.begun = true;
	} else if (round % PERIOD == PERIOD - 1) {
		use();
	}
}

void standing_end(void)
{
	if (s.begun)
		use();
	MUST(clFinish(queue));
	for (int i = 0; i < 6000 && atomic_load(&called) < expected; i++)
		usleep(10000);
	usleep(100000); // one that came twice would come now
	HOLDS(atomic_load(&called) == expected);
	fold(expected);
}
