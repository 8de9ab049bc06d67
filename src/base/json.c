// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <math.h>
#include <string.h>

// Peers and files nest shallowly; jansson's own limit is 2048.
#define JSON_FILE_CAP (16u << 20)

int json_get_string(
	const json_t *doc, const char *key, char *ret, size_t size, struct ferry_error *e)
{
	const json_t *v = json_object_get(doc, key);

	if (!json_is_string(v))
		return ferry_fail(e, EPROTO, "bad-message", "field '%s' is not a string", key);
	if (json_string_length(v) >= size)
		return ferry_fail(e, E2BIG, "bad-message", "field '%s' is longer than %zu bytes",
			key, size - 1);
	memcpy(ret, json_string_value(v), json_string_length(v) + 1);
	return 0;
}

int json_get_u64(
	const json_t *doc, const char *key, uint64_t max, uint64_t *ret, struct ferry_error *e)
{
	const json_t *v = json_object_get(doc, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return ferry_fail(
			e, EPROTO, "bad-message", "field '%s' is not a natural number", key);
	if ((uint64_t)json_integer_value(v) > max)
		return ferry_fail(e, ERANGE, "bad-message", "field '%s' is above %llu", key,
			(unsigned long long)max);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

int json_get_bool(const json_t *doc, const char *key, bool *ret, struct ferry_error *e)
{
	const json_t *v = json_object_get(doc, key);

	if (!json_is_boolean(v))
		return ferry_fail(e, EPROTO, "bad-message", "field '%s' is not true or false", key);
	*ret = json_is_true(v);
	return 0;
}

const char *json_string_or(const json_t *doc, const char *key, const char *fallback)
{
	const char *v = json_string_value(json_object_get(doc, key));

	return v ? v : fallback;
}

int64_t json_int_or(const json_t *doc, const char *key, int64_t fallback)
{
	const json_t *v = json_object_get(doc, key);

	return json_is_integer(v) ? json_integer_value(v) : fallback;
}

bool json_bool_or(const json_t *doc, const char *key, bool fallback)
{
	const json_t *v = json_object_get(doc, key);

	return json_is_boolean(v) ? json_is_true(v) : fallback;
}

json_t *json_parse(const char *text, size_t n, const char *what, struct ferry_error *e)
{
	json_error_t why;
	json_t *doc = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);

	if (!doc)
		ferry_fail(e, EPROTO, "bad-json", "%s is not JSON: line %d: %s", what, why.line,
			why.text);
	return doc;
}

void json_round(json_t *doc)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_real(doc))
		json_real_set(doc, round(json_real_value(doc) * 1000) / 1000);
	json_object_foreach(doc, key, value) json_round(value);
	json_array_foreach(doc, i, value) json_round(value);
}

json_t *json_parse_file(const char *path, struct ferry_error *e)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0;

	if (file_read(path, JSON_FILE_CAP, &text, &n, e) < 0)
		return NULL;
	return json_parse(text, n, path, e);
}
