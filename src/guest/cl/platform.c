// SPDX-License-Identifier: Apache-2.0
// The ICD's entry points and the platform (OpenCL 1.2, section 4.1 and cl_khr_icd).
#include "guest/cl/device.h"
#include "guest/cl/info.h"

#include <string.h>
#include "guest/stream/session.h"

#define EXPORT __attribute__((visibility("default")))

const struct object_class platform_class = { CL_INVALID_PLATFORM, NULL };

struct _cl_platform_id the_platform = {
	.o = { .dispatch = &ferry_dispatch, .class = &platform_class, .users = 1, .refs = 1 }
};

// ---- platform

EXPORT cl_int clIcdGetPlatformIDsKHR(cl_uint n, cl_platform_id *platforms, cl_uint *n_ret);

cl_int clIcdGetPlatformIDsKHR(cl_uint n, cl_platform_id *platforms, cl_uint *n_ret)
{
	LOCKED;

	if ((platforms && !n) || (!platforms && !n_ret))
		return CL_INVALID_VALUE;
	if (session_open() == CL_PLATFORM_NOT_FOUND_KHR) {
		if (n_ret)
			*n_ret = 0;
		return CL_PLATFORM_NOT_FOUND_KHR;
	}
	if (platforms)
		platforms[0] = &the_platform;
	if (n_ret)
		*n_ret = 1;
	return CL_SUCCESS;
}

cl_int ferry_clGetPlatformIDs(cl_uint n, cl_platform_id *platforms, cl_uint *n_ret)
{
	return clIcdGetPlatformIDsKHR(n, platforms, n_ret);
}

cl_int ferry_clGetPlatformInfo(
	cl_platform_id p, cl_platform_info param, size_t size, void *value, size_t *size_ret)
{
	LOCKED;

	if (p && p != &the_platform)
		return CL_INVALID_PLATFORM;
	if (param == CL_PLATFORM_ICD_SUFFIX_KHR)
		return info_text("FERRY", size, value, size_ret);
	return host_info(PROTO_INFO_PLATFORM, param, size, value, size_ret);
}

EXPORT cl_int clGetPlatformInfo(
	cl_platform_id p, cl_platform_info param, size_t size, void *value, size_t *size_ret)
{
	return ferry_clGetPlatformInfo(p, param, size, value, size_ret);
}

// ---- extension functions

void *ferry_clGetExtensionFunctionAddress(const char *name)
{
	if (!name)
		return NULL;
	if (!strcmp(name, "clIcdGetPlatformIDsKHR"))
		return (void *)clIcdGetPlatformIDsKHR;
	return dispatch_find(name);
}

EXPORT void *clGetExtensionFunctionAddress(const char *name)
{
	return ferry_clGetExtensionFunctionAddress(name);
}

void *ferry_clGetExtensionFunctionAddressForPlatform(cl_platform_id p, const char *name)
{
	return p == &the_platform ? ferry_clGetExtensionFunctionAddress(name) : NULL;
}

// ---- compilers

// Hints; the host keeps its compiler.
cl_int ferry_clUnloadCompiler(void)
{
	return CL_SUCCESS;
}

cl_int ferry_clUnloadPlatformCompiler(cl_platform_id p)
{
	return p == &the_platform ? CL_SUCCESS : CL_INVALID_PLATFORM;
}
