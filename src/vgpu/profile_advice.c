// SPDX-License-Identifier: Apache-2.0
#include "vgpu/profile_advice.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

// The guidance that operators of the system that we follow are given: passthrough for the most speed,
// time slicing for training, development and test, partitions for production inference and several
// tenants (the published session notes on vGPU, MIG and passthrough); with what Ferry adds and lacks.
const struct profile_advice profile_advices[] = {
	{ "training", "ferry_cpu-8q", "best-effort",
		{ "a time slice has all compute units: alone on the device it has its whole speed",
			"the whole framebuffer: training fills what there is",
			"a run of days can be moved when its host must be patched; with "
			"passthrough it "
			"would have to stop",
			NULL },
		"passthrough gives the last percent of speed and never moves: only for work that "
		"may be stopped" },
	{ "inference", "ferry_cpu-4-4q", NULL,
		{ "compute units of its own: how long an answer takes does not depend on the "
		  "neighbours",
			"weights hardly change while it serves: pre-copy sends them before the "
			"stun",
			"half of the units and 4 GiB: two such servers fill a device", NULL },
		"for models that are tried out, or that mostly wait, share in turns: ferry_cpu-2q "
		"with best-effort scheduling gives idle time to the others" },
	{ "multitenant", "ferry_cpu-2-2q", NULL,
		{ "partitions isolate: no tenant's kernels run on another's compute units",
			"each tenant has the same speed whoever else is there",
			"on a CPU device a partition isolates speed and not trust: see "
			"docs/security.md",
			NULL },
		"with more tenants than slices, ferry_cpu-1q with fixed-share scheduling: the same "
		"share of the device's time at any load" },
};
const size_t profile_advice_count = ARRAY_SIZE(profile_advices);

const struct profile_advice *profile_advice_find(const char *purpose, struct ferry_error *e)
{
	for (size_t i = 0; i < profile_advice_count; i++)
		if (!strcmp(profile_advices[i].purpose, purpose))
			return &profile_advices[i];
	ferry_fail(e, ENOENT, "no-purpose", "there is no advice for '%.40s'", purpose);
	ferry_error_remedy(e, "choose one of training, inference, multitenant");
	return NULL;
}

json_t *profile_advice_to_json(const struct profile_advice *a)
{
	json_t *reasons = json_array();

	for (const char *const *r = a->reasons; *r; r++)
		json_array_append_new(reasons, json_string(*r));
	return json_pack("{s:s, s:o, s:s?, s:o, s:s}", "for", a->purpose, "profile",
		profile_to_json(profile_find(a->profile, NULL)), "scheduling", a->scheduling,
		"reasons", reasons, "instead", a->instead);
}
