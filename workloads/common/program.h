// SPDX-License-Identifier: Apache-2.0
// Kernel sources compiled into a program, and kernel objects with their arguments set.
#pragma once

#include "gpu.h"

struct kernel_source {
	const char *name; // file name without ".cl"
	const char *text;
};

// The files of a workload's kernels/, in the order in which they are compiled; embed_kernels.py makes
// them at build time, for each workload its own.
extern const struct kernel_source kernel_sources[];
extern const unsigned kernel_source_count;

// One kernel argument. A buffer is {sizeof(cl_mem), &buffer}.
struct arg {
	size_t size;
	const void *value;
};

#define ARG(v) ((struct arg){ sizeof(v), &(v) })

// Compiles all kernel_sources with these compiler options. An error carries the compiler's log.
int program_build(struct gpu *g, const char *options, cl_program *ret, struct failure *f);

// A kernel object with all `n` arguments set.
int program_kernel(cl_program program, const char *name, const struct arg *args, unsigned n,
	cl_kernel *ret, struct failure *f);
