// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"
#include "base/test.h"

#include <errno.h>

static uint64_t size_of(const char *text)
{
	uint64_t v = 77;

	CHECK_EQ(size_parse(text, &v, NULL), 0);
	return v;
}

static uint64_t rate_of(const char *text)
{
	uint64_t v = 77;

	CHECK_EQ(rate_parse(text, &v, NULL), 0);
	return v;
}

static void sizes_are_powers_of_1024(void)
{
	CHECK_EQ(size_of("4096"), 4096);
	CHECK_EQ(size_of("512M"), 512ll << 20);
	CHECK_EQ(size_of("512 MiB"), 512ll << 20);
	CHECK_EQ(size_of("1.5g"), 3ll << 29);
	CHECK_EQ(size_of("2T"), 2ll << 40);
	CHECK_EQ(size_of("0"), 0);
}

static void nonsense_is_refused(void)
{
	static const char *const bad[] = { "", "M", "-1", "+1", "0x10", "1e3", "12Q", "1..2", "inf",
		"nan", "1M extra", "99999999999999999999T", "1.2.3M", "." };
	uint64_t v = 77;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ferry_error e = FERRY_ERROR_INIT;
		CHECK(size_parse(bad[i], &v, &e) < 0);
		CHECK_STR(e.code, "bad-size");
		CHECK(rate_parse(bad[i], &v, NULL) < 0 || !strcmp(bad[i], "1M extra"));
	}
	CHECK_EQ(v, 77);
}

static void rates_are_as_networks_count(void)
{
	CHECK_EQ(rate_of("1gbit"), 125000000);
	CHECK_EQ(rate_of("800mbit"), 100000000);
	CHECK_EQ(rate_of("100MB/s"), 100000000);
	CHECK_EQ(rate_of("100M"), 100000000);
	CHECK_EQ(rate_of("off"), 0);
}

static void figures_are_short(void)
{
	char t[16];

	size_format(17, t, sizeof t);
	CHECK_STR(t, "17 B");
	size_format(512ull << 20, t, sizeof t);
	CHECK_STR(t, "512 MiB");
	size_format(3ull << 29, t, sizeof t);
	CHECK_STR(t, "1.5 GiB");
	rate_format(117e6, t, sizeof t);
	CHECK_STR(t, "117 MB/s");
	rate_format(-1, t, sizeof t);
	CHECK_STR(t, "0 B/s");
}

int main(void)
{
	RUN(sizes_are_powers_of_1024);
	RUN(nonsense_is_refused);
	RUN(rates_are_as_networks_count);
	RUN(figures_are_short);
}
