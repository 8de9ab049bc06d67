// SPDX-License-Identifier: Apache-2.0
// A compile cache for a child of ours: the child finds in it what our own has, and what the child
// leaves half done goes with it. PoCL writes temporary files into the top of its cache
// (POCL_CACHE_DIR) and finished ones into folders of two letters below; those are links to ours.
#pragma once

#include "base/temporary.h"

struct cl_scratch {
	struct temporary folder; // without a path: none
	char env[PATH_MAX + 20]; // for the child's environment
};

// Where POCL_CACHE_DIR is not set, or there is no room, there is none: the child then has the driver's
// own default. Any thread.
void cl_scratch_make(struct cl_scratch *s);
// After the child has ended. Waits a little for a linker that the child may have left behind.
void cl_scratch_remove(struct cl_scratch *s);
