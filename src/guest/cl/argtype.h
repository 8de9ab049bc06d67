// SPDX-License-Identifier: Apache-2.0
// Sizes of OpenCL C's built-in types (OpenCL C 1.2, section 6.1). Pure.
#pragma once

#include <stddef.h>

// Bytes of an argument of that type ("float4", "unsigned int"); 0 for a type that it does not know.
size_t argtype_size(const char *name);
