// SPDX-License-Identifier: Apache-2.0
// For tests: a vGPU in the test's own process and thread, on a device of the test's choice, with one
// port; and its object state as it goes to another one. Nothing here waits longer than the loop has
// something to do.
#pragma once

#include "base/buf.h"
#include "vgpu/state/state.h"
#include "vgpu/vgpu.h"

struct testvgpu {
	struct loop *loop; // borrowed
	struct vgpu *v;
	int guest;     // the guest's end of port 0
	struct buf in; // what came out of it and nobody has looked at
	bool deaf;     // the guest reads nothing
};

void testvgpu_start(struct testvgpu *t, struct loop *loop, const struct backend_ops *device);
// As the destination of a move starts: the gate closed, nothing written to the port.
void testvgpu_start_incoming(
	struct testvgpu *t, struct loop *loop, const struct backend_ops *device);
void testvgpu_stop(struct testvgpu *t);

// Lets everything happen that can.
void testvgpu_settle(struct testvgpu *t);
// The guest writes; and everything happens that can.
void testvgpu_feed(struct testvgpu *t, const void *bytes, size_t n);

// For state_collect(): appends the record to a struct buf, as a blob.
int testvgpu_emit(void *records, const void *record, size_t n);
// Applies all records, with byte `damage` of them (SIZE_MAX: none) changed by ^ `with`. 0 or -errno.
int testvgpu_apply(struct testvgpu *t, const struct buf *records, size_t damage, uint8_t with);
// Lets what came be built, makes this one the owner, and opens its gate.
void testvgpu_own(struct testvgpu *t);
// Closes the gate and drains.
void testvgpu_close_gate(struct testvgpu *t);
