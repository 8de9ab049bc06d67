// SPDX-License-Identifier: Apache-2.0
// The control socket (docs/interfaces.md, section 3): who asks for what, and in which state it is
// legal. One connection at a time, a new one takes the place of the old; losing it changes nothing.
// Main thread only.
#pragma once

#include "vgpu/control/options.h"
#include "vgpu/vgpu.h"

struct control;

// `o` stays the caller's and outlives it.
int control_new(
	struct vgpu *v, const struct options *o, struct control **ret, struct ferry_error *e);
struct control *control_free(struct control *c); // NULL-safe, returns NULL
