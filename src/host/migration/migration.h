// SPDX-License-Identifier: Apache-2.0
// The migration driver: carries out what the engine decides, with QMP, ferry-vgpu's control links,
// relays and a peer. The rest of the daemon calls it only through this header.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/json.h"
#include "host/config.h"
#include "host/peer.h"
#include "host/vm.h"

struct host;

// Settings and command line, already merged and checked.
struct migration_params {
	char to[HOST_NAME_MAX_BYTES + 1];
	char mode[16];    // "precopy", "stop-copy", "single-pass", "postcopy"
	char policy[16];  // of migration.policy
	char tracker[16]; // of migration.tracker
	char dedup[16];   // of migration.dedup
	int64_t target_stun_ms;
	int64_t stun_limit_ms;
	unsigned channels;
	uint64_t bandwidth_bytes_per_s; // 0: none
	bool verify;
};

// Who asked. Callbacks never come inside the call that starts the work. `arg` stays valid until
// `done`, also when the asking client has gone.
struct migration_observer {
	void (*progress)(void *arg, const json_t *progress);
	// The contract's result object (borrowed) and the CLI's exit status: 0, 1 or 4. Once, last.
	void (*done)(void *arg, const json_t *result, int exit);
};

// Starts moving a running VM whose prechecks have passed. An error means that nothing was started.
int migration_start(struct vm *vm, const struct migration_params *p,
	const struct migration_observer *o, void *arg, struct ferry_error *e);

// Asks for an end before COMMIT; the result comes to the migration's observer. Code "no-migration"
// or "committed".
int migration_cancel(struct vm *vm, struct ferry_error *e);

// What a migration would take, without moving anything: done gets {"total_ms","stun_ms",...} or
// the error. 0, or an error and then no call.
typedef void (*migration_estimate_fn)(
	void *arg, const json_t *estimate, const struct ferry_error *e);
int migration_estimate(struct vm *vm, const struct migration_params *p, migration_estimate_fn fn,
	void *arg, struct ferry_error *e);

// A person's decision after exit status 4: "run-here" or "give-up". `fn` as in vm.h.
int migration_decide(
	struct vm *vm, const char *decision, vm_done_fn fn, void *arg, struct ferry_error *e);

// A request from a connected peer that is none of the daemon's own; answer with
// link_answer(peer_link(p), id, ...), or keep the connection with peer_take().
void migration_peer_request(
	struct host *h, struct peer *p, int64_t id, const char *op, json_t *args);
// A data connection arrived (kind 'V' or 'R'). 0: taken. Else the caller closes it.
int migration_accept_channel(
	struct host *h, int fd, const struct preface *p, struct ferry_error *e);

// At start, after the VMs' processes were found again: reads the durable records and goes on.
int migration_recover(struct host *h, struct ferry_error *e);
// At the daemon's end: frees what is in memory; changes no record and no process.
void migration_close(struct host *h);
