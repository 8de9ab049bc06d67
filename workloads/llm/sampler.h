// SPDX-License-Identifier: Apache-2.0
// Chooses a token from logits at a temperature. Knows no device. (Greedy tokens are chosen on it.)
#pragma once

#include <stdint.h>

struct sampling {
	float temperature; // 0: greedy, and the rest does not matter
	float top_p;       // over 0, up to 1: the smallest set of tokens with that much probability
	uint64_t seed;
};

// The token for number `index` of a sequence: the same arguments give the same token. `scratch`
// has room for `vocab` of them.
struct candidate {
	float p;
	int32_t token;
};

int32_t sampler_choose(const struct sampling *s, uint64_t index, const float *logits,
	uint32_t vocab, struct candidate *scratch);
