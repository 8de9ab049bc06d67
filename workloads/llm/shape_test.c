// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "shape.h"

static void test_sizes_are_met(void)
{
	const uint64_t mib[] = { 2, 4, 16, 64, 100, 256, 700, 1024, 4096, 16384, 131072 };

	for (size_t i = 0; i < sizeof mib / sizeof *mib; i++)
		for (int t = WEIGHT_INT8; t <= WEIGHT_F16; t++) {
			uint64_t want = mib[i] << 20, got;
			struct failure f;
			struct shape s;

			CHECK(!shape_pick(want, (enum weight_type)t, 4096, 2048, &s, &f));
			got = shape_weight_bytes(&s);
			CHECK(got * 100 >= want * 95 && got * 100 <= want * 105);
			CHECK(s.heads == 4 * s.kv_heads && s.hidden * 2 == s.dim * 7);
		}
}

static void test_impossible_sizes_are_refused(void)
{
	struct failure f;
	struct shape s;

	CHECK(shape_pick(1000, WEIGHT_INT8, 4096, 2048, &s, &f) < 0);
	CHECK(shape_pick(UINT64_MAX, WEIGHT_INT8, 4096, 2048, &s, &f) < 0);
}

static void test_size_text(void)
{
	static const char *const bad[] = { "", "0", "-1", "1X", "1GG", "G", "99999999999G", " 1" };
	uint64_t v;

	CHECK(!size_parse("1G", &v) && v == 1ull << 30);
	CHECK(!size_parse("64M", &v) && v == 64ull << 20);
	CHECK(!size_parse("123", &v) && v == 123);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(size_parse(bad[i], &v) < 0);
}

static void test_bad_shapes_are_refused(void)
{
	struct failure f;
	struct shape s;

	CHECK(!shape_pick(1 << 20, WEIGHT_INT8, 4096, 2048, &s, &f));
	s.context = 0;
	CHECK(shape_check(&s, &f) < 0);
	s.context = 64;
	s.kv_heads = 3;
	CHECK(shape_check(&s, &f) < 0);
}

int main(void)
{
	RUN(test_sizes_are_met);
	RUN(test_impossible_sizes_are_refused);
	RUN(test_size_text);
	RUN(test_bad_shapes_are_refused);
	return 0;
}
