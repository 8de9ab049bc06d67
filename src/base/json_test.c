// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"
#include "base/cleanup.h"
#include "base/test.h"

static void test_reals_have_three_decimals(void)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = { { 87.263654000000002, "[87.264]" }, { 0, "[0.0]" }, { -0.0004, "[-0.0]" },
		{ 1e9 / 3, "[333333333.333]" }, { 99.9996, "[100.0]" }, { 0.1, "[0.1]" } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_json_ json_t *doc = json_pack("[f]", cases[i].value);
		json_round(doc);
		_cleanup_free_ char *text = json_dumps(doc, JSON_ONE_LINE);
		CHECK_STR(text, cases[i].text);
	}
}

static void test_rounding_reaches_everything_and_only_reals(void)
{
	_cleanup_json_ json_t *doc =
		json_pack("{s:{s:[f, i, s]}}", "a", "b", 1.23456, 7, "1.23456");

	json_round(doc);
	_cleanup_free_ char *text = json_dumps(doc, JSON_ONE_LINE);
	CHECK_STR(text, "{\"a\":{\"b\":[1.235,7,\"1.23456\"]}}");
	json_round(NULL);
}

static void test_getters_check_type_and_bounds(void)
{
	_cleanup_json_ json_t *doc =
		json_pack("{s:s, s:I, s:b}", "s", "four", "n", (json_int_t)-1, "b", 1);
	char text[5];
	uint64_t n = 9;
	bool b = false;

	CHECK_EQ(json_get_string(doc, "s", text, 5, NULL), 0);
	CHECK(json_get_string(doc, "s", text, 4, NULL) < 0);
	CHECK(json_get_string(doc, "n", text, 5, NULL) < 0);
	CHECK(json_get_u64(doc, "n", 10, &n, NULL) < 0);
	CHECK(json_get_u64(doc, "missing", 10, &n, NULL) < 0);
	CHECK_EQ(n, 9);
	CHECK_EQ(json_get_bool(doc, "b", &b, NULL), 0);
	CHECK(b);
	CHECK(json_get_bool(doc, "s", &b, NULL) < 0);
	CHECK_EQ(json_int_or(doc, "s", 3), 3);
	CHECK_STR(json_string_or(doc, "n", "x"), "x");
}

static void test_what_is_no_json_is_an_error(void)
{
	static const char *const texts[] = { "", "{", "{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}",
		"[1] x", "\"\377\"", NULL };
	char deep[10000];
	struct ferry_error e = FERRY_ERROR_INIT;

	for (const char *const *t = texts; *t; t++)
		CHECK(!json_parse(*t, strlen(*t), "a text", NULL));
	memset(deep, '[', sizeof deep);
	CHECK(!json_parse(deep, sizeof deep, "a text", &e));
	CHECK_STR(e.code, "bad-json");
}

int main(void)
{
	RUN(test_reals_have_three_decimals);
	RUN(test_rounding_reaches_everything_and_only_reals);
	RUN(test_getters_check_type_and_bounds);
	RUN(test_what_is_no_json_is_an_error);
	return 0;
}
