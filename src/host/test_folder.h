// SPDX-License-Identifier: Apache-2.0
// Unit tests of the daemon: a state folder of their own, which is also the working directory, as
// ferryd's is.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/file.h"

static char test_folder_path[64];

static void test_folder_remove(void)
{
	path_remove(test_folder_path, NULL);
}

// Enters a fresh folder that is removed when the program ends, also by a failed CHECK.
static inline void test_folder_enter(void)
{
	snprintf(test_folder_path, sizeof test_folder_path, "/tmp/ferry-test.XXXXXX");
	if (!mkdtemp(test_folder_path) || chdir(test_folder_path) < 0) {
		perror(test_folder_path);
		exit(1);
	}
	atexit(test_folder_remove);
}
