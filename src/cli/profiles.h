// SPDX-License-Identifier: Apache-2.0
// The profiles with what this host can place of each, where a ferryd answers.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include "cli/cli.h"

// An array of profiles (interfaces.md), the caller's. *ret_placeable: whether it says what can be placed;
// without a ferryd it is this program's own table. An exit status; not EXIT_DONE: already reported.
int profiles_get(struct cli *c, json_t **ret, bool *ret_placeable);
