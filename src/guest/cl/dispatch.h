// SPDX-License-Identifier: Apache-2.0
// The ICD's dispatch table (cl_khr_icd): prototypes of every entry point, made from entries.def.
// The only header that includes the OpenCL ones, so that the version is chosen in one place.
#pragma once

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_0_APIS
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#define CL_USE_DEPRECATED_OPENCL_2_1_APIS
#define CL_USE_DEPRECATED_OPENCL_2_2_APIS
#include <CL/cl_icd.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#define ENTRY(name) __typeof__(*(cl_api_##name)0) ferry_##name;
#include "guest/cl/entries.def"
#undef ENTRY
#pragma GCC diagnostic pop

// The first word of every object points here; the loader reads it.
extern const cl_icd_dispatch ferry_dispatch;

// The entry point of that name, NULL for an unknown one. Any thread.
void *dispatch_find(const char *name);

// Ends a creating call: stores the code and returns NULL.
static inline void *refuse(cl_int *errcode_ret, cl_int code)
{
	if (errcode_ret)
		*errcode_ret = code;
	return NULL;
}
