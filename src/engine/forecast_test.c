// SPDX-License-Identifier: Apache-2.0
#include "engine/convergence.h"
#include "engine/forecast.h"
#include "engine/policy.h"
#include "base/test.h"

#define MS 1000000LL

// 1 Gbit/s carries 125 MB/s: 12.5 MB take 100 ms; the rest is added as the header says.
static void test_the_formula(void)
{
	struct forecast f = { .gpu_bytes = 12500000,
		.ram_bytes = 2500000,
		.ram_known = true,
		.ram_budget_ns = 150 * MS,
		.rate = 125000000,
		.drain_ns = 3 * MS,
		.device_ns = 20 * MS,
		.round_trip_ns = MS / 2,
		.record_ns = MS };

	CHECK_EQ(forecast_stun_ns(&f), (100 + 20 + 3 + 20 + 3 + 3) * MS);
	f.ram_known = false;
	CHECK_EQ(forecast_stun_ns(&f), (100 + 150 + 3 + 20 + 3 + 3) * MS);
	f.device_ns = 0;
	CHECK_EQ(forecast_stun_ns(&f), (100 + 150 + 3 + 30 + 3 + 3) * MS);
	f.rate_cap = 62500000;
	CHECK_EQ(forecast_send_ns(&f, 12500000), 200 * MS);
}

static void test_an_unknown_link_is_forever_unless_nothing_is_sent(void)
{
	struct forecast f = { .gpu_bytes = 1, .ram_known = true };

	CHECK_EQ(forecast_stun_ns(&f), FORECAST_FOREVER);
	f.gpu_bytes = 0;
	CHECK_EQ(forecast_stun_ns(&f), FORECAST_DEVICE_NS);
	f.rate = 1;
	f.gpu_bytes = UINT64_MAX;
	CHECK_EQ(forecast_stun_ns(&f), FORECAST_FOREVER);
}

static void test_small_rounds_do_not_spoil_the_rate(void)
{
	struct forecast f = { 0 };

	forecast_measure(&f, 0, MS);
	CHECK_EQ(f.rate, 0);
	forecast_measure(&f, 1000, MS); // better than nothing
	CHECK_EQ(f.rate, 1000000);
	forecast_measure(&f, 2000, MS); // the link did at least that
	forecast_measure(&f, 1000, MS);
	CHECK_EQ(f.rate, 2000000);
	forecast_at_least(&f, 1000000);
	CHECK_EQ(f.rate, 2000000);
	forecast_at_least(&f, 50000000);
	CHECK_EQ(f.rate, 50000000);
	forecast_measure(&f, FORECAST_MIN_SAMPLE, 10 * MS);
	CHECK_EQ(f.rate, FORECAST_MIN_SAMPLE * 100);
	forecast_measure(&f, FORECAST_MIN_SAMPLE - 1, 1000 * MS);
	CHECK_EQ(f.rate, FORECAST_MIN_SAMPLE * 100);
	forecast_measure(&f, FORECAST_MIN_SAMPLE, 0);
	forecast_at_least(&f, FORECAST_MIN_SAMPLE * 200);
	CHECK_EQ(f.rate, FORECAST_MIN_SAMPLE * 100);
	forecast_measure(&f, FORECAST_MIN_SAMPLE, 1000 * MS);
	CHECK_EQ(f.rate, FORECAST_MIN_SAMPLE);
}

// What small rounds tell is no reason to refuse; what the operator allows is.
static void test_only_what_is_sure_counts_against_a_limit(void)
{
	struct forecast f = { .gpu_bytes = 1000000, .device_ns = 20 * MS };

	CHECK_EQ(forecast_stun_ns(&f), FORECAST_FOREVER);
	CHECK(forecast_sure_ns(&f) < 21 * MS);
	forecast_measure(&f, 1000, 10 * MS);
	CHECK_EQ(forecast_stun_ns(&f), 10020 * MS);
	CHECK(forecast_sure_ns(&f) < 21 * MS);
	forecast_at_least(&f, 10000000);
	CHECK_EQ(forecast_stun_ns(&f), 120 * MS);
	CHECK(forecast_sure_ns(&f) < 21 * MS);
	f.rate_cap = 1000000;
	CHECK_EQ(forecast_sure_ns(&f), 1020 * MS);
	f.rate_cap = 0;
	forecast_measure(&f, FORECAST_MIN_SAMPLE, 1000 * MS);
	CHECK_EQ(forecast_sure_ns(&f), forecast_stun_ns(&f));
}

static void test_stuck_within_three_rounds(void)
{
	struct convergence c = { 0 };

	convergence_round(&c, 1000);
	convergence_round(&c, 1000);
	CHECK(!convergence_stuck(&c));
	convergence_round(&c, 1000);
	CHECK(convergence_stuck(&c));
}

