// SPDX-License-Identifier: Apache-2.0
// Lists of devices, of contexts and programs; and what the host has said. Needs the session's lock.
#pragma once

#include "guest/cl/types.h"

// Copies the list, each device once, with a reference to each. CL_INVALID_DEVICE, CL_OUT_OF_HOST_MEMORY;
// *to is then empty.
cl_int devices_take(struct devices *to, cl_uint n, const cl_device_id *from);
void devices_drop(struct devices *d);
// CL_SUCCESS when d is a device of the list, else CL_INVALID_DEVICE (or what d has failed with).
cl_int devices_check(const struct devices *list, cl_device_id d);

// A constant answer of clGetPlatformInfo or clGetDeviceInfo (PROTO_INFO_*), as every clGet*Info gives it;
// CL_INVALID_VALUE: the host has said none.
cl_int host_info(uint32_t kind, cl_uint param, size_t size, void *value, size_t *size_ret);
