// SPDX-License-Identifier: Apache-2.0
// An ordinary OpenCL program that uses much of the API and prints one number, which depends on every
// result and on no timing: whoever runs it, moved or not, gets the same. A command lost or done twice
// changes it, since what one round leaves the next begins with.
//
// usage: program [ROUNDS]    0: until SIGTERM. Prints how many rounds there were, too.
#include "program.h"

#include <signal.h>

#define SAY_EVERY 16 // rounds from one printf of a kernel to the next

static const char source[] =
	"__kernel void mingle(__global uint *a, __global const uint *b, uint k) {\n"
	"  size_t i = get_global_id(0);\n"
	"  a[i] = rotate(a[i] * 2654435761u + k, 7u) ^ b[i]; }\n"
	"__kernel void scatter(__global uint *a, __local uint *l, uint k) {\n"
	"  size_t i = get_global_id(0), j = get_local_id(0), n = get_local_size(0);\n"
	"  l[j] = a[i]; barrier(CLK_LOCAL_MEM_FENCE);\n"
	"  a[i] = l[(j * 5 + k) % n] + (uint)j; }\n"
	"__kernel void count(__global uint *a, uint k) {\n"
	"  size_t i = get_global_id(0); a[i] = (uint)i * 2654435761u + k; }\n"
	"__kernel void say(uint k) { printf(\"round %u\\n\", k); }\n"
	"__kernel void advance(read_only image2d_t from, write_only image2d_t to, sampler_t s) {\n"
	"  int2 p = (int2)(get_global_id(0), get_global_id(1));\n"
	"  write_imageui(to, p, read_imageui(from, s, p + 1) * 1664525u + (uint)p.x); }\n"
	"__kernel void blend(read_only image2d_t from, write_only image2d_t to, sampler_t s) {\n"
	"  int2 p = (int2)(get_global_id(0), get_global_id(1));\n"
	"  float2 at = convert_float2(p) / convert_float2(get_image_dim(from)) + 0.013f;\n"
	"  write_imagef(to, p, 1.0f - read_imagef(from, s, at)); }\n";

cl_device_id device;
cl_context context;
cl_command_queue queue, side;
cl_program program;
static cl_kernel mix, scatter;
static cl_mem a, b;
static uint64_t sum = 14695981039346656037ULL;
static volatile sig_atomic_t ended;

// FNV-1a (Fowler, Noll, Vo) over 64-bit words.
void fold(uint64_t v)
{
	sum = (sum ^ v) * 1099511628211ULL;
}

void fold_words(const uint32_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fold(words[i]);
}

cl_kernel kernel(const char *name)
{
	return MADE(clCreateKernel(program, name, &err));
}

void launch(cl_command_queue q, cl_kernel k, size_t global, const cl_event *wait, cl_event *ret)
{
	MUST(clEnqueueNDRangeKernel(q, k, 1, NULL, &global, NULL, wait ? 1 : 0, wait, ret));
}

cl_program source_program(const char *text)
{
	return MADE(clCreateProgramWithSource(context, 1, &text, NULL, &err));
}

