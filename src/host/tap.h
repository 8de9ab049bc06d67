// SPDX-License-Identifier: Apache-2.0
// A tap device for a VM, on the guests' bridge. Knows ioctls of tun(4) and bridges, no VMs.
#pragma once

#include <stddef.h>
#include "base/error.h"

// The device's name from a VM's name, at most 15 bytes: "ft-" and a hash.
void tap_name(const char *vm, char ret[16]);
// Makes the device, up and on the bridge, and returns its descriptor for QEMU. The device goes away
// when the last descriptor is closed. Needs CAP_NET_ADMIN.
int tap_open(const char *name, const char *bridge, struct ferry_error *e);
