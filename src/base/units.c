// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	double factor;
};

#define KI 1024.0

static const struct unit size_units[] = {
	{ "", 1 },
	{ "b", 1 },
	{ "k", KI },
	{ "kb", KI },
	{ "kib", KI },
	{ "m", KI *KI },
	{ "mb", KI *KI },
	{ "mib", KI *KI },
	{ "g", KI *KI *KI },
	{ "gb", KI *KI *KI },
	{ "gib", KI *KI *KI },
	{ "t", KI *KI *KI *KI },
	{ "tb", KI *KI *KI *KI },
	{ "tib", KI *KI *KI *KI },
};

static const struct unit rate_units[] = {
	{ "", 1 },
	{ "b/s", 1 },
	{ "k", 1e3 },
	{ "kb/s", 1e3 },
	{ "kbit", 1e3 / 8 },
	{ "m", 1e6 },
	{ "mb/s", 1e6 },
	{ "mbit", 1e6 / 8 },
	{ "g", 1e9 },
	{ "gb/s", 1e9 },
	{ "gbit", 1e9 / 8 },
};

// A decimal number and one of the units. Rejects signs, exponents, hex and anything above 2^62.
static int parse(const char *text, const struct unit *units, size_t n_units, uint64_t *ret)
{
	char *end = NULL;

	if (!isdigit((unsigned char)text[0]) || strspn(text, "0123456789.") == 0)
		return -EINVAL;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return -EINVAL;
	char digits[32];
	size_t n = strspn(text, "0123456789.");
	if (n >= sizeof digits)
		return -ERANGE;
	memcpy(digits, text, n);
	digits[n] = 0;
	double value = strtod(digits, &end);
	if (*end)
		return -EINVAL;
	for (text += n; *text == ' '; text++)
		;
	for (size_t i = 0; i < n_units; i++) {
		if (strcasecmp(text, units[i].name))
			continue;
		value *= units[i].factor;
		if (value > 0x1p62)
			return -ERANGE;
		*ret = (uint64_t)llround(value);
		return 0;
	}
	return -EINVAL;
}

int size_parse(const char *text, uint64_t *ret_bytes, struct ferry_error *e)
{
	int r = parse(text, size_units, ARRAY_SIZE(size_units), ret_bytes);

	if (r < 0) {
		ferry_fail(e, r, "bad-size", "'%.40s' is not a size", text);
		ferry_error_remedy(e, "write a number with a unit: 512M, 4G");
	}
	return r;
}

int rate_parse(const char *text, uint64_t *ret_bytes_per_s, struct ferry_error *e)
{
	if (!strcmp(text, "off")) {
		*ret_bytes_per_s = 0;
		return 0;
	}
	int r = parse(text, rate_units, ARRAY_SIZE(rate_units), ret_bytes_per_s);
	if (r < 0) {
		ferry_fail(e, r, "bad-rate", "'%.40s' is not a rate", text);
		ferry_error_remedy(e, "write 1gbit, 800mbit, 100MB/s or off");
	}
	return r;
}

// Three significant digits at most, no trailing ".0".
static void format_scaled(
	double value, double step, const char *const *names, size_t n, char *ret, size_t size)
{
	size_t i = 0;

	while (value >= step && i + 1 < n) {
		value /= step;
		i++;
	}
	if (i == 0 || value >= 100 || value == floor(value))
		snprintf(ret, size, "%.0f %s", value, names[i]);
	else
		snprintf(ret, size, "%.1f %s", value, names[i]);
}

void size_format(uint64_t bytes, char *ret, size_t size)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };

	format_scaled((double)bytes, KI, names, ARRAY_SIZE(names), ret, size);
}

void rate_format(double bytes_per_s, char *ret, size_t size)
{
	static const char *const names[] = { "B/s", "kB/s", "MB/s", "GB/s" };

	format_scaled(bytes_per_s > 0 ? bytes_per_s : 0, 1000, names, ARRAY_SIZE(names), ret, size);
}
