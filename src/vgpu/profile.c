// SPDX-License-Identifier: Apache-2.0
#include "vgpu/profile.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

#define GIB (1ull << 30)

// The name's figure is the framebuffer in GiB ("05": half a GiB); q stands for a workstation
// profile, as in the field. Time is shared equally among the vGPUs that want it, so the share is
// what a full host of that profile gives each, counted in eighths of the device.
const struct profile profiles[] = {
	{ "none", 0, "none", 0, "a VM without a vGPU" },
	{ "ferry_cpu-05q", GIB / 2, "time-sliced", 6, "512 MiB, for small programs and tests" },
	{ "ferry_cpu-1q", GIB, "time-sliced", 12, "1 GiB" },
	{ "ferry_cpu-2q", 2 * GIB, "time-sliced", 25, "2 GiB" },
	{ "ferry_cpu-4q", 4 * GIB, "time-sliced", 50, "4 GiB" },
	{ "ferry_cpu-8q", 8 * GIB, "time-sliced", 100, "8 GiB, the whole device" },
};
const size_t profile_count = ARRAY_SIZE(profiles);

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
	return json_pack("{s:s, s:I, s:s, s:i, s:s}", "name", p->name, "framebuffer_bytes",
		(json_int_t)p->framebuffer_bytes, "kind", p->kind, "share_percent",
		(int)p->share_percent, "help", p->help);
}