static void test_a_tenth_less_is_progress(void)
{
	struct convergence c = { 0 };

	convergence_round(&c, 1000);
	convergence_round(&c, 900); // exactly a tenth: not less than that
	CHECK_EQ(c.without, 2);
	convergence_round(&c, 899);
	CHECK_EQ(c.without, 1);
	for (unsigned i = 0; i < 20; i++) {
		convergence_round(&c, c.best - c.best / 10 - 1);
		CHECK(!convergence_stuck(&c) || c.best < 10);
	}
}

static enum policy_step ask_sure(
	enum mode m, unsigned rounds, bool stuck, int64_t forecast, int64_t sure)
{
	struct convergence c = { .without = stuck ? CONVERGENCE_ROUNDS : 1 };
	struct policy_input in = { .rounds = rounds,
		.convergence = &c,
		.forecast_ns = forecast,
		.sure_ns = sure,
		.target_ns = 300,
		.limit_ns = 1000 };

	return policy_next(m, &in);
}

static enum policy_step ask(enum mode m, unsigned rounds, bool stuck, int64_t forecast)
{
	return ask_sure(m, rounds, stuck, forecast, forecast);
}

static void test_precopy_boundaries(void)
{
	CHECK_EQ(ask(MODE_PRECOPY, 0, false, 1), POLICY_ROUND);
	CHECK_EQ(ask(MODE_PRECOPY, 1, false, 1), POLICY_ROUND);
	CHECK_EQ(ask(MODE_PRECOPY, 2, false, 300), POLICY_SWITCH);
	CHECK_EQ(ask(MODE_PRECOPY, 2, false, 301), POLICY_ROUND);
	CHECK_EQ(ask(MODE_PRECOPY, 3, true, 300), POLICY_SWITCH);
	CHECK_EQ(ask(MODE_PRECOPY, 3, true, 301), POLICY_SWITCH_FORCED);
	CHECK_EQ(ask(MODE_PRECOPY, 3, true, 1000), POLICY_SWITCH_FORCED);
	CHECK_EQ(ask(MODE_PRECOPY, 3, true, 1001), POLICY_NOT_CONVERGING);
	CHECK_EQ(ask_sure(MODE_PRECOPY, 2, false, FORECAST_FOREVER, 0), POLICY_ROUND);
	CHECK_EQ(ask_sure(MODE_PRECOPY, 3, true, FORECAST_FOREVER, 0), POLICY_SWITCH_FORCED);
	CHECK_EQ(ask_sure(MODE_PRECOPY, 3, true, 1001, 1000), POLICY_SWITCH_FORCED);
	CHECK_EQ(ask_sure(MODE_PRECOPY, 3, true, 1001, 1001), POLICY_NOT_CONVERGING);
	CHECK_EQ(ask(MODE_PRECOPY, POLICY_MAX_ROUNDS - 1, false, 301), POLICY_ROUND);
	CHECK_EQ(ask(MODE_PRECOPY, POLICY_MAX_ROUNDS, false, 301), POLICY_SWITCH_FORCED);
}

static void test_the_other_modes(void)
{
	CHECK_EQ(ask(MODE_STOP_COPY, 0, false, 1000), POLICY_SWITCH_FORCED);
	CHECK_EQ(ask(MODE_STOP_COPY, 0, false, 1001), POLICY_OVER_LIMIT);
	CHECK_EQ(ask_sure(MODE_STOP_COPY, 0, false, FORECAST_FOREVER, 0), POLICY_SWITCH_FORCED);
	CHECK_EQ(ask(MODE_SINGLE_PASS, 0, false, 1), POLICY_ROUND);
	CHECK_EQ(ask(MODE_SINGLE_PASS, 1, false, 1000), POLICY_SWITCH_FORCED);
	CHECK_EQ(ask(MODE_SINGLE_PASS, 1, false, 1001), POLICY_OVER_LIMIT);
}

static void test_passes_end_when_they_no_longer_help(void)
{
	struct convergence c = { .without = CONVERGENCE_ROUNDS - 1, .rounds = 1 };

	CHECK(!policy_passes_end(&c));
	c.without++;
	CHECK(policy_passes_end(&c));
	c = (struct convergence){ .without = 1, .rounds = POLICY_MAX_PASSES - 1 };
	CHECK(!policy_passes_end(&c));
	c.rounds++;
	CHECK(policy_passes_end(&c));
}

static void test_mode_names(void)
{
	enum mode m = MODE_PRECOPY;

	CHECK_EQ(mode_from_name("single-pass", &m), 0);
	CHECK_EQ(m, MODE_SINGLE_PASS);
	CHECK(mode_from_name("postcopy", &m) < 0);
	CHECK(mode_from_name("", &m) < 0);
}

int main(void)
{
	RUN(test_the_formula);
	RUN(test_an_unknown_link_is_forever_unless_nothing_is_sent);
	RUN(test_small_rounds_do_not_spoil_the_rate);
	RUN(test_only_what_is_sure_counts_against_a_limit);
	RUN(test_stuck_within_three_rounds);
	RUN(test_a_tenth_less_is_progress);
	RUN(test_precopy_boundaries);
	RUN(test_the_other_modes);
	RUN(test_passes_end_when_they_no_longer_help);
	RUN(test_mode_names);
	return 0;
}
