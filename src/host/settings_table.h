// SPDX-License-Identifier: Apache-2.0
// Settings: one table with type, default, limits, unit and description, from which validation, the
// API's listing and `ferry help settings` come. A library of its own: the CLI knows the table, not
// the daemon.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/json.h"

enum setting_type { SETTING_BOOL, SETTING_NUMBER, SETTING_RATE, SETTING_WORD };

struct setting {
	const char *key;
	enum setting_type type;
	const char *fallback;     // default, as text
	int64_t min, max;         // of numbers, in `unit`
	const char *unit;         // "ms", "s", "bytes/s"; "" for none
	const char *const *words; // NULL-terminated, for SETTING_WORD
	const char *help;
};

extern const struct setting settings_table[];
extern const size_t settings_count;

// NULL and code "no-setting" when there is none.
const struct setting *setting_find(const char *key, struct ferry_error *e);
// "a number from 1 to 16": what the setting may be, in at most 200 bytes.
void setting_may(const struct setting *s, char *ret, size_t size);
// Whether `text` is a value of this setting; the error says what it may be.
int setting_check(const struct setting *s, const char *text, struct ferry_error *e);

// Whether all of {"key":"text"|null} may be set; null goes back to what holds further away.
int settings_check_all(const json_t *changes, struct ferry_error *e);

// A checked text of a number or rate as a number.
int64_t setting_value(const struct setting *s, const char *text);
