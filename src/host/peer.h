// SPDX-License-Identifier: Apache-2.0
// A control connection between two ferryds (docs/interfaces.md, sections 4 and 6): the preface, the
// exchange of hello, then a link that its user drives. Knows nothing of what is asked over it.
#pragma once

#include <stdint.h>
#include "base/error.h"
#include "base/json.h"
#include "host/config.h"
#include "host/preface.h"
#include "wire/link.h"

struct host;
struct peer;

// Members may be NULL. A callback may free the peer.
struct peer_ops {
	// Both sides have said hello; peer_link() is there from now on. Not called after accept.
	void (*ready)(void *arg, struct peer *p);
	// As in link.h; "hello" does not come here. Descriptors never travel over TCP.
	void (*request)(void *arg, struct peer *p, int64_t id, const char *op, json_t *args);
	void (*event)(void *arg, struct peer *p, const char *event, json_t *message);
	// Could not connect (codes "peer-unknown", "peer-unreachable", "protocol-version"), or the
	// connection ended. Once, last; the peer is to be freed.
	void (*closed)(void *arg, struct peer *p, const struct ferry_error *why);
};

// Connects in the background, at most timeout_ms for connection and hello together. Failures,
// also an unknown name, come to `closed`, never inside this call. NULL: no memory.
struct peer *peer_connect(
	struct host *h, const char *name, int timeout_ms, const struct peer_ops *ops, void *arg);

// Serves a connection that the listener accepted and whose preface said 'C'; takes the descriptor.
// Requests go to the daemon's own table ("check", "guest") and, the others, to migration_peer_request(),
// until somebody takes the peer over with peer_take().
int peer_accept(struct host *h, int fd, struct ferry_error *e);
// From now on this accepted peer belongs to the caller, who frees it: all comes to `ops`.
void peer_take(struct peer *p, const struct peer_ops *ops, void *arg);

struct peer *peer_free(struct peer *p);      // closes; no callback from here on; NULL-safe; NULL
struct link *peer_link(struct peer *p);      // for link_request(), link_answer(), link_event()
const char *peer_name(const struct peer *p); // its host name; "" before hello
struct host *peer_host(const struct peer *p);

// A data connection to the peer (kind 'V' or 'R'): connects in the background and writes the
// preface. fn gets a connected blocking socket, its own to close, or -1 and the error; once, and
// never inside this call.
typedef void (*peer_channel_fn)(void *arg, int fd, const struct ferry_error *e);
int peer_channel(struct host *h, const char *name, const struct preface *p, int timeout_ms,
	peer_channel_fn fn, void *arg);

// At the daemon's end: frees the accepted peers that nobody took.
void peer_close_all(struct host *h);
