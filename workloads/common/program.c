// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include <errno.h>
#include <stdio.h>

#define MAX_SOURCES 32

static int fail_build(struct gpu *g, cl_program program, cl_int status, struct failure *f)
{
	char log[3000] = "";

	if (clGetProgramBuildInfo(
		    program, g->device, CL_PROGRAM_BUILD_LOG, sizeof log - 1, log, NULL))
		snprintf(log, sizeof log, "(no build log)");
	return fail(f, EIO, "clBuildProgram: %s\n%s", cl_status_name(status), log);
}

int program_build(struct gpu *g, const char *options, cl_program *ret, struct failure *f)
{
	const char *texts[MAX_SOURCES];
	cl_program program;
	cl_int st;

	for (unsigned i = 0; i < kernel_source_count; i++)
		texts[i] = kernel_sources[i].text;
	program = clCreateProgramWithSource(g->context, kernel_source_count, texts, NULL, &st);
	if (!program)
		return fail_cl(f, st, "clCreateProgramWithSource");
	st = clBuildProgram(program, 1, &g->device, options, NULL, NULL);
	if (st) {
		int r = fail_build(g, program, st, f);

		clReleaseProgram(program);
		return r;
	}
	*ret = program;
	return 0;
}

int program_kernel(cl_program program, const char *name, const struct arg *args, unsigned n,
	cl_kernel *ret, struct failure *f)
{
	cl_int st;
	cl_kernel kernel = clCreateKernel(program, name, &st);

	if (!kernel)
		return fail_cl(f, st, name);
	for (unsigned i = 0; i < n; i++) {
		st = clSetKernelArg(kernel, i, args[i].size, args[i].value);
		if (st) {
			clReleaseKernel(kernel);
			return fail(f, EINVAL, "clSetKernelArg(%s, %u): %s", name, i,
				cl_status_name(st));
		}
	}
	*ret = kernel;
	return 0;
}
