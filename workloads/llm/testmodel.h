// SPDX-License-Identifier: Apache-2.0
// For tests: a model on the first device; without a device the test is skipped.
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "model.h"

static inline void need(int r, const struct failure *f)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s\n", f->text);
	exit(1);
}

// Loads what model_init() or model_init_file() has named.
static inline void testmodel_ready(struct model *m)
{
	struct failure f = { "" };

	if (model_load_step(m, 0, 0, &f)) {
		printf("skipped: %s\n", f.text);
		exit(77);
	}
	while (!m->ready)
		need(model_load_step(m, 0, 0, &f), &f);
}

// A small one with made weights.
static inline void testmodel_load(
	struct model *m, const struct shape *shape, enum weight_type type, uint64_t seed)
{
	struct failure f = { "" };

	need(model_init(m, shape, type, seed, "tiny", &f), &f);
	testmodel_ready(m);
}
