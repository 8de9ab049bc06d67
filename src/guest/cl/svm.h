// SPDX-License-Identifier: Apache-2.0
// Shared virtual memory (OpenCL 3.0, section 5.6): coarse-grained buffers, fine-grained ones where the
// program has the vGPU's memory mapped. An allocation is a buffer that no program has the handle of, and
// memory of the program's at the address that the device has (window.h); what the program does with a
// pointer becomes what it could do with that buffer. Needs the session's lock.
#pragma once

#include "guest/cl/types.h"

// Whether the device has it, and which kinds: 0 without it.
bool svm_is_there(void);
cl_device_svm_capabilities svm_capabilities(void);
// The allocation of that context that holds the byte; NULL: none does.
cl_mem svm_at(const void *at, cl_context c);
static inline size_t svm_offset(cl_mem m, const void *at)
{
	return (size_t)((const uint8_t *)at - (const uint8_t *)m->host_ptr);
}
// clSVMFree. Commands that were sent keep what they use.
void svm_free(void *at);

// What a kernel reaches by pointers: copied to its clone; told to the host, before a launch.
cl_int svm_name_copy(cl_kernel to, cl_kernel from);
cl_int svm_names_send(cl_kernel k);
