// SPDX-License-Identifier: Apache-2.0
// Which value of a setting holds: the nearest wins, of command line, VM, host, configuration file,
// default.
#pragma once

#include "host/settings_table.h"

struct host;
struct vm;

// The text that holds for this VM (NULL: for the host), and in *ret_from (may be NULL) where it
// comes from: "vm", "host", "file" or "default". Borrowed until a setting changes.
const char *setting_text(
	struct host *h, const struct vm *vm, const char *key, const char **ret_from);
int64_t setting_number(struct host *h, const struct vm *vm, const char *key); // also rates
bool setting_bool(struct host *h, const struct vm *vm, const char *key);

// All of them with value and origin: [{"key","value","from","default","unit","help"}].
json_t *settings_json(struct host *h, const struct vm *vm);
