// SPDX-License-Identifier: Apache-2.0
// What comes before the switchover, for each mode: which rounds, and when they are enough.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "engine/convergence.h"

enum mode { MODE_PRECOPY, MODE_STOP_COPY, MODE_SINGLE_PASS, MODE_COUNT };

enum policy_step {
	POLICY_ROUND,          // another round
	POLICY_SWITCH,         // let the VM's stream flow: it ends in the switchover
	POLICY_SWITCH_FORCED,  // likewise, although the target is not met: it fits the limit
	POLICY_NOT_CONVERGING, // give up: rounds no longer help and the limit does not allow it
	POLICY_OVER_LIMIT,     // give up: this mode needs a longer stun than the limit
};

struct policy_input {
	unsigned rounds; // finished
	const struct convergence *convergence;
	int64_t forecast_ns, target_ns, limit_ns;
	int64_t sure_ns; // forecast_sure_ns(): what counts against the limit, whose timer holds besides
};

#define POLICY_MIN_ROUNDS 2 // pre-copy: the second shows how fast the workload writes
#define POLICY_MAX_ROUNDS 60
#define POLICY_MAX_PASSES 60 // of the VM over its RAM

// Part of a round's time in which nothing is sent: single-pass first watches which buffers are
// written (docs/interfaces.md, section 3).
int64_t policy_watch_ns(enum mode m);

// Does the mode make rounds while the VM's own stream flows, too?
bool policy_rounds_go_on(enum mode m);
// Called before the first round and after each; not once the switchover began.
enum policy_step policy_next(enum mode m, const struct policy_input *in);

// In every mode: do the VM's passes over its RAM no longer help? Called when a pass has begun;
// `convergence` has what remained at the beginning of this one and of those before.
bool policy_passes_end(const struct convergence *convergence);

const char *mode_name(enum mode m);
// 0, or -EINVAL for a name that is none.
int mode_from_name(const char *name, enum mode *ret);
