// SPDX-License-Identifier: Apache-2.0
// Events and wait lists. Everything needs the session's lock.
#pragma once

#include "guest/cl/types.h"
#include "vgpu/protocol/protocol.h"

// A wait list, checked and turned into numbers: events that are complete are left out, unless `all`.
struct waits {
	uint32_t ids[PROTO_WAITS_MAX];
	uint32_t n;
};

// CL_SUCCESS, CL_INVALID_EVENT_WAIT_LIST, CL_INVALID_CONTEXT,
// CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST when a blocking call waits for a failed event.
cl_int waits_take(
	struct waits *w, cl_context c, cl_uint n, const cl_event *list, bool blocking, bool all);
static inline struct p_ids waits_ids(const struct waits *w)
{
	return (struct p_ids){ .ids = w->ids, .n = w->n };
}

// A command's event: nothing when `wanted` is NULL (0 on the stream then).
cl_int event_begin(cl_event *ret, const cl_event *wanted, cl_command_queue q, cl_command_type type);
static inline uint32_t event_id(cl_event e)
{
	return e ? e->o.id : 0;
}
// After sending the command: hands the event out on success, destroys it otherwise.
cl_int event_commit(cl_event e, cl_event *wanted, cl_int err, uint32_t seq);
// Whether there are user events that the program has not set.
bool events_unset(void);
// Waits until it is over: its status where that is an error, or the session's end.
cl_int event_wait(cl_event e);
// The event of that number, NULL when there is none.
cl_event event_find(uint32_t id);
// It is over (status <= 0): callbacks, and the stream's reference.
void event_end(cl_event e, cl_int status);
// Has `c` called about the event, which must be expected (callback.h), when it is over, or now if it is.
void event_call(cl_event e, struct callback *c);

// A user event, known to the host. CL_OUT_OF_HOST_MEMORY, or the session's end.
cl_int user_event_new(cl_event *ret, cl_context c);
// The same for one that is complete.
cl_int user_event_ended(cl_event *ret, cl_context c);
// `status` <= 0; the event has none yet. May give the lock up.
cl_int user_event_set(cl_event e, cl_int status);
