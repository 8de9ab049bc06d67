// SPDX-License-Identifier: Apache-2.0
// A ferry-relay of ours: started, spoken to over its control socket, ended. It outlives the daemon
// and ends by itself when both its ends are closed (docs/interfaces.md, section 5).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/json.h"
#include "wire/link.h"

struct relay_process;
struct vm;

struct relay_process_ops {
	// Connected (e is NULL), or not within three seconds. Once, never inside relay_start().
	void (*ready)(void *arg, const struct ferry_error *e);
	// QEMU's stream has ended on both sides: {"bytes_out","bytes_in","error"?}; borrowed.
	void (*closed)(void *arg, const json_t *message);
};

// `source`: listens for QEMU, held. Else connects to QEMU, which must listen already.
struct relay_process *relay_start(struct vm *vm, bool source, uint64_t bandwidth,
	const struct relay_process_ops *ops, void *arg, struct ferry_error *e);
struct link *relay_link(struct relay_process *r); // NULL while not connected; NULL-safe
// Tells it to quit and forgets it. NULL-safe.
void relay_end(struct relay_process *r);
// Leaves it running. NULL-safe.
void relay_forget(struct relay_process *r);
// Ends a relay that an earlier daemon left, if there is one. `vm` as above.
void relay_end_stray(struct vm *vm, bool source);
