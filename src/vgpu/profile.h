// SPDX-License-Identifier: Apache-2.0
// vGPU profiles: how much framebuffer a vGPU has and which share of the device, and how it is shared.
// One table; a library of its own, since `ferry run` starts a ferry-vgpu without any daemon.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/json.h"

#define PROFILE_SLICES 8 // what a device is divided into for partitioned profiles

enum profile_kind {
	PROFILE_NONE,        // no vGPU
	PROFILE_TIME_SLICED, // the whole device, in turns
	PROFILE_PARTITIONED, // compute units of its own
	PROFILE_PASSTHROUGH, // the device itself: known, so that it can be refused with its reason
};

struct profile {
	const char *name;           // as in the field; see the table
	uint64_t framebuffer_bytes; // enforced: what is over it fails to allocate; 0: no vGPU
	enum profile_kind kind;
	unsigned share_percent; // of the device's time, or of its compute units
	unsigned slices;        // of PROFILE_SLICES; partitioned profiles only
	const char *help;
};

extern const struct profile profiles[];
extern const size_t profile_count;

const char *profile_kind_name(enum profile_kind k); // "time-sliced"
// Why a running VM of that kind never moves; NULL: it does.
const char *profile_fixed_reason(enum profile_kind k);

// Code "no-profile" with the names that there are.
const struct profile *profile_find(const char *name, struct ferry_error *e);
json_t *profile_to_json(const struct profile *p);
