// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/dispatch.h"

#include <stddef.h>
#include <string.h>

// The Direct3D entries exist only as bare pointers outside Windows.
static cl_int no_such_api(void)
{
	return CL_INVALID_OPERATION;
}

#define NO_SUCH(name) .name = (void *)no_such_api
const cl_icd_dispatch ferry_dispatch = {
#define ENTRY(name) .name = ferry_##name,
#include "guest/cl/entries.def"
#undef ENTRY
	NO_SUCH(clGetDeviceIDsFromD3D10KHR),
	NO_SUCH(clCreateFromD3D10BufferKHR),
	NO_SUCH(clCreateFromD3D10Texture2DKHR),
	NO_SUCH(clCreateFromD3D10Texture3DKHR),
	NO_SUCH(clEnqueueAcquireD3D10ObjectsKHR),
	NO_SUCH(clEnqueueReleaseD3D10ObjectsKHR),
	NO_SUCH(clGetDeviceIDsFromD3D11KHR),
	NO_SUCH(clCreateFromD3D11BufferKHR),
	NO_SUCH(clCreateFromD3D11Texture2DKHR),
	NO_SUCH(clCreateFromD3D11Texture3DKHR),
	NO_SUCH(clCreateFromDX9MediaSurfaceKHR),
	NO_SUCH(clEnqueueAcquireD3D11ObjectsKHR),
	NO_SUCH(clEnqueueReleaseD3D11ObjectsKHR),
	NO_SUCH(clGetDeviceIDsFromDX9MediaAdapterKHR),
	NO_SUCH(clEnqueueAcquireDX9MediaSurfacesKHR),
	NO_SUCH(clEnqueueReleaseDX9MediaSurfacesKHR),
};

static const struct {
	const char *name;
	size_t offset;
} names[] = {
#define ENTRY(name) { #name, offsetof(cl_icd_dispatch, name) },
#include "guest/cl/entries.def"
#undef ENTRY
};

void *dispatch_find(const char *name)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!strcmp(names[i].name, name))
			return *(void *const *)((const char *)&ferry_dispatch + names[i].offset);
	return NULL;
}
