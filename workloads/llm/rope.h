// SPDX-License-Identifier: Apache-2.0
// Frequencies of rotary position embeddings (Su et al. 2021) and how models stretch them. Knows
// numbers only.
#pragma once

#include <stdint.h>

#define ROPE_MAX_PAIRS 128

// freq[i] = base^(-i / pairs), radians a position, for i below `pairs` (half the head's width).
void rope_frequencies(float base, uint32_t pairs, float *freq);

// Llama 3.1's scaling (Meta's reference code, apply_scaling): frequencies with a wavelength above
// original / low are divided by `factor`, those below original / high stay, between them the two
// are blended. `original` is the context that the model was first trained with, in tokens.
struct rope_llama3 {
	float factor, low, high;
	float original;
};

void rope_scale_llama3(const struct rope_llama3 *scaling, uint32_t pairs, float *freq);
