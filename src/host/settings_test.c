// SPDX-License-Identifier: Apache-2.0
#include "host/settings.h"
#include "base/test.h"
#include "host/host.h"
#include "host/inventory.h"
#include "host/test_folder.h"
#include "host/vm.h"

static bool accepts(const char *key, const char *text)
{
	return setting_check(setting_find(key, NULL), text, NULL) == 0;
}

static void test_every_row_accepts_its_default(void)
{
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *s = &settings_table[i];
		CHECK_EQ(setting_check(s, s->fallback, NULL), 0);
		CHECK(s->help[0]);
		CHECK(setting_find(s->key, NULL) == s);
		CHECK((s->type == SETTING_WORD) == (s->words != NULL));
	}
}

static void test_numbers_have_limits(void)
{
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *s = &settings_table[i];
		char text[32];
		if (s->type != SETTING_NUMBER)
			continue;
		for (int64_t d = -1; d <= 1; d++) {
			snprintf(text, sizeof text, "%lld", (long long)(s->min + d));
			CHECK_EQ(setting_check(s, text, NULL) == 0, d >= 0);
			snprintf(text, sizeof text, "%lld", (long long)(s->max + d));
			CHECK_EQ(setting_check(s, text, NULL) == 0, d <= 0);
		}
	}
}

static void test_only_whole_texts_are_values(void)
{
	static const char *const numbers[] = { "", " ", "1 ", " 1", "1s", "0x10", "+5", "1.5", "-1",
		"99999999999999999999", "one", NULL };

	for (const char *const *n = numbers; *n; n++)
		CHECK(!accepts("migration.channels", *n));
	CHECK(accepts("vgpu.hotmigrate.enabled", "false"));
	CHECK(!accepts("vgpu.hotmigrate.enabled", "no"));
	CHECK(!accepts("vgpu.hotmigrate.enabled", "TRUE"));
	CHECK(accepts("migration.bandwidth", "100MB/s"));
	CHECK(!accepts("migration.bandwidth", "fast"));
	CHECK(accepts("migration.policy", "stop-copy"));
	CHECK(!accepts("migration.policy", "stop"));
}

static void test_the_error_says_what_is_legal(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	setting_check(setting_find("migration.stun-limit", NULL), "0", &e);
	CHECK_STR(e.code, "bad-setting");
	CHECK(strstr(e.message, "from 1 to 3600 in s"));
	e = FERRY_ERROR_INIT;
	setting_check(setting_find("migration.tracker", NULL), "magic", &e);
	CHECK(strstr(e.message, "auto, wp, digest"));
	e = FERRY_ERROR_INIT;
	CHECK(!setting_find("migration.colour", &e));
	CHECK_STR(e.code, "no-setting");
	e = FERRY_ERROR_INIT;
	setting_check(setting_find("migration.dedup", NULL), "same-owner", &e);
	CHECK_STR(e.code, "not-supported");
}

static const char *from(struct host *h, struct vm *vm, int64_t want)
{
	const char *where = NULL;

	setting_text(h, vm, "migration.channels", &where);
	CHECK_EQ(setting_number(h, vm, "migration.channels"), want);
	return where;
}

static void test_the_nearest_wins(void)
{
	struct host h = { .inventory = inventory_open("ferry.db", NULL) };
	struct vm vm = { .host = &h, .config = json_pack("{s:{}}", "settings") };
	json_t *own = json_object_get(vm.config, "settings");

	CHECK_STR(from(&h, &vm, 4), "default");
	h.config.settings = json_pack("{s:s}", "migration.channels", "2");
	CHECK_STR(from(&h, &vm, 2), "file");
	CHECK_EQ(inventory_set(h.inventory, "migration.channels", "3", NULL), 0);
	CHECK_STR(from(&h, &vm, 3), "host");
	json_object_set_new(own, "migration.channels", json_string("5"));
	CHECK_STR(from(&h, &vm, 5), "vm");
	CHECK_STR(from(&h, NULL, 3), "host");
	// A value that a later version's table refuses does not count.
	json_object_set_new(own, "migration.channels", json_string("500"));
	CHECK_STR(from(&h, &vm, 3), "host");
	json_object_set_new(own, "migration.channels", json_integer(5));
	CHECK_STR(from(&h, &vm, 3), "host");
	CHECK_EQ(inventory_set(h.inventory, "migration.channels", NULL, NULL), 0);
	CHECK_STR(from(&h, &vm, 2), "file");

	json_t *all = settings_json(&h, &vm);
	CHECK_EQ(json_array_size(all), settings_count);
	json_decref(all);
	json_decref(vm.config);
	json_decref(h.config.settings);
	inventory_close(h.inventory);
}

int main(void)
{
	test_folder_enter();
	RUN(test_every_row_accepts_its_default);
	RUN(test_numbers_have_limits);
	RUN(test_only_whole_texts_are_values);
	RUN(test_the_error_says_what_is_legal);
	RUN(test_the_nearest_wins);
	return 0;
}
