// SPDX-License-Identifier: Apache-2.0
// Folders that go when their process does: who makes one first removes those of the same kind whose
// process was killed. A folder is in use while its maker holds a lock on it, flock(2), which the kernel
// takes away with the process.
#pragma once

#include <limits.h>
#include "base/error.h"

struct temporary {
	char path[PATH_MAX]; // "": none
	int fd;              // of the folder, locked
};

// Makes parent/nameXXXXXX, for this user alone. Any thread.
int temporary_make(
	struct temporary *t, const char *parent, const char *name, struct ferry_error *e);
// With all that is in it; -errno when something is put there meanwhile, and may then be called again.
int temporary_remove(struct temporary *t);
