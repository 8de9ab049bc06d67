// SPDX-License-Identifier: Apache-2.0
// Boxes of pixels (OpenCL 1.2, section 5.3), as rectangles of bytes: of the image's packed bytes on the
// host, and of the program's memory with its pitches. Needs the session's lock.
#pragma once

#include "guest/cl/rect.h"
#include "guest/cl/types.h"
#include "vgpu/protocol/image.h"

// A box of an image's bytes on the host. `at` points into the struct: it must not be copied.
struct image_box {
	size_t origin[3], region[3];
	struct rect at;
};

// The shape of an image that exists, which has a layout.
struct image_shape image_shape_of(cl_mem m);
// Whether the box lies inside, and follows the rules for the image's type: CL_INVALID_VALUE.
cl_int image_check_box(cl_mem m, const size_t *origin, const size_t *region);
void image_box(cl_mem m, const size_t *origin, const size_t *region, struct image_box *ret);
uint64_t image_box_bytes(cl_mem m, const size_t *region);

// Fills in pitches of 0 for the program's memory: CL_INVALID_VALUE where one is too small. The slice
// pitch of what has no slices is ignored.
cl_int image_fix_pitches(cl_mem m, const size_t *region, size_t *row_pitch, size_t *slice_pitch);
// The program's memory at `base`, with such pitches, for a box of that size.
struct region image_in_memory(
	cl_mem m, const void *base, const size_t *region, size_t row_pitch, size_t slice_pitch);

// The host's list of formats for images of a type and flags: *ret_n pairs of cl_channel_order and
// cl_channel_type, little-endian; NULL when there is none.
const uint8_t *image_formats(cl_mem_flags flags, cl_mem_object_type type, size_t *ret_n);
