// SPDX-License-Identifier: Apache-2.0
#include "engine/pace.h"

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
	return v < low ? low : v > high ? high : v;
}

// The longest gap in which no more than `part_ns` worth of sending is written, at the speed at
// which the round found it: send_ns in the time since the round before.
static int64_t allowed(const struct pace *p, const struct pace_round *r, int64_t part_ns)
{
	double since = (double)(r->ended_ns - p->ended_ns);

	if (r->send_ns <= 0)
		return PACE_MAX_NS;
	double gap = since * (double)part_ns / (double)r->send_ns;
	return gap < (double)PACE_MAX_NS ? (int64_t)gap : PACE_MAX_NS;
}

void pace_round(struct pace *p, const struct pace_round *r, int64_t target_ns)
{
	int64_t part = target_ns / PACE_PART, gap = PACE_MIN_NS;

	if (p->ended_ns && r->dirty_ns <= part) {
		gap = allowed(p, r, part);
		gap = gap < 2 * p->gap_ns ? gap : 2 * p->gap_ns;
	}
	p->gap_ns = clamp(gap, PACE_MIN_NS, PACE_MAX_NS);
	p->ended_ns = r->ended_ns;
}

int64_t pace_due(const struct pace *p, int64_t now_ns, int64_t until_stop_ns)
{
	int64_t due = p->ended_ns + p->gap_ns, soonest = p->ended_ns + PACE_MIN_NS;

	if (until_stop_ns / 2 < due - now_ns)
		due = now_ns + until_stop_ns / 2;
	return due > soonest ? due : soonest;
}
