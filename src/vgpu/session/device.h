// SPDX-License-Identifier: Apache-2.0
// Sub-devices: parts of the device that queues can be made on. A part is named by how its parent is
// divided and which of the parts it is, so that it is the same part wherever the vGPU runs. Main thread
// only.
#pragma once

#include "vgpu/backend/backend.h"
#include "vgpu/session/object.h"

struct device {
	struct object o;       // must be first
	struct device *parent; // a reference; NULL: the whole device
	struct be_partition how;
	struct be_part
		*be; // NULL when it failed, or where it moved to a device that has no such part
};

// The first reference is the caller's; -errno. What the device refuses is in o.failed.
int device_new(struct session *s, uint64_t serial, struct device *parent,
	const struct be_partition *how, struct device **ret);
