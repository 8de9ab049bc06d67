// SPDX-License-Identifier: Apache-2.0
// What kernels print (OpenCL C 1.2, section 6.12.13). A driver for CPUs writes it to this process's
// standard output, before it reports the launch; here it is read from there and sent to the guest
// process whose kernel it was. A launch that may print is therefore in the driver only together with
// others of its own session: they take turns. Main thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

struct command;
struct output;
struct session;
struct vgpu;

// Whose kernels may print now.
struct printing {
	struct session *session;    // NULL: nobody's; it has launches in the driver otherwise
	uint64_t launches;          // that may print, in the driver or on their way there
	const struct session *last; // only compared: who had its turn before
	bool wanted;                // another session waits for its turn
	bool others_first;          // until all queues have been looked at once
};

// Puts a pipe in the place of standard output.
int output_new(struct vgpu *v, struct output **ret, struct ferry_error *e);
void output_free(struct output *o); // after the vGPU, whose kernels may print until then; NULL-safe
// Sends what has been printed so far. Before a launch's end is told.
void output_collect(struct vgpu *v);

// Whether the command prints nothing, or its session has its turn.
bool printing_may_begin(const struct command *c);
// Before it is given to the driver, and after it ended there (or was not given).
void printing_begin(struct command *c);
void printing_end(struct command *c);
