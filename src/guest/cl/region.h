// SPDX-License-Identifier: Apache-2.0
// A box of bytes in the program's memory, as clEnqueue*BufferRect describe it, and its packed form
// on the stream. Pure; no lock.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct region {
	uint8_t *base;       // of its first byte
	size_t row;          // bytes in a row
	size_t rows, slices; // 1 and 1: contiguous
	size_t row_pitch, slice_pitch;
};

struct region region_flat(const void *base, size_t n);
uint64_t region_bytes(const struct region *r);
// Copies n bytes at `offset` of the packed form from or to the program's memory.
void region_gather(const struct region *r, uint64_t offset, uint8_t *to, size_t n);
void region_scatter(const struct region *r, uint64_t offset, const uint8_t *from, size_t n);
