// SPDX-License-Identifier: Apache-2.0
#include "engine/share.h"
#include "base/test.h"

static void check_sum(uint64_t cap, struct share s)
{
	CHECK_EQ(s.gpu + s.ram, cap < SHARE_MIN_CAP ? SHARE_MIN_CAP : cap);
	CHECK(s.gpu > 0 && s.ram > 0);
}

static void test_both_rates_add_up_to_the_cap(void)
{
	static const uint64_t caps[] = { 1, 2, 3, 15, 16, 63, 64, 65, 12500000, UINT64_MAX / 4 };
	static const uint64_t left[] = { 0, 1, 4096, 1u << 20, 1ull << 40, UINT64_MAX };

	for (unsigned i = 0; i < sizeof caps / sizeof caps[0]; i++) {
		for (int who = 0; who < 4; who++)
			check_sum(caps[i], share_live(caps[i], who & 1, who & 2));
		for (unsigned g = 0; g < sizeof left / sizeof left[0]; g++)
			for (unsigned r = 0; r < sizeof left / sizeof left[0]; r++)
				check_sum(caps[i], share_stun(caps[i], left[g], left[r]));
	}
}

static void test_no_cap_is_no_share(void)
{
	struct share s = share_live(0, true, true);

	CHECK(s.gpu == 0 && s.ram == 0);
	s = share_stun(0, 1, 1);
	CHECK(s.gpu == 0 && s.ram == 0);
}

static void test_while_the_guest_runs(void)
{
	CHECK_EQ(share_live(64000, true, false).gpu, 63000);
	CHECK_EQ(share_live(64000, false, true).ram, 63000);
	CHECK_EQ(share_live(64000, true, true).gpu, 32000);
}

// What each has left takes both the same time.
static void test_in_the_stun_both_end_together(void)
{
	struct share s = share_stun(100000000, 29 << 20, 9 << 20); // and 1 MiB each

	CHECK_EQ(s.gpu, 75000000);
	CHECK_EQ(share_stun(16000, 0, 0).gpu, 8000);
	CHECK_EQ(share_stun(16000, 0, 1ull << 40).gpu, 1000);
	CHECK_EQ(share_stun(16000, 1ull << 40, 0).ram, 1000);
}

int main(void)
{
	RUN(test_both_rates_add_up_to_the_cap);
	RUN(test_no_cap_is_no_share);
	RUN(test_while_the_guest_runs);
	RUN(test_in_the_stun_both_end_together);
	return 0;
}
