// SPDX-License-Identifier: Apache-2.0
// The kernels, compiled for one model shape, and kernel objects with their arguments set.
#pragma once

#include "gpu.h"
#include "shape.h"

struct kernel_source {
	const char *name; // file name without ".cl"
	const char *text;
};

// The files of kernels/, in the order in which they are compiled; made at build time.
extern const struct kernel_source kernel_sources[];
extern const unsigned kernel_source_count;

// One kernel argument. A buffer is {sizeof(cl_mem), &buffer}.
struct arg {
	size_t size;
	const void *value;
};

#define ARG(v) ((struct arg){ sizeof(v), &(v) })

// Compiles all sources for `s`. An error carries the compiler's log.
int program_build(struct gpu *g, const struct shape *s, cl_program *ret, struct failure *f);

// A kernel object with all `n` arguments set.
int program_kernel(cl_program program, const char *name, const struct arg *args, unsigned n,
	cl_kernel *ret, struct failure *f);
