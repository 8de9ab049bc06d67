// SPDX-License-Identifier: Apache-2.0
// The kernels compiled for one model shape, once for each type of weights that it has.
#pragma once

#include "program.h"
#include "shape.h"

struct programs {
	cl_program of[WEIGHT_TYPES]; // NULL: not in use
};

// Compiles for the types that `uses` marks. An error carries the compiler's log.
int programs_build(struct programs *p, struct gpu *g, const struct shape *s,
	const bool uses[WEIGHT_TYPES], struct failure *f);

// NULL-safe on a zeroed object.
void programs_free(struct programs *p);
