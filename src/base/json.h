// SPDX-License-Identifier: Apache-2.0
// Reading JSON that somebody else wrote: every getter checks the type and the bounds and says which
// field was wrong.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "base/error.h"

// A missing or mistyped field is an error with code "bad-message"; ret_ is untouched then.
int json_get_string(const json_t *doc, const char *key, char *ret, size_t size,
	struct ferry_error *e); // -E2BIG when it does not fit
int json_get_u64(
	const json_t *doc, const char *key, uint64_t max, uint64_t *ret, struct ferry_error *e);
int json_get_bool(const json_t *doc, const char *key, bool *ret, struct ferry_error *e);

// The same with a default for a missing field; a mistyped one gets the default too.
const char *json_string_or(const json_t *doc, const char *key, const char *fallback);
int64_t json_int_or(const json_t *doc, const char *key, int64_t fallback);
bool json_bool_or(const json_t *doc, const char *key, bool fallback);

// NULL and an error on bad JSON. `what` names the text in the message.
json_t *json_parse(const char *text, size_t n, const char *what, struct ferry_error *e);
json_t *json_parse_file(const char *path, struct ferry_error *e);

// Rounds every real number in the document to three decimals, in place: what people and scripts read
// are milliseconds and rates. Written with JSON_ONE_LINE the digits are those and no more.
void json_round(json_t *doc);
#define JSON_ONE_LINE (JSON_COMPACT | JSON_REAL_PRECISION(15))

static inline void cleanup_json_p(json_t **doc)
{
	json_decref(*doc);
}
// `_cleanup_json_ json_t *doc = NULL;` drops the reference at scope exit.
#define _cleanup_json_ __attribute__((cleanup(cleanup_json_p)))
