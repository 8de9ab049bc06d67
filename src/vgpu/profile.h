// SPDX-License-Identifier: Apache-2.0
// vGPU profiles: how much framebuffer a vGPU has and which share of the device. One table; a
// library of its own, since `ferry run` starts a ferry-vgpu without any daemon.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/json.h"

struct profile {
	const char *name;           // as in the field: DEVICE-<GiB>KIND
	uint64_t framebuffer_bytes; // enforced: what is over it fails to allocate; 0: no vGPU
	const char *kind;           // "time-sliced", or "none"
	unsigned share_percent;     // of the device's time while others want it
	const char *help;
};

extern const struct profile profiles[];
extern const size_t profile_count;

// Code "no-profile" with the names that there are.
const struct profile *profile_find(const char *name, struct ferry_error *e);
json_t *profile_to_json(const struct profile *p);
