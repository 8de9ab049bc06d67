// SPDX-License-Identifier: Apache-2.0
#include "sampler.h"

#include <math.h>
#include <stdlib.h>

// SplitMix64 (Steele, Lea and Flood 2014): a good number from any counter. In [0, 1).
static double uniform(uint64_t seed, uint64_t index)
{
	uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return (double)(z >> 11) * 0x1p-53;
}

// Most probable first; of equals, the lower token.
static int compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->p != y->p)
		return x->p < y->p ? 1 : -1;
	return (x->token > y->token) - (x->token < y->token);
}

// Softmax, leaving out what is too improbable to matter in float. Returns how many remain.
static uint32_t soften(float temperature, const float *logits, uint32_t vocab,
	struct candidate *out, double *ret_sum)
{
	float highest = -INFINITY;
	double sum = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < vocab; i++)
		highest = fmaxf(highest, logits[i]);
	for (uint32_t i = 0; i < vocab; i++) {
		// In double: two processors' expf() may differ in the last bit, and so might the words.
		float p = (float)exp((double)((logits[i] - highest) / temperature));

		if (!(p > 1e-9f))
			continue;
		out[n++] = (struct candidate){ p, (int32_t)i };
		sum += (double)p;
	}
	*ret_sum = sum;
	return n;
}

int32_t sampler_choose(const struct sampling *s, uint64_t index, const float *logits,
	uint32_t vocab, struct candidate *scratch)
{
	double sum, point, kept = 0;
	uint32_t n = soften(s->temperature, logits, vocab, scratch, &sum), last = 0;

	if (!n)
		return 0; // no logit is a number
	qsort(scratch, n, sizeof *scratch, compare);
	for (; last < n && (!last || kept < sum * (double)s->top_p); last++)
		kept += (double)scratch[last].p;
	point = uniform(s->seed, index) * kept;
	for (uint32_t i = 0; i < last; i++) {
		point -= (double)scratch[i].p;
		if (point < 0)
			return scratch[i].token;
	}
	return scratch[last - 1].token;
}
