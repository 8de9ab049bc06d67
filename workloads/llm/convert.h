// SPDX-License-Identifier: Apache-2.0
// Rows of weights as GGUF files store them, to and from floats, and into the tiles that the kernels
// read. Knows formats, no files and no OpenCL.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shape.h"

// How a file's type is kept on the device: F32, F16, Q8_0 and Q4_0 as they are, BF16 as F16, the other
// types of blocks (blocks.h) as Q8_0. False for any other.
bool convert_target(uint32_t gguf_type, enum weight_type *ret);

// The file's type that is a device type.
uint32_t convert_same(enum weight_type t);

// Bytes of a row of `cols` weights, whole blocks of the type.
uint64_t convert_row_bytes(uint32_t gguf_type, uint32_t cols);

void convert_to_floats(uint32_t gguf_type, const uint8_t *row, uint32_t cols, float *out);

// To F32, F16 or Q8_0 (a block's scale is its largest magnitude over 127).
void convert_from_floats(enum weight_type t, const float *in, uint32_t cols, uint8_t *row);

// Packs rows in the file's format of type `t` into a strip (kernels/common.cl).
void convert_pack(
	enum weight_type t, const uint8_t *const rows[TILE_ROWS], uint32_t cols, uint8_t *strip);
