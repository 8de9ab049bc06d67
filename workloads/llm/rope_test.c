// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "check.h"
#include "rope.h"

static void test_frequencies(void)
{
	float f[64];

	rope_frequencies(10000, 64, f);
	CHECK(f[0] == 1);
	CHECK(fabsf(f[32] - 0.01f) < 1e-7f);
}

// Llama 3.1: high frequencies stay, low ones are divided by 8, between them they fall steadily.
static void test_llama3(void)
{
	const struct rope_llama3 scaling = { .factor = 8, .low = 1, .high = 4, .original = 8192 };
	float plain[64], f[64];

	rope_frequencies(500000, 64, plain);
	rope_frequencies(500000, 64, f);
	rope_scale_llama3(&scaling, 64, f);
	for (int i = 0; i < 64; i++) {
		double wavelength = 2 * M_PI / (double)plain[i];

		if (wavelength < 8192.0 / 4)
			CHECK(f[i] == plain[i]);
		else if (wavelength > 8192)
			CHECK(fabsf(f[i] - plain[i] / 8) <= 1e-7f * plain[i]);
		else
			CHECK(f[i] < plain[i] && f[i] > plain[i] / 8);
	}
	CHECK(f[28] == plain[28] && f[29] < plain[29]); // wavelengths of 1954 and 2400
	CHECK(f[34] > plain[34] / 8 * 1.001f);          // 6709
}

int main(void)
{
	RUN(test_frequencies);
	RUN(test_llama3);
	return 0;
}
