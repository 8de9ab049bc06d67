// SPDX-License-Identifier: Apache-2.0
// What the API programs share: ordinary OpenCL 1.2 programs that run on any device. Each prints "ok"
// lines that must not depend on the device: tests/run-api compares them.
#pragma once

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>
#include "base/test.h"

struct cl {
	cl_platform_id platform;
	cl_device_id device;
	cl_context context;
	cl_command_queue queue; // in order, with profiling
};

struct cl cl_setup(void);
void cl_teardown(struct cl *c);
cl_program cl_source(struct cl *c, const char *text);
// Builds or ends the program with the build log.
cl_program cl_build(struct cl *c, const char *source);
cl_kernel cl_kernel_of(cl_program p, const char *name);
cl_mem cl_buffer(struct cl *c, cl_mem_flags flags, size_t size, void *host_ptr);

#define OK(call) CHECK_EQ((call), CL_SUCCESS)
