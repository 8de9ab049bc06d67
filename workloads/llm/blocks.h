// SPDX-License-Identifier: Apache-2.0
// The block types of ggml files that are not kept on the device: what their bytes mean. Formats as ggml's
// quantisation publishes them (block_q4_K and so on); a weight is worked out as they are defined, in floats.
#pragma once

#include <stdint.h>

// What a block of `gguf_type` (gguf/format.h has its sizes) holds. NULL for a type that is not one of these.
typedef void blocks_read(const uint8_t *block, float *out);
blocks_read *blocks_reader(uint32_t gguf_type);
