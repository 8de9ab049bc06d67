// SPDX-License-Identifier: Apache-2.0
// Do the rounds still make progress? Progress is a round after which at least a tenth less is left
// than after the best one before. CONVERGENCE_ROUNDS rounds in a row that end no better: stuck.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CONVERGENCE_ROUNDS 3 // of these, the first may be the best one itself

struct convergence {
	uint64_t best;    // fewest dirty bytes at a round's end
	unsigned rounds;  // seen
	unsigned without; // rounds since the best one, itself included
};

void convergence_round(struct convergence *c, uint64_t dirty_bytes);
bool convergence_stuck(const struct convergence *c);
