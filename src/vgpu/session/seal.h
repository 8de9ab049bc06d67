// SPDX-License-Identifier: Apache-2.0
// The binaries that a guest is given are sealed: what comes back damaged, cut, or of another device is
// refused here, since the driver (PoCL 3.1) believes every byte and ends the process over a wrong one.
// A seal is no signature: who forges one has what a kernel of his has anyway (docs/security.md).
#pragma once

#include "base/buf.h"
#include "vgpu/protocol/fields.h"

#include <stdbool.h>

// Appends the sealed `binary`. `key`: the device's (struct be_device).
void seal_put(struct buf *to, const char *key, struct p_blob binary);
// The binary inside `sealed`; false when that is not what seal_put() made. `key` NULL: of any device.
bool seal_open(struct p_blob sealed, const char *key, struct p_blob *ret);