static void set_up(void)
{
	cl_platform_id platform;

	MUST(clGetPlatformIDs(1, &platform, NULL));
	MUST(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
	context = MADE(clCreateContext(NULL, 1, &device, NULL, NULL, &err));
	queue = MADE(clCreateCommandQueue(context, device, CL_QUEUE_PROFILING_ENABLE, &err));
	side = MADE(clCreateCommandQueue(
		context, device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err));
	program = source_program(source);
	MUST(clBuildProgram(program, 1, &device, "", NULL, NULL));
	mix = kernel("mingle");
	scatter = kernel("scatter");
	a = MADE(clCreateBuffer(context, CL_MEM_READ_WRITE, BYTES, NULL, &err));
	b = MADE(clCreateBuffer(context, CL_MEM_READ_ONLY, BYTES, NULL, &err));
}

static void fill(cl_mem m, uint32_t seed)
{
	uint32_t *at = MADE((uint32_t *)clEnqueueMapBuffer(
		queue, m, CL_TRUE, CL_MAP_WRITE, 0, BYTES, 0, NULL, NULL, &err));

	for (uint32_t i = 0; i < N; i++)
		at[i] = i * 2246822519u + seed;
	MUST(clEnqueueUnmapMemObject(queue, m, at, 0, NULL, NULL));
}

static void launches(uint32_t round)
{
	const size_t global = N, local = 64;

	for (uint32_t k = 0; k < 40; k++) {
		uint32_t mixed = round * 1000 + k;
		MUST(clSetKernelArg(mix, 0, sizeof a, &a));
		MUST(clSetKernelArg(mix, 1, sizeof b, &b));
		MUST(clSetKernelArg(mix, 2, sizeof mixed, &mixed));
		launch(queue, mix, N, NULL, NULL);
		MUST(clSetKernelArg(scatter, 0, sizeof a, &a));
		MUST(clSetKernelArg(scatter, 1, local * sizeof(uint32_t), NULL));
		MUST(clSetKernelArg(scatter, 2, sizeof k, &k));
		MUST(clEnqueueNDRangeKernel(
			queue, scatter, 1, NULL, &global, &local, 0, NULL, NULL));
	}
}

static void fold_all(void)
{
	static uint32_t got[N];

	MUST(clEnqueueReadBuffer(queue, a, CL_TRUE, 0, BYTES, got, 0, NULL, NULL));
	fold_words(got, N);
}

// A chain over two queues behind a user event, with buffers let go of before they are used.
static void chain(uint32_t round)
{
	uint32_t pattern = round, result[4] = { 0 };
	cl_event gate = MADE(clCreateUserEvent(context, &err)), first, second, third;
	cl_mem c = MADE(clCreateBuffer(context, 0, 4 * 4096, NULL, &err));
	cl_mem d = MADE(clCreateBuffer(context, 0, 4 * 4096, NULL, &err));

	MUST(clEnqueueFillBuffer(side, c, &pattern, 4, 0, 4 * 4096, 1, &gate, &first));
	MUST(clEnqueueCopyBuffer(side, c, d, 0, 0, 4 * 4096, 1, &first, &second));
	MUST(clSetKernelArg(mix, 0, sizeof d, &d));
	MUST(clSetKernelArg(mix, 1, sizeof c, &c));
	MUST(clSetKernelArg(mix, 2, sizeof round, &round));
	launch(side, mix, 4096, &second, &third);
	MUST(clEnqueueReadBuffer(side, d, CL_FALSE, 64, 16, result, 1, &third, NULL));
	launches(round);
	MUST(clFlush(side));
	MUST(clSetUserEventStatus(gate, CL_COMPLETE));
	MUST(clFinish(side));
	fold_words(result, 4);
	MUST(clReleaseEvent(gate));
	MUST(clReleaseEvent(first));
	MUST(clReleaseEvent(second));
	MUST(clReleaseEvent(third));
	MUST(clReleaseMemObject(c));
	MUST(clReleaseMemObject(d));
}

static void another_program(uint32_t round)
{
	char text[80];

	snprintf(
		text, sizeof text, "kernel void variant(global uint *a) { a[0] += %uu; }\n", round);
	cl_program p = source_program(text);
	MUST(clBuildProgram(p, 1, &device, "", NULL, NULL));
	cl_kernel k = MADE(clCreateKernel(p, "variant", &err));

	MUST(clSetKernelArg(k, 0, sizeof a, &a));
	launch(queue, k, 1, NULL, NULL);
	MUST(clReleaseKernel(k));
	MUST(clReleaseProgram(p));
}

static void rectangles(uint32_t round)
{
	static uint32_t tile[32 * 16];
	size_t buffer[3] = { 64, 5, 0 }, host[3] = { 0 }, region[3] = { 32 * 4, 16, 1 };

	for (uint32_t i = 0; i < 32 * 16; i++)
		tile[i] = i ^ round;
	MUST(clEnqueueWriteBufferRect(
		queue, a, CL_FALSE, buffer, host, region, 1024, 0, 128, 0, tile, 0, NULL, NULL));
	MUST(clFinish(queue));
}

static void say(uint32_t round)
{
	cl_kernel k = kernel("say");

	MUST(clSetKernelArg(k, 0, sizeof round, &round));
	launch(queue, k, 1, NULL, NULL);
	MUST(clReleaseKernel(k));
}

// Long enough for several moves in the middle of it. The last write is not waited for by itself.
static void in_bulk(uint32_t round)
{
	enum { WORDS = 2 << 20 };
	uint32_t *words = malloc(WORDS * sizeof *words), *got = calloc(WORDS, sizeof *got);
	cl_mem m = MADE(clCreateBuffer(context, 0, WORDS * sizeof *words, NULL, &err));

	HOLDS(words && got);
	for (uint32_t i = 0; i < WORDS; i++)
		words[i] = i * 2246822519u ^ round;
	for (int i = 0; i < 8; i++)
		MUST(clEnqueueWriteBuffer(queue, m, i == 7 ? CL_FALSE : CL_TRUE, 0,
			WORDS * sizeof *words, words, 0, NULL, NULL));
	MUST(clEnqueueReadBuffer(queue, m, CL_TRUE, 0, WORDS * sizeof *got, got, 0, NULL, NULL));
	for (uint32_t i = 0; i < WORDS; i++)
		HOLDS(got[i] == words[i]);
	MUST(clReleaseMemObject(m));
	free(words);
	free(got);
}

static void one_round(uint32_t round)
{
	standing_round(round);
	launches(round);
	chain(round);
	rectangles(round);
	images_round(round);
	large_round(round);
	svm_round(round);
	if (round % 20 == 11)
		in_bulk(round);
	if (round % 10 == 3)
		another_program(round);
	if (round % SAY_EVERY == 5)
		say(round);
	if (round % 25 == 7)
		fill(b, round);
	fold_all();
}

static void on_term(int signo)
{
	ended = 1;
}

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 100, round = 0;

	signal(SIGTERM, on_term);
	set_up();
	fill(a, 1);
	fill(b, 2);
	images_begin();
	standing_begin();
	svm_begin();
	for (; !ended && (!rounds || round < rounds); round++)
		one_round(round);
	standing_end();
	svm_end();
	printf("%u rounds %016llx\n", round, (unsigned long long)sum);
}
