// SPDX-License-Identifier: Apache-2.0
// What commands on buffers, images and shared virtual memory have in common. Needs the session's lock.
#pragma once

#include "guest/cl/rect.h"
#include "guest/stream/transfer.h"

#define MIGRATION_FLAGS                                                                            \
	((cl_mem_migration_flags)(CL_MIGRATE_MEM_OBJECT_HOST |                                     \
				  CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED))

// The rest of a command that copies bytes, or boxes of them of one size, which `c` began and has checked: what
// command_end() returns.
cl_int copy_bytes(
	struct command *c, cl_mem from, size_t from_offset, cl_mem to, size_t to_offset, size_t n);
cl_int copy_boxes(
	struct command *c, cl_mem from, const struct rect *a, cl_mem to, const struct rect *b);
// The rest of a command that fills a part of the buffer, which `c` began: CL_INVALID_VALUE, or what
// command_end() returns.
cl_int fill_buffer(struct command *c, cl_mem m, size_t offset, size_t size, const void *pattern,
	size_t pattern_size);
