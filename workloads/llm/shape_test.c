// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "shape.h"

static const struct shape base = { .vocab = 4096, .context = 2048, .cache_slots = 4096 };

static void test_sizes_are_met(void)
{
	const uint64_t mib[] = { 2, 4, 16, 64, 100, 256, 700, 1024, 4096, 16384, 131072 };

	for (size_t i = 0; i < sizeof mib / sizeof *mib; i++)
		for (int t = WEIGHT_F16; t <= WEIGHT_Q8_0; t++) {
			uint64_t want = mib[i] << 20, got;
			struct shape s = base;
			struct failure f;

			CHECK(!shape_pick(want, (enum weight_type)t, &s, &f));
			got = shape_weight_bytes(&s, (enum weight_type)t);
			CHECK(got * 100 >= want * 95 && got * 100 <= want * 105);
			CHECK(s.heads == 4 * s.kv_heads && s.hidden * 2 == s.dim * 7);
		}
}

static void test_impossible_sizes_are_refused(void)
{
	struct shape s = base;
	struct failure f;

	CHECK(shape_pick(1000, WEIGHT_Q8_0, &s, &f) < 0);
	CHECK(shape_pick(UINT64_MAX, WEIGHT_Q8_0, &s, &f) < 0);
}

static void test_presets(void)
{
	struct shape s = base;
	struct failure f;

	CHECK(!shape_preset("llama-3.1-8b", 1ull << 30, WEIGHT_Q8_0, &s, &f));
	CHECK(s.dim == 4096 && s.heads == 32 && s.kv_heads == 8 && s.hidden == 14336);
	CHECK(shape_weight_bytes(&s, WEIGHT_Q8_0) <= 1ull << 30 && s.layers == 4);
	CHECK(!shape_preset("llama-3.1-8b", 1ull << 40, WEIGHT_F16, &s, &f) && s.layers == 32);
	CHECK(!shape_preset("llama-3.1-70b", 1ull << 30, WEIGHT_Q8_0, &s, &f) && s.layers == 1);
	CHECK(shape_preset("llama-3.1-70b", 1 << 20, WEIGHT_Q8_0, &s, &f) < 0);
	CHECK(shape_preset("gpt", 1 << 30, WEIGHT_Q8_0, &s, &f) < 0);
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
	struct shape s = base, good;
	struct failure f;

	CHECK(!shape_pick(2 << 20, WEIGHT_Q8_0, &s, &f));
	good = s;
	s.context = 0;
	CHECK(shape_check(&s, &f) < 0);
	s = good;
	s.context = 40;
	CHECK(shape_check(&s, &f) < 0);
	s = good;
	s.cache_slots = s.context - 16;
	CHECK(shape_check(&s, &f) < 0);
	s = good;
	s.kv_heads = 3;
	CHECK(shape_check(&s, &f) < 0);
	s = good;
	s.hidden += 16;
	CHECK(shape_check(&s, &f) < 0);
}

int main(void)
{
	RUN(test_sizes_are_met);
	RUN(test_impossible_sizes_are_refused);
	RUN(test_presets);
	RUN(test_size_text);
	RUN(test_bad_shapes_are_refused);
	return 0;
}
