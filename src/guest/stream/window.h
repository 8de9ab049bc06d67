// SPDX-License-Identifier: Apache-2.0
// The addresses of shared virtual memory: those that the framebuffer has in ferry-vgpu, so that a pointer
// means the same on both sides. Either the framebuffer itself is mapped there (direct.h), or they are
// reserved and each allocation gets memory of this process. Knows addresses; knows no OpenCL. Everything
// needs the session's lock.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Where the host has it; false: it has no shared virtual memory.
bool window_where(uint64_t *ret_at, uint64_t *ret_bytes);
// The framebuffer was mapped there, whole.
void window_set_direct(void);
// Whether it was: the program and the device have one memory.
bool window_is_direct(void);

// Zeroed memory for `bytes` from `offset` on. NULL where the host's offset is out of bounds, or the
// addresses are something else's in this process.
void *window_take(uint64_t offset, size_t bytes);
// Its memory goes, its addresses stay reserved.
void window_give(void *at, size_t bytes);
