// SPDX-License-Identifier: Apache-2.0
// src/vm knows QEMU: its command line, its monitor, the guest's agent, the accelerator. It knows
// nothing of the vGPU's insides, of migration decisions or of other hosts.
//
// An asynchronous client of QEMU's machine protocol (QMP, docs/interop/qmp-spec in QEMU) on a loop:
// commands with callbacks and time limits, out-of-band commands, events. One thread: the loop's.
// A client lives as long as its connection; after `closed` free it and connect a new one. Events
// that happened in between are lost: ask QEMU for its state (query-status, query-migrate).
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/loop.h"

// QEMU may block its main loop for seconds while it migrates to a peer that hangs; a time limit
// tells that from death.
#define QMP_TIMEOUT_MS 10000

struct qmp;

// Exactly once per command, unless the client is freed first: `ret` is QEMU's "return" (borrowed)
// and `e` NULL, or `ret` is NULL and `e` says why: code "qemu" with "qemu: CLASS: DESC" where QEMU
// refused, "qemu-timeout" (-ETIMEDOUT) where it did not answer (it may still do the command later),
// "qemu-gone" (-ENOTCONN) where the connection ended first.
typedef void (*qmp_reply_fn)(void *arg, const json_t *ret, const struct ferry_error *e);

// Every member may be NULL. A callback may start commands and may free the client.
struct qmp_handlers {
	void (*ready)(void *arg); // greeting and capabilities are done
	// `data` is an object or NULL, borrowed. `wall_ns` is when QEMU saw it (CLOCK_REALTIME).
	void (*event)(void *arg, const char *name, const json_t *data, int64_t wall_ns);
	// The connection ended; every command's callback was called before this. Once, and last.
	void (*closed)(void *arg, const struct ferry_error *e);
};

// Connects to QEMU's socket. `handlers` is copied. NULL and an error when nobody listens.
struct qmp *qmp_connect(struct loop *l, const char *path, const struct qmp_handlers *handlers,
	void *arg, struct ferry_error *e);
// The same on a connected socket, which the client owns afterwards, also on failure.
struct qmp *qmp_new(struct loop *l, int fd, const struct qmp_handlers *handlers, void *arg,
	struct ferry_error *e);
// Closes; no callback is called from here on. NULL-safe; returns NULL; legal inside callbacks.
struct qmp *qmp_free(struct qmp *q);

bool qmp_ready(const struct qmp *q);
// Whether QEMU granted out-of-band execution.
bool qmp_has_oob(const struct qmp *q);
// "7.2.9" from the greeting; "" before ready.
const char *qmp_version(const struct qmp *q);

// Sends a command, in order, at once or as soon as the client is ready. `args` may be NULL and is
// consumed, also on failure. timeout_ms counts from this call; 0 means QMP_TIMEOUT_MS. `fn` may be
// NULL. 0, or -ENOTCONN, -EINVAL (arguments that cannot be encoded) and then no callback.
int qmp_exec(struct qmp *q, const char *command, json_t *args, int timeout_ms, qmp_reply_fn fn,
	void *arg);
// The same with a descriptor for QEMU (getfd), which stays the caller's. QEMU keeps the one that came last
// for the command that asks: the next is sent once this one is answered.
int qmp_exec_fd(
	struct qmp *q, const char *command, json_t *args, int fd, qmp_reply_fn fn, void *arg);
// The same out of band (yank, migrate-pause, migrate-recover, query-... do not all allow it): it
// overtakes commands that QEMU is stuck in. -EOPNOTSUPP where QEMU did not grant it.
int qmp_exec_oob(struct qmp *q, const char *command, json_t *args, int timeout_ms, qmp_reply_fn fn,
	void *arg);
