// SPDX-License-Identifier: Apache-2.0
// Functions of the kernel language that a driver declares and does not have.
#pragma once

#include <stddef.h>
#include "vgpu/backend/backend.h"

// Text to put before a program's own, which keeps its line numbers; "" for most.
const char *cl_builtins_before(const struct be_device *device, const char *text, size_t n);
