// SPDX-License-Identifier: Apache-2.0
// A device for tests: memory is the page space's, commands are over at once and most do nothing, a program
// is a kernel "k" with a buffer, four bytes and a local argument, and one "images" with an image and a
// sampler.
#pragma once

#include "vgpu/backend/backend.h"

extern const struct backend_ops backend_fake;

// Commands of such a device are not over before fake_release(), after which they are at once again.
void fake_hold(struct backend *be);
void fake_release(struct backend *be);

// Compilers of all such devices, and launches, which may need one, end no sooner than this is false again.
void fake_hold_compilers(bool hold);
