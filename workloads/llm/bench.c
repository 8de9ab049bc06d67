// SPDX-License-Identifier: Apache-2.0
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define READ_BYTES    16384 // per work-item, as in kernels/readband.cl
#define READ_ROUNDS   15
#define BENCH_STREAMS 4
#define BENCH_PROMPT  128

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

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof *v, compare);
	return n ? v[n / 2] : 0;
}

// The median of some rounds, in bytes a second.
static int measure_read(struct model *m, cl_kernel *kernels, double *ret, struct failure *f)
{
	double rates[READ_ROUNDS];
	int r = 0;

	for (int i = -1; !r && i < READ_ROUNDS; i++) { // the first round also compiles
		double t = seconds_now();
		uint64_t bytes;

		r = enqueue_reads(m, kernels, &bytes, f);
		if (!r)
			r = gpu_finish(&m->gpu, f);
		if (i >= 0)
			rates[i] = (double)bytes / (seconds_now() - t);
	}
	if (!r)
		*ret = median(rates, READ_ROUNDS);
	return r;
}

static int with_read_kernels(struct model *m, double *ret, struct failure *f)
{
	cl_kernel kernels[MAX_ARENAS] = { 0 };
	cl_mem sums = NULL;
	int r = gpu_buffer(&m->gpu, GPU_MAX_BUFFER / READ_BYTES * sizeof(cl_int), "sums", &sums, f);

	for (unsigned i = 0; !r && i < m->weights.n_arenas; i++) {
		struct arg args[] = { ARG(m->weights.arenas[i]), ARG(sums) };

		r = program_kernel(m->programs.of[m->weights.logits.type], "readband", args, 2,
			&kernels[i], f);
	}
	if (!r)
		r = measure_read(m, kernels, ret, f);
	for (unsigned i = 0; i < m->weights.n_arenas; i++)
		if (kernels[i])
			clReleaseKernel(kernels[i]);
	gpu_buffer_free(&sums);
	return r;
}

// How one or several sequences went.
struct speed {
	double tokens_per_second; // of all together
	double pass;              // seconds between two passes that brought tokens, the median
};

// Generates until all that run have ended. `gaps` has room for the passes that it takes.
static int run_streams(
	struct model *m, unsigned running, double *gaps, struct speed *ret, struct failure *f)
{
	struct scheduled_token got[MAX_SEQUENCES];
	double began = seconds_now(), before = began;
	unsigned taken = 0, passes = 0;
	int r = 0;

	while (r >= 0 && running) {
		r = scheduler_step(&m->scheduler, got, f);
		if (r > 0) {
			double now = seconds_now();

			gaps[passes++] = now - before;
			before = now;
		}
		for (int i = 0; i < r; i++, taken++) {
			if (got[i].last) {
				scheduler_end(&m->scheduler, got[i].sequence);
				running--;
			}
		}
	}
	ret->tokens_per_second = taken / (seconds_now() - began);
	ret->pass = median(gaps, passes);
	return r < 0 ? r : 0;
}

static int measure_tokens(
	struct model *m, unsigned streams, uint32_t tokens, struct speed *ret, struct failure *f)
{
	double *gaps = malloc((size_t)streams * tokens * sizeof *gaps);
	const struct sampling greedy = { 0 };
	int r = gaps ? 0 : fail(f, ENOMEM, "out of host memory");

	for (unsigned i = 0; !r && i < streams; i++) {
		const int32_t prompt = (int32_t)(i % m->shape.vocab);
		unsigned sequence;

		r = scheduler_start(&m->scheduler, &prompt, 1, tokens, &greedy, &sequence, f);
	}
	if (!r)
		r = run_streams(m, streams, gaps, ret, f);
	free(gaps);
	return r;
}

// Prompt tokens a second, until the token that follows the prompt.
static int measure_prompt(struct model *m, uint32_t n, double *ret, struct failure *f)
{
	struct scheduled_token got[MAX_SEQUENCES];
	const struct sampling greedy = { 0 };
	int32_t *prompt = malloc(n * sizeof *prompt);
	double t = seconds_now();
	unsigned sequence;
	int r;

	if (!prompt)
		return fail(f, ENOMEM, "out of host memory");
	for (uint32_t i = 0; i < n; i++)
		prompt[i] = (int32_t)((i * 7 + 1) % m->shape.vocab);
	r = scheduler_start(&m->scheduler, prompt, n, 1, &greedy, &sequence, f);
	free(prompt);
	while (!r)
		r = scheduler_step(&m->scheduler, got, f);
	if (r > 0)
		scheduler_end(&m->scheduler, sequence);
	*ret = n / (seconds_now() - t);
	return r < 0 ? r : 0;
}

int bench_run(struct model *m, uint32_t tokens, struct failure *f)
{
	double before = 0, after = 0, prompt = 0, read, rate;
	uint32_t n_prompt = m->shape.context < BENCH_PROMPT ? m->shape.context : BENCH_PROMPT;
	struct speed one = { 0 }, many = { 0 };
	int r = with_read_kernels(m, &before, f);

	if (!r)
		r = measure_tokens(m, 1, tokens, &one, f);
	if (!r)
		r = with_read_kernels(m, &after, f);
	if (!r)
		r = measure_tokens(m, BENCH_STREAMS, tokens, &many, f);
	if (!r)
		r = measure_prompt(m, n_prompt, &prompt, f);
	if (r)
		return r;
	read = before > after ? before : after;
	rate = (double)m->weights.pass_bytes / one.pass;
	printf("tokens/s: %.2f\n"
	       "median token: %.2f ms, weights read: %.2f GB/s\n"
	       "median pure read: %.2f GB/s before, %.2f GB/s after\n"
	       "ratio: %.2f\n"
	       "tokens/s, %u streams together: %.2f\n"
	       "prompt tokens/s, %u tokens: %.2f\n",
		one.tokens_per_second, one.pass * 1e3, rate / 1e9, before / 1e9, after / 1e9,
		rate / read, BENCH_STREAMS, many.tokens_per_second, n_prompt, prompt);
	return 0;
}
