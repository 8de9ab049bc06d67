// SPDX-License-Identifier: Apache-2.0
// Buffers and images as the commands see them. Needs the session's lock.
#pragma once

#include "guest/cl/types.h"

// Memory for a command of a queue in that context: CL_INVALID_MEM_OBJECT, CL_INVALID_CONTEXT. Of either
// kind, only a buffer, only an image.
cl_int mem_check(cl_mem m, cl_context c);
cl_int buffer_check(cl_mem m, cl_context c);
cl_int image_check(cl_mem m, cl_context c);
// Whether the host may do this to the memory: CL_INVALID_OPERATION (CL_MEM_HOST_*).
cl_int mem_check_access(cl_mem m, bool write);

// From this size on the host is asked at once whether the quota allows it; smaller memory is pipelined
// and fails at its first use.
#define MEM_ASK_BYTES (1u << 20)

// For creating either kind. CL_INVALID_VALUE, CL_INVALID_HOST_PTR.
cl_int mem_check_flags(cl_mem_flags flags, bool host_ptr);
// Not known to the host yet. NULL: no memory.
cl_mem mem_new(cl_context c, cl_mem_object_type type, cl_mem_flags flags, size_t size);
// Makes it known to the host, which is asked at once where it is large. Its extent is new.
cl_int mem_announce(cl_mem m);
// Flags as the host hears them.
cl_mem_flags mem_host_flags(cl_mem m);
// What a part of it does not say it inherits; what it says must not widen: CL_INVALID_VALUE.
cl_int mem_part_flags(cl_mem parent, cl_mem_flags flags, cl_mem_flags *ret);

// The program's or the library's memory for the mapped contents, at the first byte; that of something
// with a parent lies inside its parent's. NULL: no memory.
uint8_t *mem_shadow(cl_mem m);
// From one to the other those bytes stay what they are; unused contents need no guest memory.
void mem_shadow_use(cl_mem m);
void mem_shadow_unuse(cl_mem m);
void mem_shadow_drop(cl_mem m);
