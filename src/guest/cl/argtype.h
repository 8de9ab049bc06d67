// SPDX-License-Identifier: Apache-2.0
// OpenCL C's built-in types (OpenCL C 1.2, section 6.1). Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Bytes of an argument of that type ("float4", "unsigned int"); 0 for a type that it does not know.
size_t argtype_size(const char *name);
// The cl_mem_object_type of an image argument of that type; 0 for a type that it does not know.
uint32_t argtype_image(const char *name);
