// SPDX-License-Identifier: Apache-2.0
// The memory of the vGPUs' turns on this host's device (src/vgpu/tokens/memory.h): made once, handed to
// every time-sliced ferry-vgpu, and found again in one of them after a restart of ferryd. The loop's
// thread.
#pragma once

#include "base/error.h"

struct host;

#define HOST_TURNS_FD 9 // its number in ferry-vgpu

// After the VMs' processes were found again. A host without it runs on, its vGPUs without turns.
void host_turns_open(struct host *h);
// Writes the setting vgpu.scheduling, where the vGPUs see it at once.
void host_turns_set_policy(struct host *h);
void host_turns_close(struct host *h); // the vGPUs keep theirs
