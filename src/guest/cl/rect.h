// SPDX-License-Identifier: Apache-2.0
// Rectangles in buffers and in memory: OpenCL 1.2, section 5.2.2, with its checks. Pure; no lock.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/cl/region.h"
#include "vgpu/protocol/protocol.h"

struct rect {
	const size_t *origin, *region; // three each: bytes, rows, slices
	size_t row_pitch, slice_pitch; // 0: packed, until rect_fix()
};

// Fills in pitches of 0. False where the specification says CL_INVALID_VALUE.
bool rect_fix(struct rect *r);
// The offset just behind its last byte; UINT64_MAX when that overflows.
uint64_t rect_end(const struct rect *r);
uint64_t rect_offset(const struct rect *r); // of its first byte
struct region rect_in_memory(const struct rect *r, const void *ptr);
struct p_vec3 rect_origin(const struct rect *r);
struct p_vec3 rect_region(const struct rect *r);
