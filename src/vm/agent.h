// SPDX-License-Identifier: Apache-2.0
// The host's side of the guest's agent (docs/interfaces.md, section 9): requests that are sent again
// until they are answered, on whatever socket leads to the guest just now. A guest that moves to
// another host, a restarted QEMU monitor or a lost answer costs time, never a request.
//
// One client per VM, since QEMU serves one connection to a port at a time. Loop's thread only.
#pragma once

#include <jansson.h>
#include "base/error.h"
#include "base/loop.h"

struct agent;

// How long a guest may be silent: longer than the longest stun and the busiest host.
#define AGENT_LIMIT_MS 130000

// Exactly once, unless the client is freed first: the answer (borrowed), or NULL and why: the agent's
// own error, or "agent-silent" (-ETIMEDOUT).
typedef void (*agent_reply_fn)(void *arg, const json_t *answer, const struct ferry_error *e);

struct agent *agent_new(struct loop *l);   // NULL without memory
struct agent *agent_free(struct agent *a); // NULL-safe; returns NULL; legal inside callbacks

// Where the guest's port is from now on: a socket on which QEMU listens, perhaps not yet. NULL: nowhere
// for the moment. Requests under way are sent again there. It is connected to when there is something
// to ask. -ENAMETOOLONG.
int agent_set_path(struct agent *a, const char *path);

// Asks until answered, at most limit_ms (0: AGENT_LIMIT_MS). `args` is consumed, also on failure, and
// must not hold "id" and "op". `fn` may be NULL. Returns the request's id, or -errno and no callback.
int64_t agent_request(
	struct agent *a, const char *op, json_t *args, int limit_ms, agent_reply_fn fn, void *arg);
// The callback of this request is not called any more, and it is not sent again: a `start` that
// comes back with its guest minutes later would be a second one. No effect on an unknown id.
void agent_forget(struct agent *a, int64_t id);

// How requests reach an agent. What takes one of these does not care whether it is a client of this
// host or something that knows where the guest is just now. `request` and `forget` as above; no
// callback comes inside `request`.
struct agent_way {
	int64_t (*request)(
		void *at, const char *op, json_t *args, int limit_ms, agent_reply_fn fn, void *arg);
	void (*forget)(void *at, int64_t id);
	struct loop *loop;
	void *at;
};
struct agent_way agent_way(struct agent *a); // straight; valid as long as the client
