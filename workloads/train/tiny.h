// SPDX-License-Identifier: Apache-2.0
// What the tests on a device share: a shape small enough for plain C, with two query heads to a key
// head, and a device to run it on.
#pragma once

#include "check.h"
#include "network.h"

static const struct shape tiny = { .dim = 64,
	.layers = 2,
	.heads = 2,
	.kv_heads = 1,
	.hidden = 96,
	.vocab = 64,
	.context = 64,
	.batch = 2 };

static inline void need(int r, const struct failure *f)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s\n", f->text);
	exit(1);
}

// Ends the test as skipped where there is no device.
static inline void tiny_open(struct gpu *g)
{
	struct failure f = { "" };

	if (gpu_open(g, 0, 0, &f)) {
		printf("skipped: %s\n", f.text);
		exit(77);
	}
}
