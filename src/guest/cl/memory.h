// SPDX-License-Identifier: Apache-2.0
// Buffers as the commands see them. Needs the session's lock.
#pragma once

#include "guest/cl/types.h"

// A buffer for a command of that queue: CL_INVALID_MEM_OBJECT, CL_INVALID_CONTEXT.
cl_int mem_check(cl_mem m, cl_context c);
// The program's or the library's memory for the mapped contents, at the buffer's first byte; a
// sub-buffer's lies inside its parent's. NULL: no memory.
uint8_t *mem_shadow(cl_mem m);
// The contents of an unmapped buffer need no guest memory.
void mem_shadow_drop(cl_mem m);
