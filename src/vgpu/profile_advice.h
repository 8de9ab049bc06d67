// SPDX-License-Identifier: Apache-2.0
// Which kind of profile suits which work, and why: operators' guidance as a table.
#pragma once

#include "vgpu/profile.h"

struct profile_advice {
	const char *purpose; // "training"
	const char *profile; // one of profiles[]
	const char *scheduling;
	const char *reasons[5]; // NULL after the last
	const char *instead;    // when to take something else
};

extern const struct profile_advice profile_advices[];
extern const size_t profile_advice_count;

// Code "no-purpose" with those that there are.
const struct profile_advice *profile_advice_find(const char *purpose, struct ferry_error *e);
json_t *profile_advice_to_json(const struct profile_advice *a);
