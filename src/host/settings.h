// SPDX-License-Identifier: Apache-2.0
// Settings: one table with type, default, limits, unit and description, from which validation, the
// API's listing and `ferry help settings` come. The nearest value wins: command line, VM, host,
// configuration file, default.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/json.h"

struct host;
struct vm;

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
// Whether `text` is a value of this setting; the error says what it may be.
int setting_check(const struct setting *s, const char *text, struct ferry_error *e);

// Whether all of {"key":"text"|null} may be set; null goes back to what holds further away.
int settings_check_all(const json_t *changes, struct ferry_error *e);

// The text that holds for this VM (NULL: for the host), and in *ret_from (may be NULL) where it
// comes from: "vm", "host", "file" or "default". Borrowed until a setting changes.
const char *setting_text(
	struct host *h, const struct vm *vm, const char *key, const char **ret_from);
int64_t setting_number(struct host *h, const struct vm *vm, const char *key); // also rates
bool setting_bool(struct host *h, const struct vm *vm, const char *key);

// A checked text of a number or rate as a number.
int64_t setting_value(const struct setting *s, const char *text);

// All of them with value and origin: [{"key","value","from","default","unit","help"}].
json_t *settings_json(struct host *h, const struct vm *vm);
