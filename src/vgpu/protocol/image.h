// SPDX-License-Identifier: Apache-2.0
// How an image's bytes lie in its extent: packed, without padding, on both sides of the guest stream and
// on every host, so that a transfer of pixels is a rectangle of bytes. Knows OpenCL's numbers for types
// and formats; no objects. Pure.
//
// Rows of `width` pixels follow each other; slices of `height` rows follow each other. The images of a 1D
// array are its rows, those of a 2D array its slices.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct image_shape {
	uint32_t type;             // cl_mem_object_type
	uint32_t order, data_type; // cl_channel_order, cl_channel_type
	uint64_t extent[3];        // width, height, depth; 0 where the type has none
	uint64_t array_size;       // 0 for what is no array
};

struct image_layout {
	uint64_t pixel;             // bytes
	uint64_t count[3];          // pixels in a row, rows in a slice, slices: each at least 1
	uint64_t row, slice, bytes; // pitches, and all of it
};

// Bytes of a pixel (OpenCL 1.2, section 5.3.1.1); 0 where order and type do not go together.
uint64_t image_pixel_bytes(uint32_t order, uint32_t data_type);
bool image_type_is_known(uint32_t type);
// False for a type or format that is none, for an extent of 0 that the type needs or another that it
// does not have, and where the size overflows.
bool image_layout(const struct image_shape *shape, struct image_layout *ret);
// Whether the box of pixels lies inside, and is not empty.
bool image_holds(const struct image_layout *l, const uint64_t origin[3], const uint64_t region[3]);
