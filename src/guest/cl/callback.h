// SPDX-License-Identifier: Apache-2.0
// Calling the program back. Destructor callbacks run in the thread whose release caused them, as soon
// as the lock is free; all others in one thread of the library's, which is started by the first
// registration and reads the stream only while a callback is outstanding and nobody else reads.
#pragma once

#include <stdbool.h>
#include "guest/cl/dispatch.h"

// One call to make. `invoke` knows the type of `fn`.
struct callback {
	struct callback *next;
	void (*invoke)(const struct callback *c);
	void (*fn)(void);
	void *object; // what `fn` is told about
	cl_int status;
	void *user_data;
};

// NULL: no memory.
struct callback *callback_new(void (*invoke)(const struct callback *c), void (*fn)(void),
	void *object, cl_int status, void *user_data);

// The rest needs the session's lock.

// A callback now waits for something from the host: callback_queue() follows.
// False: the thread cannot be started.
bool callback_expect(void);
// Hands an expected callback to the thread; its object, which must be referenced, is given up after
// the call.
void callback_queue(struct callback *c);
// Runs it when this thread gives up the lock. The object is not touched.
void callback_defer(struct callback *c);

// Destructor callbacks of an object, last registered first. CL_INVALID_VALUE without fn,
// CL_OUT_OF_HOST_MEMORY.
cl_int callback_push(struct callback **list, void (*invoke)(const struct callback *c),
	void (*fn)(void), void *object, void *user_data);
// callback_defer() for each, in that order; the list is then empty.
void callbacks_defer(struct callback **list);

void callbacks_run_deferred(void);  // session_unlock() only; gives the lock up for each call
void callbacks_forget_thread(void); // after fork(2)
