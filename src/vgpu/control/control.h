// SPDX-License-Identifier: Apache-2.0
// The control socket (docs/interfaces.md, section 3): who asks for what, and in which state it is
// legal. One connection at a time, a new one takes the place of the old; losing it changes nothing.
// Main thread only.
#pragma once

#include "vgpu/control/options.h"
#include "vgpu/vgpu.h"

struct control;

// What is opened before the process gives up its rights. -1: nothing.
struct control_files {
	int socket, vm_log;
};

// The control socket, where o->control is set, and the VM's log.
int control_files_open(const struct options *o, struct control_files *ret, struct ferry_error *e);
// Takes over the files, also on error. `o` stays the caller's and outlives it.
int control_new(struct vgpu *v, const struct options *o, struct control_files *files,
	struct control **ret, struct ferry_error *e);
struct control *control_free(struct control *c); // NULL-safe, returns NULL
