// SPDX-License-Identifier: Apache-2.0
#include "host/settings_table.h"
#include "base/cleanup.h"
#include "base/units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const policies[] = { "auto", "precopy", "stop-copy", "single-pass", NULL };
static const char *const trackers[] = { "auto", "wp", "digest", NULL };
static const char *const schedulings[] = { "best-effort", "equal-share", "fixed-share", NULL };
static const char *const dedups[] = { "off", "same-owner", NULL };

const struct setting settings_table[] = {
	{ "vgpu.hotmigrate.enabled", SETTING_BOOL, "true", 0, 1, "", NULL,
		"whether a running VM with a vGPU may be migrated" },
	{ "vgpu.scheduling", SETTING_WORD, "best-effort", 0, 0, "", schedulings,
		"how time-sliced vGPUs share the host's device; of the host, for all its VMs" },
	{ "migration.stun-limit", SETTING_NUMBER, "100", 1, 3600, "s", NULL,
		"a stun that lasts longer is aborted and the source resumes" },
	{ "migration.target-stun", SETTING_NUMBER, "500", 1, 3600000, "ms", NULL,
		"switch over once the forecast of the stun is below this" },
	{ "migration.policy", SETTING_WORD, "auto", 0, 0, "", policies,
		"how memory moves when the command does not say: auto is precopy" },
	{ "migration.channels", SETTING_NUMBER, "4", 1, 16, "", NULL,
		"parallel connections for a vGPU's memory" },
	{ "migration.bandwidth", SETTING_RATE, "off", 0, INT64_MAX, "bytes/s", NULL,
		"cap on what a migration sends, vGPU and RAM together, such as 1gbit; off: none" },
	{ "migration.tracker", SETTING_WORD, "auto", 0, 0, "", trackers,
		"what finds dirty pages; takes effect at the VM's next start" },
	{ "migration.dedup", SETTING_WORD, "off", 0, 0, "", dedups,
		"take pages that the destination has already; only off in this version" },
};
const size_t settings_count = ARRAY_SIZE(settings_table);

const struct setting *setting_find(const char *key, struct ferry_error *e)
{
	for (size_t i = 0; i < settings_count; i++)
		if (!strcmp(settings_table[i].key, key))
			return &settings_table[i];
	ferry_fail(e, ENOENT, "no-setting", "there is no setting '%.60s'", key);
	ferry_error_remedy(e, "`ferry help settings` lists them");
	return NULL;
}

static bool one_of(const char *const *words, const char *text)
{
	for (; *words; words++)
		if (!strcmp(*words, text))
			return true;
	return false;
}

static int number(const char *text, int64_t *ret)
{
	char *end = NULL;

	if (text[0] < '0' || text[0] > '9') // strtoll(3) would take blanks and signs
		return -EINVAL;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	return errno || end == text || *end ? -EINVAL : 0;
}

void setting_may(const struct setting *s, char *ret, size_t size)
{
	size_t n = 0;

	ret[0] = 0;
	if (s->type == SETTING_BOOL)
		snprintf(ret, size, "true or false");
	else if (s->type == SETTING_NUMBER)
		snprintf(ret, size, "a number from %lld to %lld%s%s", (long long)s->min,
			(long long)s->max, s->unit[0] ? " in " : "", s->unit);
	else if (s->type == SETTING_RATE)
		snprintf(ret, size, "a rate such as 1gbit, or off");
	else
		for (const char *const *w = s->words; *w && n < size; w++)
			n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? ", " : "one of ", *w);
}

static int refuse(const struct setting *s, const char *text, struct ferry_error *e)
{
	char may[200];

	setting_may(s, may, sizeof may);
	return ferry_fail(
		e, EINVAL, "bad-setting", "%s cannot be '%.60s': it is %s", s->key, text, may);
}

int setting_check(const struct setting *s, const char *text, struct ferry_error *e)
{
	int64_t n = 0;
	uint64_t rate;
	bool good = false;

	switch (s->type) {
	case SETTING_BOOL:
		good = !strcmp(text, "true") || !strcmp(text, "false");
		break;
	case SETTING_NUMBER:
		good = number(text, &n) == 0 && n >= s->min && n <= s->max;
		break;
	case SETTING_RATE:
		good = rate_parse(text, &rate, NULL) == 0;
		break;
	case SETTING_WORD:
		good = one_of(s->words, text);
		break;
	}
	if (good && !strcmp(s->key, "migration.dedup") && strcmp(text, "off"))
		return ferry_fail(e, EOPNOTSUPP, "not-supported",
			"migration.dedup=%s is not in this version: only off", text);
	return good ? 0 : refuse(s, text, e);
}

int settings_check_all(const json_t *changes, struct ferry_error *e)
{
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach((json_t *)changes, key, value)
	{
		const struct setting *s = r == 0 ? setting_find(key, e) : NULL;
		if (r == 0 && !s)
			r = -ENOENT;
		else if (r == 0 && json_is_string(value))
			r = setting_check(s, json_string_value(value), e);
		else if (r == 0 && !json_is_null(value))
			r = ferry_fail(
				e, EINVAL, "bad-setting", "the value of %s is not a text", key);
	}
	return r;
}

int64_t setting_value(const struct setting *s, const char *text)
{
	uint64_t rate = 0;
	int64_t n = 0;

	if (s->type == SETTING_RATE)
		return rate_parse(text, &rate, NULL) == 0 ? (int64_t)rate : 0;
	if (s->type == SETTING_BOOL)
		return !strcmp(text, "true");
	return number(text, &n) == 0 ? n : 0;
}
