// SPDX-License-Identifier: Apache-2.0
// The source's controller: from `ferry migrate` to the end of its copy, or back to a running VM.
// A pure step function (engine/step.h). Its laws (docs/migration.md):
//  - COMMITTED is written only when our own VM has completed and the destination's SEALED of this
//    migration names our root.
//  - ABORTED is on disk before the guest resumes on purpose. The VM may resume by itself, but only
//    before COMMITTED is asked for, and that aborts.
//  - After COMMITTED this side never runs the VM, unless the destination has said, durably, that it
//    never will (or a person takes that upon himself).
#pragma once

#include "engine/convergence.h"
#include "engine/forecast.h"
#include "engine/pace.h"
#include "engine/policy.h"
#include "engine/step.h"

enum source_state {
	SOURCE_NEW,
	SOURCE_RECORDING,  // ACTIVE is being written
	SOURCE_PREPARING,  // the destination gets ready
	SOURCE_ARMING,     // channels, trackers, relays
	SOURCE_COPYING,    // rounds; the VM's own stream is held
	SOURCE_FLOWING,    // the VM's own stream flows and ends in its stop; rounds may go on
	SOURCE_STOPPING,   // stun: the gate closes, a last round ends, the VM waits
	SOURCE_DRAINING,   // stun: the guest's ports
	SOURCE_HANDOVER,   // stun: last pages and the VM's last part, side by side, until SEALED
	SOURCE_VERIFYING,  // both sides scan everything
	SOURCE_COMMITTING, // COMMITTED is being written
	SOURCE_COMMITTED,  // given away; asking whether it runs there
	SOURCE_UNANSWERED, // likewise, and nobody answers: a person must decide, or the link return
	SOURCE_RELEASING,  // it runs there: our copy goes
	SOURCE_RELEASED,   // end
	SOURCE_ABORTING,   // ABORTED is being written
	SOURCE_RECLAIMING, // it can never run there: ABORTED, with a new epoch, is being written
	SOURCE_RESUMING,   // VM and vGPU go on here
	SOURCE_ABORTED,    // end
	SOURCE_STATES
};

struct source_config {
	char id[ENGINE_ID_SIZE];
	uint64_t epoch; // the destination's, once it owns the VM: ours + 1
	enum mode mode;
	bool gpu;    // false: a VM without a vGPU
	bool verify; // scan everything on both sides before COMMIT
	int64_t target_ns, limit_ns;
	int64_t ram_budget_ns;   // the VM's own downtime limit, as the driver sets it
	int64_t device_ns;       // last measured, 0 unknown
	int64_t round_trip_ns;   // of the control link
	uint64_t rate, rate_cap; // bytes/s, 0 unknown, 0 none
	int64_t answer_limit_ns; // after COMMITTED: silence after which a person is told
};

// When things happened (CLOCK_MONOTONIC, 0: they did not), for the report.
struct source_times {
	int64_t start, armed, released, stopped, held, gate_asked, gate_closed, drained, continued;
	int64_t final_done, completed, sealed, verified, commit_asked, committed, running, ended;
};

#define SOURCE_ROUNDS_KEPT 64

// The VM's passes over its RAM while its stream flows (docs/migration.md, "RAM that does not
// converge").
struct source_ram {
	uint64_t pass;       // the one under way, 0: none was seen
	uint64_t sent_bytes; // of the stream, when it began
	int64_t began_ns;
	int64_t before_ns;              // how long the pass before took; 0: there was none
	uint64_t bytes;                 // to send, when it began
	struct convergence convergence; // of what remains when a pass begins
	bool forced;                    // the VM was let stop over its budget
};

struct source {
	struct source_config cfg;
	enum source_state state;
	enum outcome outcome;
	struct ferry_error reason; // the first cause of an abort; .err 0 when none
	const char *phase;         // state in which the abort began

	// What is known so far.
	struct forecast forecast;
	struct convergence convergence;
	struct source_ram ram;
	struct pace pace;
	struct share share; // as last asked for
	struct event_armed size;
	unsigned rounds; // finished
	struct event_round kept[SOURCE_ROUNDS_KEPT];
	struct event_final final;
	int64_t drain_ns, verify_ns, forecast_at_switch_ns;
	int64_t kernels_ns;   // how long a drain would have taken after the last round
	int64_t recording_ns; // when the record was last asked for
	struct source_times at;

	// What is under way.
	bool round_running, stream_flows, forced, gate_asked;
	bool link_up, vm_gone, gpu_gone;
	enum record_state writing; // the record asked for last, for a retry
	uint64_t writing_epoch;
	char sealed_root[ENGINE_ID_SIZE];
	uint32_t waits; // SOURCE_WAIT_*, what the present state still waits for
	uint32_t may;   // the states that the event in hand may lead to
};

enum {
	SOURCE_WAIT_HELD = 1,
	SOURCE_WAIT_GATE = 2,
	SOURCE_WAIT_ROUND = 4,
	SOURCE_WAIT_COMPLETED = 8,
	SOURCE_WAIT_FINAL = 16,
	SOURCE_WAIT_SEALED = 32,
	SOURCE_WAIT_VM = 64,
	SOURCE_WAIT_GPU = 128,
};

void source_init(struct source *s, const struct source_config *cfg);
// One event; the actions are appended. An event that the state does not know gives ACT_ILLEGAL and
// changes nothing.
void source_step(struct source *s, const struct event *ev, struct actions *out);
// Instead of EV_START after a restart: takes up from the durable record alone. RECORD_ACTIVE
// becomes an abort; RECORD_ABORTED is resumed once more, which changes nothing where it was done.
void source_restore(
	struct source *s, enum record_state record, int64_t now_ns, struct actions *out);

bool source_ended(const struct source *s); // RELEASED or ABORTED
// Before COMMITTED is asked for: an operator may cancel.
bool source_cancellable(const struct source *s);
const char *source_state_name(enum source_state s);

// The table, for the diagram and the tests: the states that may follow `s` on `e`, as a bit mask
// (bit n: state n); 0 where the event is not legal. A legal event may also leave the state alone,
// then its own bit is set.
uint32_t source_next_states(enum source_state s, enum event_type e);
