// SPDX-License-Identifier: Apache-2.0
// A link: control messages over a stream socket, driven by the event loop (docs/interfaces.md,
// section 1). Knows framing and request numbers; not what a message means.
#pragma once

#include <stddef.h>
#include "base/error.h"
#include "base/json.h"
#include "base/loop.h"

#define LINK_MAX_MESSAGE (1u << 20) // bytes of JSON in one message
#define LINK_MAX_BACKLOG (8u << 20) // unsent bytes after which a link to a stalled peer is closed
#define LINK_MAX_FDS     64

struct link;

// An answer to a request of ours, once: `ok` (borrowed) or, when it is NULL, the error. The
// descriptors become the callee's. When the link breaks, every open request is answered with
// code "link-lost".
typedef void (*link_answer_fn)(
	void *arg, json_t *ok, const struct ferry_error *e, int *fds, size_t n_fds);

struct link_ops {
	// A request of the peer's. Answer now or later, exactly once, with link_answer() or
	// link_refuse() and this id. Descriptors become the callee's; close what is not wanted.
	void (*request)(void *arg, struct link *k, int64_t id, const char *op, json_t *args,
		int *fds, size_t n_fds);
	void (*event)(void *arg, struct link *k, const char *event, json_t *message);
	// The peer closed, or broke the protocol. Called once, last; link_free() is legal inside.
	void (*closed)(void *arg, struct link *k, const struct ferry_error *why);
};

// Takes the descriptor (made non-blocking). `ops` members may be NULL: requests are then refused
// with "unknown-op", events dropped. NULL when memory is exhausted; the descriptor is closed then.
struct link *link_new(struct loop *l, int fd, const struct link_ops *ops, void *arg);
// Closes. Open requests of ours are answered "link-lost" first; `closed` is not called. NULL-safe.
struct link *link_free(struct link *k);

// `args` is stolen (NULL: {}). Descriptors are duplicated by the kernel and stay the caller's; they
// may be closed when this returns. `fn` may be NULL. 0 or -errno; on error fn is not called.
int link_request(struct link *k, const char *op, json_t *args, const int *fds, size_t n_fds,
	link_answer_fn fn, void *arg);
int link_answer(struct link *k, int64_t id, json_t *ok); // steals ok (NULL: {})
int link_refuse(struct link *k, int64_t id, const struct ferry_error *e);
int link_event(struct link *k, const char *event, json_t *message); // steals message (NULL: {})
