// SPDX-License-Identifier: Apache-2.0
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define READ_BYTES    16384 // per work-item, as in kernels/readband.cl
#define READS         3     // of everything, between two turns of tokens
#define TURNS         11
#define LEAST_TOKENS  6 // of a turn
#define BENCH_STREAMS 4
#define BENCH_PROMPT  128

static double seconds_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds_now(void)
{
	return seconds_of(CLOCK_MONOTONIC);
}

// Of this process: what a driver that computes in it has used.
static double processor_seconds(void)
{
	return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

// Enqueues a read of every arena; adds the bytes that it covers to *ret.
static int enqueue_reads(struct model *m, cl_kernel *kernels, uint64_t *ret, struct failure *f)
{
	int r = 0;

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

// A kernel that reads, for each buffer of weights.
struct reader {
	cl_kernel kernels[MAX_ARENAS];
	cl_mem sums;
};

static int reader_init(struct reader *d, struct model *m, struct failure *f)
{
	uint64_t sums = GPU_MAX_BUFFER / READ_BYTES * sizeof(cl_int);
	int r = gpu_buffer(&m->gpu, sums, "sums", &d->sums, f);

	for (unsigned i = 0; !r && i < m->weights.n_arenas; i++) {
		struct arg args[] = { ARG(m->weights.arenas[i]), ARG(d->sums) };

		r = program_kernel(m->programs.of[m->weights.logits.type], "readband", args, 2,
			&d->kernels[i], f);
	}
	return r;
}

static void reader_free(struct reader *d)
{
	for (unsigned i = 0; i < MAX_ARENAS; i++)
		if (d->kernels[i])
			clReleaseKernel(d->kernels[i]);
	gpu_buffer_free(&d->sums);
}

// Bytes a second, of time and of this process's processor time.
struct rate {
	double by_time, by_processor;
};

static int measure_read(struct model *m, struct reader *d, struct rate *ret, struct failure *f)
{
	double began = seconds_now(), used = processor_seconds();
	uint64_t bytes = 0;
	int r = 0;

	for (int i = 0; !r && i < READS; i++)
		r = enqueue_reads(m, d->kernels, &bytes, f);
	if (!r)
		r = gpu_finish(&m->gpu, f);
	ret->by_time = (double)bytes / (seconds_now() - began);
	ret->by_processor = (double)bytes / (processor_seconds() - used);
	return r;
}

// How one or several sequences went.
struct speed {
	double tokens_per_second; // of all together
	double by_processor;      // the same of this process's processor time
};

// Generates until all that run have ended.
static int run_streams(struct model *m, unsigned running, struct speed *ret, struct failure *f)
{
	struct scheduled_token got[MAX_SEQUENCES];
	double began = seconds_now(), used = processor_seconds();
	unsigned taken = 0;
	int r = 0;

	while (r >= 0 && running) {
		r = scheduler_step(&m->scheduler, got, f);
		for (int i = 0; i < r; i++, taken++) {
			if (got[i].last) {
				scheduler_end(&m->scheduler, got[i].sequence);
				running--;
			}
		}
	}
	ret->tokens_per_second = taken / (seconds_now() - began);
	ret->by_processor = taken / (processor_seconds() - used);
	return r < 0 ? r : 0;
}

static int measure_tokens(
	struct model *m, unsigned streams, uint32_t tokens, struct speed *ret, struct failure *f)
{
	const struct sampling greedy = { 0 };
	int r = 0;

	for (unsigned i = 0; !r && i < streams; i++) {
		const int32_t prompt = (int32_t)(i % m->shape.vocab);
		unsigned sequence;

		r = scheduler_start(&m->scheduler, &prompt, 1, tokens, &greedy, &sequence, f);
	}
	return r ? r : run_streams(m, streams, ret, f);
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

// One stream and pure reads, in turns: what each turn gave. Reads: the mean of those before and after.
struct decode {
	double tokens[TURNS]; // a second
	double rate[TURNS];   // bytes of weights that a token reads a second
	double read[TURNS];   // bytes a second
	double ratio[TURNS], by_processor[TURNS];
};

static int measure_turns(
	struct model *m, struct reader *d, uint32_t tokens, struct decode *ret, struct failure *f)
{
	uint32_t each = tokens / TURNS > LEAST_TOKENS ? tokens / TURNS : LEAST_TOKENS;
	double bytes = (double)m->weights.pass_bytes;
	struct rate before, after = { 0 };
	int r = measure_read(m, d, &before, f); // the first one compiles, too

	if (!r)
		r = measure_read(m, d, &before, f);
	for (unsigned i = 0; !r && i < TURNS; i++, before = after) {
		struct speed one = { 0 };

		r = measure_tokens(m, 1, each, &one, f);
		if (!r)
			r = measure_read(m, d, &after, f);
		ret->tokens[i] = one.tokens_per_second;
		ret->rate[i] = bytes * one.tokens_per_second;
		ret->read[i] = (before.by_time + after.by_time) / 2;
		ret->ratio[i] = ret->rate[i] / ret->read[i];
		ret->by_processor[i] =
			bytes * one.by_processor * 2 / (before.by_processor + after.by_processor);
	}
	return r;
}

int bench_run(struct model *m, uint32_t tokens, struct failure *f)
{
	uint32_t n_prompt = m->shape.context < BENCH_PROMPT ? m->shape.context : BENCH_PROMPT;
	struct reader reader = { 0 };
	struct speed many = { 0 };
	struct decode one;
	double prompt = 0;
	int r = reader_init(&reader, m, f);

	if (!r)
		r = measure_turns(m, &reader, tokens, &one, f);
	if (!r)
		r = measure_tokens(m, BENCH_STREAMS, tokens, &many, f);
	if (!r)
		r = measure_prompt(m, n_prompt, &prompt, f);
	reader_free(&reader);
	if (r)
		return r;
	printf("tokens/s: %.2f\n"
	       "weights read: %.2f GB/s\n"
	       "pure read: %.2f GB/s\n"
	       "ratio: %.2f\n"
	       "ratio by this process's processor time: %.2f\n"
	       "tokens/s, %u streams together: %.2f\n"
	       "prompt tokens/s, %u tokens: %.2f\n",
		median(one.tokens, TURNS), median(one.rate, TURNS) / 1e9,
		median(one.read, TURNS) / 1e9, median(one.ratio, TURNS),
		median(one.by_processor, TURNS), BENCH_STREAMS, many.tokens_per_second, n_prompt,
		prompt);
	return 0;
}
