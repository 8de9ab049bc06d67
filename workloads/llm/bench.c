// SPDX-License-Identifier: Apache-2.0
#include "bench.h"

#include <stdio.h>
#include <time.h>

#include "generate.h"

#define READ_BYTES  16384 // per work-item, as in kernels/readband.cl
#define READ_ROUNDS 5

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Enqueues a read of every arena; returns the bytes that it covers in *ret.
static int enqueue_reads(struct model *m, cl_kernel *kernels, uint64_t *ret, struct failure *f)
{
	int r = 0;

	*ret = 0;
	for (unsigned i = 0; !r && i < m->weights.n_arenas; i++) {
		uint64_t items = m->weights.arena_bytes[i] / READ_BYTES;

		r = items ? gpu_launch(&m->gpu, kernels[i], items, f) : 0;
		*ret += items * READ_BYTES;
	}
	return r;
}

// The best of some rounds, in bytes a second.
static int measure_read(struct model *m, cl_kernel *kernels, double *ret, struct failure *f)
{
	double best = 0;
	int r = 0;

	for (int i = 0; !r && i < READ_ROUNDS; i++) {
		double t = seconds_now(), rate;
		uint64_t bytes;

		r = enqueue_reads(m, kernels, &bytes, f);
		if (!r)
			r = gpu_finish(&m->gpu, f);
		rate = (double)bytes / (seconds_now() - t);
		if (i && rate > best) // the first round also compiles
			best = rate;
	}
	*ret = best;
	return r;
}

static int with_read_kernels(struct model *m, double *ret, struct failure *f)
{
	cl_kernel kernels[MAX_ARENAS] = { 0 };
	cl_mem sums = NULL;
	int r = gpu_buffer(&m->gpu, GPU_MAX_BUFFER / READ_BYTES * sizeof(cl_int), "sums", &sums, f);

	for (unsigned i = 0; !r && i < m->weights.n_arenas; i++) {
		struct arg args[] = { ARG(m->weights.arenas[i]), ARG(sums) };

		r = program_kernel(m->program, "readband", args, 2, &kernels[i], f);
	}
	if (!r)
		r = measure_read(m, kernels, ret, f);
	for (unsigned i = 0; i < m->weights.n_arenas; i++)
		if (kernels[i])
			clReleaseKernel(kernels[i]);
	gpu_buffer_free(&sums);
	return r;
}

static int measure_tokens(struct model *m, uint32_t tokens, double *ret, struct failure *f)
{
	const int32_t prompt = 0;
	struct generate g;
	int32_t token;
	int r = generate_begin(&g, &m->forward, &prompt, 1, tokens, f);
	double t = seconds_now();

	while (r >= 0 && !generate_finished(&g))
		r = generate_step(&g, &token, f);
	*ret = seconds_now() - t;
	generate_end(&g);
	return r < 0 ? r : 0;
}

int bench_run(struct model *m, uint32_t tokens, struct failure *f)
{
	double before = 0, after = 0, took = 0, rate, read;
	int r = with_read_kernels(m, &before, f);

	if (!r)
		r = measure_tokens(m, tokens, &took, f);
	if (!r)
		r = with_read_kernels(m, &after, f);
	if (r)
		return r;
	read = before > after ? before : after;
	rate = (double)shape_pass_bytes(&m->shape) * tokens / took;
	printf("tokens: %u in %.3f s\n"
	       "tokens/s: %.2f\n"
	       "weights read: %.2f GB/s\n"
	       "pure read: %.2f GB/s before, %.2f GB/s after\n"
	       "ratio: %.2f\n",
		tokens, took, tokens / took, rate / 1e9, before / 1e9, after / 1e9, rate / read);
	return 0;
}
