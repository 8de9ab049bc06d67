// SPDX-License-Identifier: Apache-2.0
#include "host/settings.h"
#include "base/cleanup.h"
#include "base/units.h"
#include "host/host.h"
#include "host/inventory.h"
#include "host/vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const policies[] = { "auto", "precopy", "stop-copy", "single-pass", NULL };
static const char *const trackers[] = { "auto", "wp", "digest", NULL };
static const char *const dedups[] = { "off", "same-owner", NULL };

const struct setting settings_table[] = {
	{ "vgpu.hotmigrate.enabled", SETTING_BOOL, "true", 0, 1, "", NULL,
		"whether a running VM with a vGPU may be migrated" },
	{ "migration.stun-limit", SETTING_NUMBER, "100", 1, 3600, "s", NULL,
		"a stun that lasts longer is aborted and the source resumes" },
	{ "migration.target-stun", SETTING_NUMBER, "500", 1, 3600000, "ms", NULL,
		"switch over once the forecast of the stun is below this" },
	{ "migration.policy", SETTING_WORD, "auto", 0, 0, "", policies,
		"how memory moves when the command does not say: auto is precopy" },
	{ "migration.channels", SETTING_NUMBER, "4", 1, 16, "", NULL,
		"parallel connections for a vGPU's memory" },
	{ "migration.bandwidth", SETTING_RATE, "off", 0, INT64_MAX, "bytes/s", NULL,
		"cap on a migration's traffic, such as 1gbit; off: none" },
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

static int refuse(const struct setting *s, const char *text, struct ferry_error *e)
{
	char may[200] = "";
	size_t n = 0;

	if (s->type == SETTING_BOOL)
		snprintf(may, sizeof may, "true or false");
	else if (s->type == SETTING_NUMBER)
		snprintf(may, sizeof may, "a number from %lld to %lld%s%s", (long long)s->min,
			(long long)s->max, s->unit[0] ? " in " : "", s->unit);
	else if (s->type == SETTING_RATE)
		snprintf(may, sizeof may, "a rate such as 1gbit, or off");
	else
		for (const char *const *w = s->words; *w && n < sizeof may; w++)
			n += (size_t)snprintf(
				may + n, sizeof may - n, "%s%s", n ? ", " : "one of ", *w);
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

// Values in documents were checked when they came in; a table that changed since does not count.
static const char *from_doc(const json_t *doc, const struct setting *s)
{
	const char *text = json_string_value(json_object_get(doc, s->key));

	return text && setting_check(s, text, NULL) == 0 ? text : NULL;
}

const char *setting_text(
	struct host *h, const struct vm *vm, const char *key, const char **ret_from)
{
	const struct setting *s = setting_find(key, NULL);
	const char *from = "default", *text = NULL;

	if (!s)
		return NULL;
	if (vm && (text = from_doc(json_object_get(vm->config, "settings"), s)))
		from = "vm";
	else if ((text = from_doc(inventory_settings(h->inventory), s)))
		from = "host";
	else if ((text = from_doc(h->config.settings, s)))
		from = "file";
	if (ret_from)
		*ret_from = from;
	return text ? text : s->fallback;
}

int64_t setting_number(struct host *h, const struct vm *vm, const char *key)
{
	const struct setting *s = setting_find(key, NULL);

	return s ? setting_value(s, setting_text(h, vm, key, NULL)) : 0;
}

bool setting_bool(struct host *h, const struct vm *vm, const char *key)
{
	return setting_number(h, vm, key) != 0;
}

json_t *settings_json(struct host *h, const struct vm *vm)
{
	json_t *all = json_array();

	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *s = &settings_table[i];
		const char *from = NULL, *text = setting_text(h, vm, s->key, &from);
		json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "key",
						   s->key, "value", text, "from", from, "default",
						   s->fallback, "unit", s->unit, "help", s->help));
	}
	return all;
}
