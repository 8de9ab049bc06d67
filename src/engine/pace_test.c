// SPDX-License-Identifier: Apache-2.0
#include "engine/pace.h"
#include "base/test.h"

#define MS     1000000LL
#define TARGET (320 * MS) // a part is 5 ms
#define NEVER  INT64_MAX  // the VM is far from its stop

// A round that ends `after` ms later, having sent what takes `send` and left what takes `dirty`.
static int64_t round_after(struct pace *p, int64_t after, int64_t send, int64_t dirty)
{
	struct pace_round r = { p->ended_ns + after * MS, send, dirty };

	pace_round(p, &r, TARGET);
	return p->gap_ns;
}

static struct pace paced(int64_t gap_ms)
{
	return (struct pace){ .gap_ns = gap_ms * MS, .ended_ns = 1000 * MS };
}

static void test_the_gap_grows_while_rounds_bring_next_to_nothing(void)
{
	struct pace p = { 0 };
	static const int64_t gaps[] = { 50, 100, 200, 400, 800, 1000, 1000, 1000 };

	for (unsigned i = 0; i < sizeof gaps / sizeof gaps[0]; i++)
		CHECK_EQ(round_after(&p, p.gap_ns / MS + 2, MS / 100, MS / 100), gaps[i] * MS);
	CHECK_EQ(round_after(&p, 1000, 0, 0), PACE_MAX_NS);
}

// 100 ms of writing that take 1 ms to send: 500 ms may pass before that is a part of the target.
static void test_a_gap_adds_no_more_than_its_part_to_the_stun(void)
{
	struct pace p = paced(400);

	CHECK_EQ(round_after(&p, 100, MS, 0), 500 * MS);
	CHECK_EQ(round_after(&p, 500, 5 * MS, 0), 500 * MS);
	CHECK_EQ(round_after(&p, 500, 10 * MS, 0), 250 * MS);
}

static void test_a_workload_that_begins_to_write_has_the_shortest_gap_at_once(void)
{
	struct pace p = paced(1000);

	CHECK_EQ(round_after(&p, 1000, 200 * MS, 0), PACE_MIN_NS);
	p = paced(1000);
	CHECK_EQ(round_after(&p, 1000, 0, 5 * MS), PACE_MAX_NS);
	p = paced(1000);
	CHECK_EQ(round_after(&p, 1000, 0, 5 * MS + 1), PACE_MIN_NS);
	p = paced(1000); // nothing is known of the link
	CHECK_EQ(round_after(&p, 1000, NEVER, 0), PACE_MIN_NS);
}

static void test_the_last_round_is_fresh(void)
{
	struct pace p = paced(1000);

	CHECK_EQ(pace_due(&p, 1000 * MS, NEVER), 2000 * MS);
	CHECK_EQ(pace_due(&p, 1900 * MS, NEVER), 2000 * MS);
	CHECK_EQ(pace_due(&p, 1000 * MS, 2000 * MS), 2000 * MS);
	CHECK_EQ(pace_due(&p, 1000 * MS, 600 * MS), 1300 * MS);
	CHECK_EQ(pace_due(&p, 1400 * MS, 200 * MS), 1500 * MS);
	CHECK_EQ(pace_due(&p, 1400 * MS, 0), 1400 * MS);
	CHECK_EQ(pace_due(&p, 1010 * MS, 0), 1050 * MS); // and never closer than that
	// From far to the stop: few rounds, and the last one no older than the shortest gap.
	p = (struct pace){ .gap_ns = PACE_MIN_NS, .ended_ns = MS };
	int64_t stop = 4000 * MS;
	unsigned n = 0;
	for (int64_t due = 0; due < stop; n++) {
		due = pace_due(&p, p.ended_ns, stop - p.ended_ns);
		if (due < stop)
			round_after(&p, (due - p.ended_ns) / MS, MS / 100, MS / 100);
	}
	CHECK(n <= 15);
	CHECK(stop - p.ended_ns <= PACE_MIN_NS);
}

int main(void)
{
	RUN(test_the_gap_grows_while_rounds_bring_next_to_nothing);
	RUN(test_a_gap_adds_no_more_than_its_part_to_the_stun);
	RUN(test_a_workload_that_begins_to_write_has_the_shortest_gap_at_once);
	RUN(test_the_last_round_is_fresh);
	return 0;
}
