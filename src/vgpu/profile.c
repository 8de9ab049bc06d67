// SPDX-License-Identifier: Apache-2.0
#include "vgpu/profile.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

#define GIB (1ull << 30)

// Names as in the field (grid_a100-8c, grid_a100-4-20c): DEVICE-SIZEq is a time-sliced profile,
// DEVICE-SLICES-SIZEq a partitioned one. The size is the framebuffer in GiB ("05": half a GiB); q
// stands for a workstation profile. A time-sliced profile's share is what a full host of it gives
// each; a partitioned one's slices are eighths of the device's compute units.
const struct profile profiles[] = {
	{ "none", 0, PROFILE_NONE, 0, 0, "a VM without a vGPU" },
	{ "ferry_cpu-05q", GIB / 2, PROFILE_TIME_SLICED, 6, 0,
		"all compute units, in turns; for small programs and tests" },
	{ "ferry_cpu-1q", GIB, PROFILE_TIME_SLICED, 12, 0, "all compute units, in turns" },
	{ "ferry_cpu-2q", 2 * GIB, PROFILE_TIME_SLICED, 25, 0, "all compute units, in turns" },
	{ "ferry_cpu-4q", 4 * GIB, PROFILE_TIME_SLICED, 50, 0, "all compute units, in turns" },
	{ "ferry_cpu-8q", 8 * GIB, PROFILE_TIME_SLICED, 100, 0, "all compute units, in turns" },
	{ "ferry_cpu-1-1q", GIB, PROFILE_PARTITIONED, 12, 1,
		"an eighth of the compute units, its own" },
	{ "ferry_cpu-2-2q", 2 * GIB, PROFILE_PARTITIONED, 25, 2,
		"a quarter of the compute units, its own" },
	{ "ferry_cpu-4-2q", 2 * GIB, PROFILE_PARTITIONED, 50, 4,
		"half of the compute units, its own" },
	{ "ferry_cpu-4-4q", 4 * GIB, PROFILE_PARTITIONED, 50, 4,
		"half of the compute units, its own" },
	{ "ferry_cpu-passthrough", 0, PROFILE_PASSTHROUGH, 100, 0,
		"the device itself, for one VM; never moves; cannot be started yet" },
};
const size_t profile_count = ARRAY_SIZE(profiles);

const char *profile_kind_name(enum profile_kind k)
{
	static const char *const names[] = {
		[PROFILE_NONE] = "none",
		[PROFILE_TIME_SLICED] = "time-sliced",
		[PROFILE_PARTITIONED] = "partitioned",
		[PROFILE_PASSTHROUGH] = "passthrough",
	};

	return names[k];
}

const char *profile_fixed_reason(enum profile_kind k)
{
	return k == PROFILE_PASSTHROUGH ? "the guest drives the device itself: nothing of Ferry's "
					  "sees its memory or can hold its work"
					: NULL;
}

const struct profile *profile_find(const char *name, struct ferry_error *e)
{
	for (size_t i = 0; i < profile_count; i++)
		if (!strcmp(profiles[i].name, name))
			return &profiles[i];
	ferry_fail(e, ENOENT, "no-profile", "there is no profile '%.40s'", name);
	ferry_error_remedy(e, "choose one of `ferry profile list`");
	return NULL;
}

json_t *profile_to_json(const struct profile *p)
{
	const char *fixed = profile_fixed_reason(p->kind);

	return json_pack("{s:s, s:I, s:s, s:i, s:i, s:b, s:s?, s:s}", "name", p->name,
		"framebuffer_bytes", (json_int_t)p->framebuffer_bytes, "kind",
		profile_kind_name(p->kind), "share_percent", (int)p->share_percent, "slices",
		(int)p->slices, "migratable", !fixed, "fixed_reason", fixed, "help", p->help);
}
