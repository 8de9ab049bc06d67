// SPDX-License-Identifier: Apache-2.0
// The programs' connections, each carried to a port of the vGPU and back, as QEMU does it for the processes
// of a guest. Threads of its own accept and carry; all functions are the main thread's.
#pragma once

#include "vgpu/testing/testhost.h"

#define CONNECTIONS_MAX TESTHOST_PORTS_MAX // at once; the next program waits until one ends

// Accepts from now on, for the ports of this vGPU. The descriptors stay the callers'.
void connections_begin(int listen_fd, const struct testhost *host);
bool connections_any(void); // some program is connected
// Tells the vGPU which programs have ended; only where its gate is open. Their ports are free then.
void connections_settle(struct testhost *host);
// No byte is carried between the two: the VM is stopped. Then the ports are those of another vGPU.
void connections_hold(void);
void connections_resume(const struct testhost *host);
void connections_end(void); // what is left is closed
