// SPDX-License-Identifier: Apache-2.0
// kernels/add_dots.cl on the first device, with the instruction that its processor may have and in plain
// C: both give the numbers that are counted here.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "program.h"

#define LANES 16
#define CASES 1024

static const char *const kernel_text =
	"__kernel void check(__global const int *sum, __global const int *a, __global const int *b,"
	"	__global int *out)"
	"{"
	"	size_t i = get_global_id(0);"
	"	vstore16(add_dots(vload16(i, sum), vload16(i, a), b[i]), i, out);"
	"}";

struct numbers {
	int32_t sum[CASES][LANES], a[CASES][LANES], b[CASES];
};

static int32_t pair(int32_t low, int32_t high)
{
	return (int32_t)((uint32_t)low & 0xffff) | (int32_t)((uint32_t)high << 16);
}

// Any number and the ends of what there is, of which no sum is out of range.
static void fill(struct numbers *n)
{
	static const int16_t ends[] = { 0, 1, -1, 255, 15, 32767, -32767 };
	uint32_t seed = 1;

	for (int i = 0; i < CASES; i++) {
		n->b[i] = pair(ends[i % 7], ends[i / 7 % 7]);
		for (int j = 0; j < LANES; j++) {
			seed = seed * 1664525 + 1013904223;
			n->sum[i][j] = (int32_t)(seed >> 8) - (1 << 23);
			n->a[i][j] = j ? pair((seed >> 3) & 255, (seed >> 11) & 255)
				       : pair(ends[i / 49 % 7], ends[i / 343 % 7] / 2);
		}
	}
}

static int32_t want(const struct numbers *n, int i, int j)
{
	int16_t a[2], b[2];

	memcpy(a, &n->a[i][j], sizeof a);
	memcpy(b, &n->b[i], sizeof b);
	return n->sum[i][j] + a[0] * b[0] + a[1] * b[1];
}

static void need(int r, const struct failure *f)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s\n", f->text);
	exit(1);
}

static void build(struct gpu *g, const char *options, cl_program *ret)
{
	const char *texts[2] = { NULL, kernel_text };

	for (unsigned i = 0; i < kernel_source_count; i++)
		if (!strcmp(kernel_sources[i].name, "add_dots"))
			texts[0] = kernel_sources[i].text;
	CHECK(texts[0]);
	*ret = clCreateProgramWithSource(g->context, 2, texts, NULL, NULL);
	CHECK(*ret && !clBuildProgram(*ret, 1, &g->device, options, NULL, NULL));
}

static void check(struct gpu *g, const char *options, const struct numbers *n)
{
	static int32_t got[CASES][LANES];
	struct failure f = { "" };
	cl_mem sum, a, b, out;
	struct arg args[] = { ARG(sum), ARG(a), ARG(b), ARG(out) };
	cl_program program;
	cl_kernel kernel;

	build(g, options, &program);
	need(gpu_buffer(g, sizeof n->sum, "sums", &sum, &f), &f);
	need(gpu_buffer(g, sizeof n->a, "pairs", &a, &f), &f);
	need(gpu_buffer(g, sizeof n->b, "pairs", &b, &f), &f);
	need(gpu_buffer(g, sizeof got, "results", &out, &f), &f);
	need(gpu_write(g, sum, 0, n->sum, sizeof n->sum, &f), &f);
	need(gpu_write(g, a, 0, n->a, sizeof n->a, &f), &f);
	need(gpu_write(g, b, 0, n->b, sizeof n->b, &f), &f);
	need(program_kernel(program, "check", args, 4, &kernel, &f), &f);
	need(gpu_launch(g, kernel, CASES, &f), &f);
	need(gpu_read(g, out, 0, got, sizeof got, &f), &f);
	for (int i = 0; i < CASES; i++)
		for (int j = 0; j < LANES; j++)
			CHECK(got[i][j] == want(n, i, j));
	clReleaseKernel(kernel);
	clReleaseProgram(program);
	gpu_buffer_free(&sum);
	gpu_buffer_free(&a);
	gpu_buffer_free(&b);
	gpu_buffer_free(&out);
}

static struct gpu gpu;
static struct numbers numbers;

static void test_with_the_instruction(void)
{
	check(&gpu, "-cl-std=CL1.2", &numbers);
}

static void test_in_plain_c(void)
{
	check(&gpu, "-cl-std=CL1.2 -DPLAIN_C", &numbers);
}

int main(void)
{
	struct failure f = { "" };

	if (gpu_open(&gpu, 0, 0, &f)) {
		printf("skipped: %s\n", f.text);
		return 77;
	}
	fill(&numbers);
	RUN(test_with_the_instruction);
	RUN(test_in_plain_c);
	gpu_close(&gpu);
	return 0;
}
