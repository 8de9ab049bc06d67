// SPDX-License-Identifier: Apache-2.0
// Migrations that this host, their source, aborted and whose record has made room for a later one
// (`aborted.json`, docs/interfaces.md, section 6). A sealed destination that was away may ask of them
// at any time, and ABORTED is final. Committed ones are not kept: what can still be sealed then waits
// for a person.
#pragma once

#include <stdbool.h>
#include "base/error.h"

#define ABORTED_MAX 1024 // the oldest go: their destinations hear "none"

// Survives power loss once it returns 0. Keeping what is kept already costs nothing.
int aborted_keep(const char *migration, struct ferry_error *e);
bool aborted_known(const char *migration);
