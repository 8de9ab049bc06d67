// SPDX-License-Identifier: Apache-2.0
#include "engine/policy.h"

#include <errno.h>
#include <string.h>

static enum policy_step precopy_next(const struct policy_input *in)
{
	if (in->rounds < POLICY_MIN_ROUNDS)
		return POLICY_ROUND;
	if (in->forecast_ns <= in->target_ns)
		return POLICY_SWITCH;
	if (!convergence_stuck(in->convergence) && in->rounds < POLICY_MAX_ROUNDS)
		return POLICY_ROUND;
	return in->sure_ns <= in->limit_ns ? POLICY_SWITCH_FORCED : POLICY_NOT_CONVERGING;
}

static enum policy_step stop_copy_next(const struct policy_input *in)
{
	return in->sure_ns <= in->limit_ns ? POLICY_SWITCH_FORCED : POLICY_OVER_LIMIT;
}

static enum policy_step single_pass_next(const struct policy_input *in)
{
	return in->rounds == 0 ? POLICY_ROUND : stop_copy_next(in);
}

static const struct {
	const char *name;
	bool rounds_go_on;
	enum policy_step (*next)(const struct policy_input *in);
} modes[MODE_COUNT] = {
	[MODE_PRECOPY] = { "precopy", true, precopy_next },
	[MODE_STOP_COPY] = { "stop-copy", false, stop_copy_next },
	[MODE_SINGLE_PASS] = { "single-pass", false, single_pass_next },
};

#define SINGLE_PASS_WATCH_NS 5000000000LL

int64_t policy_watch_ns(enum mode m)
{
	return m == MODE_SINGLE_PASS ? SINGLE_PASS_WATCH_NS : 0;
}

bool policy_rounds_go_on(enum mode m)
{
	return modes[m].rounds_go_on;
}

enum policy_step policy_next(enum mode m, const struct policy_input *in)
{
	return modes[m].next(in);
}

bool policy_passes_end(const struct convergence *convergence)
{
	return convergence_stuck(convergence) || convergence->rounds >= POLICY_MAX_PASSES;
}

const char *mode_name(enum mode m)
{
	return modes[m].name;
}

int mode_from_name(const char *name, enum mode *ret)
{
	for (unsigned i = 0; i < MODE_COUNT; i++)
		if (!strcmp(name, modes[i].name)) {
			*ret = (enum mode)i;
			return 0;
		}
	return -EINVAL;
}
