// SPDX-License-Identifier: Apache-2.0
// Events: what a guest waits for. A command's event lives from the command's arrival to the guest's
// release; a user event is set by the guest. Main thread only.
#pragma once

#include "vgpu/backend/backend.h"
#include "vgpu/session/object.h"

struct command;

struct event {
	struct object o; // must be first
	bool user;
	int32_t status; // CL_COMPLETE, negative, or CL_QUEUED while it is not over
	struct be_times times;
	struct command *command; // borrowed, until it is over
};

// One reference is the caller's. `serial` 0: the next one.
int event_new(struct session *s, uint64_t serial, struct event **ret);
bool event_over(const struct event *e);
// Ends it: tells the guest, unless it is a user event. Whoever waits is looked at by queue_advance.
void event_end(struct event *e, int32_t status, const struct be_times *times);
