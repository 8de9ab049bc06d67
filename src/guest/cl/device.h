// SPDX-License-Identifier: Apache-2.0
// Lists of devices: of contexts and programs. Needs the session's lock.
#pragma once

#include "guest/cl/types.h"

// Copies the list, each device once, with a reference to each. CL_INVALID_DEVICE, CL_OUT_OF_HOST_MEMORY;
// *to is then empty.
cl_int devices_take(struct devices *to, cl_uint n, const cl_device_id *from);
void devices_drop(struct devices *d);
// CL_SUCCESS when d is a device of the list, else CL_INVALID_DEVICE (or what d has failed with).
cl_int devices_check(const struct devices *list, cl_device_id d);
