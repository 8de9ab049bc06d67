// SPDX-License-Identifier: Apache-2.0
#include "rope.h"

#include <math.h>

void rope_frequencies(float base, uint32_t pairs, float *freq)
{
	for (uint32_t i = 0; i < pairs; i++)
		freq[i] = powf(base, -(float)i / (float)pairs);
}

void rope_scale_llama3(const struct rope_llama3 *s, uint32_t pairs, float *freq)
{
	for (uint32_t i = 0; i < pairs; i++) {
		float wavelength = 2 * (float)M_PI / freq[i];
		float blend = (s->original / wavelength - s->low) / (s->high - s->low);

		blend = fminf(fmaxf(blend, 0), 1); // 1: not scaled
		freq[i] = (1 - blend) * freq[i] / s->factor + blend * freq[i];
	}
}
