// SPDX-License-Identifier: Apache-2.0
// A listening unix socket for programs on this machine (`ferry run`): each connection is a port.
#pragma once

#include "vgpu/vgpu.h"

struct serve;

// `fd` is bound to `path`, and becomes its own, also on error.
int serve_new(struct vgpu *v, int fd, const char *path, struct serve **ret, struct ferry_error *e);
struct serve *serve_free(struct serve *s); // NULL-safe, returns NULL; its ports stay the vGPU's
