// SPDX-License-Identifier: Apache-2.0
// What ferry-vgpu gives up before it hears a guest's first byte, since a guest's kernels run inside it
// (docs/security.md says what that protects). Knows processes; knows no OpenCL, no guests.
#pragma once

#include <stdbool.h>
#include "base/error.h"

// As root, in one thread: becomes that user and group for good, without any other group. The folder
// in POCL_CACHE_DIR becomes its own and the working directory, so that it is reached whatever the
// folders above it allow; the variable is changed accordingly.
int confine_become(unsigned user, struct ferry_error *e);

// No privileges by execve(2), no core file; with `own_user` no more than so many threads and processes
// as a compiler may need, and so much memory beside the framebuffer (RLIMIT_DATA of setrlimit(2)).
int confine_limit(bool own_user, struct ferry_error *e);

// In the one thread there is, after both: what is not the driver's, its compiler's or in the working
// directory can be opened no more, by this process and all that it starts (landlock(7)). What is open
// stays open. Nothing is closed in a build with sanitizers. A kernel without Landlock: -errno.
int confine_files(struct ferry_error *e);

// From now on every thread, and every process that it starts, has only the system calls in confine.c:
// sockets of its own, other processes' memory, namespaces and kernel interfaces are not among them. An
// unlisted call fails with ENOSYS, as on an older kernel, socket(2) with EPERM. Nothing is filtered in a
// build with sanitizers, which trace their own process. A kernel without seccomp(2): -errno.
int confine_calls(struct ferry_error *e);
