// SPDX-License-Identifier: Apache-2.0
// Taking a program's native binary in a process of its own (why: cl_binary.c).
#pragma once

#include "vgpu/backend/backend.h"

// ferry-vgpu's first argument when it is that process; the second is the device's number.
#define CL_BINARY_OPTION "--take-binary"

// The backend's program_get_binary. Waits for the process: not on the main thread.
cl_int cl_program_get_binary(struct backend *be, const struct be_origin *from, struct buf *binary);

// The backend's program_lacks. Waits for the process, too.
void cl_program_lacks(struct backend *be, const struct be_origin *from, struct buf *name);

// The process's whole work: reads what to build from descriptor 3, writes the binary to 4. Returns
// only when it cannot begin, with an exit status.
int cl_binary_child(unsigned device);
