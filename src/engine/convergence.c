// SPDX-License-Identifier: Apache-2.0
#include "engine/convergence.h"

void convergence_round(struct convergence *c, uint64_t dirty_bytes)
{
	bool better = c->rounds == 0 || dirty_bytes < c->best - c->best / 10;

	c->rounds++;
	if (better) {
		c->best = dirty_bytes;
		c->without = 1;
	} else {
		c->without++;
	}
}

bool convergence_stuck(const struct convergence *c)
{
	return c->without >= CONVERGENCE_ROUNDS;
}
