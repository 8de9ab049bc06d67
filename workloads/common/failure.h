// SPDX-License-Identifier: Apache-2.0
// One error object: a line that says what failed and why. Functions return 0 or a negative errno
// and fill it; the program's edge prints it.
#pragma once

#include <CL/cl.h>

struct failure {
	char text[4096]; // long enough for a compiler's log
};

// Fills `f` (may be NULL) and returns `err` made negative.
int fail(struct failure *f, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

// The same for an OpenCL status, which is shown by name: "clBuildProgram: CL_OUT_OF_HOST_MEMORY".
// Returns -ENOMEM, -ENODEV, -EINVAL or -EIO.
int fail_cl(struct failure *f, cl_int status, const char *what);

// "CL_OUT_OF_RESOURCES"; "unknown OpenCL error" for one that the specification does not name.
const char *cl_status_name(cl_int status);
