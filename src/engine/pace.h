// SPDX-License-Identifier: Apache-2.0
// When is the vGPU's next round due while the VM's own stream flows? A round keeps what the stun
// will have to send small, and costs a scan, a round trip and its share of the link. Where rounds
// bring next to nothing the gap between them doubles, up to PACE_MAX_NS, as long as what is written
// within it adds no more than a PACE_PART of the target to the stun; where they bring more, it
// shrinks at once. Towards the VM's stop rounds come closer together again: each within half of
// the time that the VM still needs, so that the last one is fresh whatever the gap was.
#pragma once

#include <stdint.h>

#define PACE_MIN_NS 50000000LL
#define PACE_MAX_NS 1000000000LL
#define PACE_PART   64

struct pace {
	int64_t gap_ns; // between a round's end and the next; 0: none was made
	int64_t ended_ns;
};

// A round that has ended, and how long the link takes for it (forecast_send_ns()).
struct pace_round {
	int64_t ended_ns;
	int64_t send_ns;  // for what it sent
	int64_t dirty_ns; // for what has been written since it began
};

void pace_round(struct pace *p, const struct pace_round *r, int64_t target_ns);
// When the next round is due; `until_stop_ns`: what the VM still needs before it can stop.
int64_t pace_due(const struct pace *p, int64_t now_ns, int64_t until_stop_ns);
