// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "check.h"
#include "sampler.h"

#define DRAWS 20000

static void count(const struct sampling *s, const float *logits, unsigned n, unsigned *counts)
{
	struct candidate scratch[8];

	for (unsigned i = 0; i < n; i++)
		counts[i] = 0;
	for (unsigned i = 0; i < DRAWS; i++) {
		int32_t t = sampler_choose(s, i, logits, n, scratch);

		CHECK(t >= 0 && (unsigned)t < n);
		counts[t]++;
	}
}

// Probabilities 0.6, 0.3, 0.1; a standard deviation of the counts is at most 70.
static void test_distribution(void)
{
	const float logits[3] = { logf(0.3f), logf(0.6f), logf(0.1f) };
	struct sampling s = { .temperature = 1, .top_p = 1, .seed = 9 };
	unsigned n[3];

	count(&s, logits, 3, n);
	CHECK(abs((int)n[1] - 12000) < 350 && abs((int)n[0] - 6000) < 350);
	s.top_p = 0.85f; // without the last, the others share its part
	count(&s, logits, 3, n);
	CHECK(n[2] == 0 && abs((int)n[1] - 13333) < 350);
	s.top_p = 0.5f;
	count(&s, logits, 3, n);
	CHECK(n[1] == DRAWS);
	s.top_p = 1;
	s.temperature = 0.5f; // squares: 0.36, 0.09, 0.01
	count(&s, logits, 3, n);
	CHECK(abs((int)n[1] - (int)(DRAWS * 0.36 / 0.46)) < 350);
}

static void test_odd_logits(void)
{
	const float nothing[3] = { NAN, NAN, -INFINITY }, one[3] = { -INFINITY, 5, NAN };
	const struct sampling s = { .temperature = 1, .top_p = 1, .seed = 1 };
	unsigned n[3];

	count(&s, nothing, 3, n);
	CHECK(n[0] == DRAWS);
	count(&s, one, 3, n);
	CHECK(n[1] == DRAWS);
}

int main(void)
{
	RUN(test_distribution);
	RUN(test_odd_logits);
	return 0;
}
