// SPDX-License-Identifier: Apache-2.0
// Messages that the host answers: where the bytes of the answer go, and what happens then.
// Everything needs the session's lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "guest/cl/dispatch.h"
#include "guest/cl/region.h"

struct request {
	uint32_t seq;         // of the message
	struct request *next; // in its bucket
	bool over;
	cl_int status; // once over

	// Where the body goes: memory of the program (a read), or `body` when region.base is NULL.
	struct region region;
	struct buf body; // limit 0: no body is expected
	uint64_t got;

	// Called when over; may free the request. NULL: somebody waits for it.
	void (*done)(struct request *r);
};

// Between sending the message and the next flush or wait.
void request_begin(struct request *r, uint32_t seq);
// Waits for it. Its status, or the session's end.
cl_int request_wait(struct request *r);
// For a message whose answer is a status and nothing more: waits for it, as request_wait().
cl_int request_status(uint32_t seq);
// A begun request on the stack that nobody may finish any more is taken out.
void request_forget(struct request *r);

// From the stream. False: the host broke the protocol.
bool request_data(uint32_t seq, uint64_t offset, const uint8_t *bytes, size_t n);
bool request_answer(uint32_t seq, cl_int status, uint64_t bytes);
// Ends all with that status.
void requests_fail(cl_int status);
