// SPDX-License-Identifier: Apache-2.0
// The destination's controller: from `prepare` to a running VM, or to nothing left behind. A pure
// step function (engine/step.h). Its laws (docs/migration.md):
//  - Before SEALED it may die freely.
//  - From SEALED it neither runs nor destroys its copy by itself: it asks until it hears COMMITTED
//    or ABORTED of this migration (or a person decides).
//  - OWNED is on disk before the VM is told to run; that may be refused, and is tried again.
//  - NEVER_RAN is durable: after it the VM cannot run here.
#pragma once

#include "engine/step.h"

enum dest_state {
	DEST_NEW,
	DEST_RECORDING,  // INCOMING is being written
	DEST_STARTING,   // processes start, memory is faulted in
	DEST_RECEIVING,  // pages, deltas and the VM's stream come in
	DEST_SEALING,    // SEALED is being written
	DEST_SEALED,     // complete; asking
	DEST_OWNING,     // OWNED is being written
	DEST_TAKING,     // the vGPU becomes ours
	DEST_RESUMING,   // the VM is told to run
	DEST_PENDING,    // it refused; tried again
	DEST_RUNNING,    // end
	DEST_INSPECTING, // after a restart: what became of the VM that we sealed or own?
	DEST_LOST,       // end: the VM was ours and is gone; it may have run
	DEST_DISCARDING, // ending what was started
	DEST_DISCARDED,  // end
	DEST_RENOUNCING, // NEVER_RAN is being written
	DEST_NEVER_RAN,  // end: nothing is left but the record
	DEST_STATES
};

struct dest_config {
	char id[ENGINE_ID_SIZE];
	uint64_t epoch;
	bool gpu;
};

struct dest_times {
	int64_t start, started, loaded, received, sealed, committed, owned, gpu_owned, running;
};

struct dest {
	struct dest_config cfg;
	enum dest_state state;
	struct ferry_error reason; // why it was discarded or does not run yet; .err 0 when none
	char root[ENGINE_ID_SIZE]; // of the received pages; "" without a vGPU
	struct dest_times at;

	bool link_up, asked; // `asked`: a `committed` waits for its answer
	bool owner;          // INSPECTING: the record says OWNED, not SEALED
	enum record_state writing;
	uint32_t waits, may;
};

enum { DEST_WAIT_LOADED = 1, DEST_WAIT_RECEIVED = 2 };

void dest_init(struct dest *d, const struct dest_config *cfg);
void dest_step(struct dest *d, const struct event *ev, struct actions *out);
// Instead of EV_START after a restart. RECORD_INCOMING is discarded; RECORD_SEALED and RECORD_OWNED
// look at the VM first; RECORD_NEVER_RAN stays what it is.
void dest_restore(struct dest *d, enum record_state record, int64_t now_ns, struct actions *out);

// Nothing more will happen by itself: RUNNING, LOST, DISCARDED or NEVER_RAN.
bool dest_ended(const struct dest *d);
const char *dest_state_name(enum dest_state s);
// As source_next_states().
uint32_t dest_next_states(enum dest_state s, enum event_type e);
