// SPDX-License-Identifier: Apache-2.0
// Mapping (OpenCL 1.2, section 5.4.2), for buffers and images. The mapped bytes are guest memory. Needs
// the session's lock.
#pragma once

#include "guest/cl/types.h"
#include "guest/stream/transfer.h"

// CL_INVALID_VALUE, CL_INVALID_OPERATION.
cl_int map_check_flags(cl_mem m, cl_map_flags flags);
// Enters the mapping when err is CL_SUCCESS, else frees it; what the map call returns. `map` is on the
// heap, and since before its bytes were fetched counts as a use of the shadow (memory.h).
void *map_end(cl_mem m, struct mapping *map, cl_int err, cl_int *errcode_ret);

// Maps a part of a buffer, whose bounds and flags were found valid; unmaps what is mapped at `at`.
void *map_buffer(struct command *c, cl_mem m, bool blocking, cl_map_flags flags, size_t offset,
	size_t size, cl_int *errcode_ret);
cl_int map_undo(struct command *c, cl_mem m, const void *at);

// image_map.c: writes what was mapped back.
cl_int map_image_store(struct command *c, cl_mem m, const struct mapping *map);
