// SPDX-License-Identifier: Apache-2.0
// Command queues. Needs the session's lock.
#pragma once

#include "guest/cl/types.h"

// Whether a command may be enqueued. A failure of an earlier command that had no event is told here,
// once.
cl_int queue_check(cl_command_queue q);
// The context's queue that no program sees, for initial contents.
cl_int queue_for_setup(cl_command_queue *ret, cl_context c);
// How many commands of the queue are in the stream. Other threads may begin more while this one waits;
// what one has begun and could not send yet is not before a message sent now: 0 then.
uint64_t queue_sent(cl_command_queue q);
// The first `n` commands of the queue have ended.
static inline void queue_note_ended(cl_command_queue q, uint64_t n)
{
	if (q->ended < n)
		q->ended = n;
}
// Sends finish and waits for it and for every read of the queue.
cl_int queue_finish(cl_command_queue q);
