// SPDX-License-Identifier: Apache-2.0
// Completion requests in the order of their arrival: they run together as far as the model's cache has
// room, the others wait. Each job writes to its connection. Knows the model and connections, no polling.
#pragma once

#include <time.h>

#include "completion.h"
#include "connection.h"
#include "model.h"

struct job {
	struct connection *connection; // NULL: free
	struct completion request;
	uint64_t number; // order of arrival, from 1
	bool running;
	unsigned sequence; // while it runs
	uint32_t cached;   // prompt tokens that the cache had when it started
	double arrived;    // seconds
	double next_at;    // and when a paced one may have its next token
	long long created;
	struct answer answer;
	uint32_t n_tokens;
	int32_t *tokens;   // those of a response that is not streamed
	struct bytes text; // and its text
};

#define MAX_JOBS 64 // as many as connections: each has at most one

struct jobs {
	struct model *model;
	uint32_t pace; // tokens a second for each job at most; 0: as fast as it goes
	struct job jobs[MAX_JOBS];
	bool full;        // the longest waiting one has no room until another ends
	uint64_t arrived; // requests ever accepted
	uint64_t tokens_generated, prompt_tokens; // ever
	uint64_t first_tokens;                    // requests that got their first token, ever
	double first_token_seconds;               // from arrival to it, of all of them together
	double window_started; // seconds; tokens/s is measured over windows of a second or more
	uint64_t window_tokens;
	double tokens_per_second;
};

// Takes over `request`. -EBUSY if there is no room.
int jobs_add(struct jobs *j, struct connection *c, struct completion *request);

// The job of a connection, or NULL.
struct job *jobs_of(struct jobs *j, const struct connection *c);

// Forgets a connection's job, running or not: the client is gone.
void jobs_cancel(struct jobs *j, const struct connection *c);

// Milliseconds until jobs_step() has something to do: 0 now, more while all that run have had their
// share of tokens, -1 while only a client can change anything.
int jobs_wait_ms(struct jobs *j);

// Starts what there is room for and does one step of all that run. A device error is fatal to the
// program: negative, with the reason.
int jobs_step(struct jobs *j, struct failure *f);

unsigned jobs_waiting(const struct jobs *j);
unsigned jobs_running(const struct jobs *j);

// Tokens a second over the last window; 0 when none was generated lately.
double jobs_rate(struct jobs *j);

// Frees everything.
void jobs_free(struct jobs *j);
