// SPDX-License-Identifier: Apache-2.0
// The engine: who copies, when to switch over and who may run, as pure step functions on virtual
// time. Knows rounds, budgets, seals and ownership; knows no socket, clock, thread, hypervisor or
// compute library. This header has what both controllers share: events go in, actions come out.
//
// A driver feeds one event at a time, each with its time, and carries out the actions in their
// order. Everything that takes time is an action that is answered by a later event, so a crash
// between any two steps can be tested.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "engine/share.h"

#define ENGINE_ID_SIZE   33 // a migration's id or a digest: 32 hex digits and NUL
#define ENGINE_NSEC_MSEC 1000000LL
#define ENGINE_NSEC_SEC  1000000000LL

enum event_type {
	// The migration's own record (durable).
	EV_START,          // source: begin; destination: the source asked to prepare
	EV_RECORD_WRITTEN, // the record asked for last is on disk
	EV_RECORD_FAILED,  // it is not known to be on disk
	// The source's preparation and rounds.
	EV_PREPARED,   // the destination is ready to receive
	EV_ARMED,      // channels connected, trackers armed: payload.armed
	EV_ROUND_DONE, // payload.round
	EV_ROUND_DUE,  // timer
	EV_RAM,        // how far the VM's own stream is: payload.ram
	EV_PROGRESS,   // something moved; only keeps the stall timer quiet
	// The switchover on the source.
	EV_VM_STOPPED,    // the guest is stopped by the switchover (the stun begins)
	EV_VM_HELD,       // the VM waits before its last part: payload.ram
	EV_GATE_CLOSED,   // no kernel runs: payload.drain_ns
	EV_PORTS_DRAINED, // the guest's ports are empty and what was unread is taken back
	EV_FINAL_DONE,    // the destination has every page and delta: payload.final
	EV_VM_COMPLETED,  // our own VM says that it has handed over and is frozen
	EV_SEALED,        // the destination's durable word: payload.sealed
	EV_VERIFIED,      // both sides' full scans agree: payload.verify
	// Ownership, as the source hears of it.
	EV_PEER_RUNNING,
	EV_PEER_PENDING,
	EV_PEER_NEVER_RAN,
	EV_PEER_LOST, // it owned the VM, and the VM is gone; it may have run
	EV_RELEASED,  // our copy is destroyed
	// Ownership, as the destination hears of it.
	EV_STARTED,      // processes up, memory being faulted in
	EV_SWITCH,       // the source is about to hand over
	EV_VM_LOADED,    // the VM's stream is loaded and the VM is paused
	EV_GPU_RECEIVED, // all pages and deltas are here: payload.sealed
	EV_COMMITTED,    // the source gave the VM away: payload.decision
	EV_ABORTED,      // the source keeps the VM: payload.decision
	EV_PEER_ACTIVE,  // asked: the source has not decided
	EV_PEER_NONE,    // asked: the source knows nothing of this migration
	EV_GPU_OWNED,
	EV_CONT_REFUSED, // the VM would not run (a lock, for instance): payload.error
	EV_CONT_DUE,     // timer
	EV_DISCARDED,
	// Either side.
	EV_VM_RESUMED, // the guest runs here: as asked, or by itself
	EV_VM_GONE,    // the VM's process ended
	EV_GPU_OPEN,   // the vGPU goes on as if nothing had been
	EV_GPU_GONE,   // the vGPU's process ended
	EV_FAILED,     // a step failed: payload.error
	EV_LINK_LOST,
	EV_LINK_UP,
	EV_CANCEL,       // an operator
	EV_STUN_LIMIT,   // timer
	EV_STALLED,      // timer: nothing moved for too long
	EV_ASK_DUE,      // timer
	EV_ANSWER_LIMIT, // timer: nobody has answered for too long
	EV_RUN_HERE,     // a person decided that the VM runs on this host
	EV_GIVE_UP,      // a person decided that this host's copy goes away
	EV_COUNT
};

enum record_state {
	RECORD_NONE,
	RECORD_ACTIVE, // source
	RECORD_COMMITTED,
	RECORD_ABORTED,
	RECORD_INCOMING, // destination
	RECORD_SEALED,
	RECORD_OWNED,
	RECORD_NEVER_RAN,
	RECORD_COUNT
};

// What the vGPU and the VM have to move, once known.
struct event_armed {
	uint64_t gpu_bytes; // allocated in the framebuffer
	uint64_t ram_bytes; // the VM's RAM
};

struct event_round {
	uint32_t n;
	uint64_t bytes, zero_bytes, object_bytes;
	uint64_t dirty_bytes; // what the next round would send
	int64_t ns;           // how long it took
	int64_t drain_ns;     // how long a drain would take now, 0 where unknown
};

// The VM goes over its RAM in passes: each begins by looking what was written since the last one
// did, and sends that. What remains falls within a pass, and no sooner grows than the next begins.
struct event_ram {
	uint64_t remaining_bytes;  // of the pass under way
	uint64_t rate_bytes_per_s; // 0 where unknown
	uint64_t sent_bytes;       // of the VM's stream so far
	uint64_t pass;             // the one under way: 1, 2, ...; 0 where unknown
};

struct event_final {
	uint64_t bytes, zero_bytes, object_bytes, sent_bytes;
	int64_t ns;
	char root[ENGINE_ID_SIZE];
};

struct event_sealed {
	char migration[ENGINE_ID_SIZE];
	char root[ENGINE_ID_SIZE]; // "" without a vGPU
};

struct event_decision {
	char migration[ENGINE_ID_SIZE];
	uint64_t epoch; // of the record that was written; 0 where the message has none
};

struct event_verify {
	int64_t ns;
};

struct event {
	enum event_type type;
	int64_t now_ns; // CLOCK_MONOTONIC of this host; never runs backwards
	union {
		enum record_state record; // of EV_RECORD_*: which one
		struct event_armed armed;
		struct event_round round;
		struct event_ram ram;
		struct event_final final;
		struct event_sealed sealed;
		struct event_decision decision;
		struct event_verify verify;
		int64_t drain_ns;
		struct ferry_error error;
	};
};

enum action_type {
	ACT_STATE,        // nothing to do: says old -> new (reason), for logs and tests
	ACT_ILLEGAL,      // nothing to do: an event came that this state does not know
	ACT_WRITE_RECORD, // record, epoch -> EV_RECORD_WRITTEN or EV_RECORD_FAILED
	ACT_TIMER,        // event, at_ns (-1: disarm): one timer for each timer event
	ACT_OUTCOME,      // the migration is over (or needs a person): outcome
	// Source.
	ACT_PEER_PREPARE,   // -> EV_PREPARED
	ACT_ARM,            // connect channels, arm trackers, start relays -> EV_ARMED
	ACT_SHARE,          // share: how fast the vGPU and the VM's stream may send from now on
	ACT_ROUND,          // n -> EV_ROUND_DONE
	ACT_STREAM_START,   // start the VM's own stream, held
	ACT_STREAM_RELEASE, // let it flow
	ACT_STREAM_HOLD,    // hold it again
	ACT_STREAM_FORCE,   // budget_ns: the VM may stop as soon as it can send its rest in that
	ACT_GATE_CLOSE,     // -> EV_GATE_CLOSED
	ACT_GATE_OPEN,   // again, while the guest runs: an EV_GATE_CLOSED still to come is not told
	ACT_PORTS_DRAIN, // -> EV_PORTS_DRAINED
	ACT_PEER_SWITCH, // tell the destination
	ACT_VM_CONTINUE, // -> EV_VM_COMPLETED, or EV_FAILED, or EV_VM_RESUMED
	ACT_FINAL,       // -> EV_FINAL_DONE
	ACT_VERIFY,      // -> EV_VERIFIED or EV_FAILED
	ACT_PEER_COMMITTED, // tell the destination -> EV_PEER_*, or EV_LINK_LOST
	ACT_PEER_ABORTED,   // tell the destination, best effort
	ACT_PEER_CONNECT,   // -> EV_LINK_UP, or EV_LINK_LOST
	ACT_RESUME_VM,      // cancel its stream, run it -> EV_VM_RESUMED or EV_VM_GONE
	ACT_RESUME_GPU,     // abort the move, open the gate -> EV_GPU_OPEN or EV_GPU_GONE
	ACT_RELEASE,        // destroy our copy -> EV_RELEASED
	// Destination.
	ACT_START_INCOMING, // -> EV_STARTED
	ACT_ANSWER_PREPARED,
	ACT_SEND_SEALED,
	ACT_SEND_FAILED,
	ACT_OWN_GPU, // -> EV_GPU_OWNED
	ACT_CONT,    // -> EV_VM_RESUMED or EV_CONT_REFUSED
	ACT_ASK,     // -> EV_COMMITTED, EV_ABORTED, EV_PEER_ACTIVE, EV_PEER_NONE, or nothing
	ACT_ANSWER_COMMITTED, // answer: to every `committed` that waits
	ACT_REFUSE_COMMITTED, // likewise
	ACT_INSPECT,          // -> EV_VM_RESUMED, EV_VM_LOADED or EV_VM_GONE
	ACT_DISCARD,          // end the processes, remove what is theirs -> EV_DISCARDED
	// Either side.
	ACT_FREEZE_VM, // the VM runs and must not: stop it at once
	ACT_COUNT
};

enum answer { ANSWER_RUNNING, ANSWER_PENDING, ANSWER_NEVER_RAN, ANSWER_LOST };

enum outcome {
	OUTCOME_NONE,
	OUTCOME_COMPLETED,
	OUTCOME_ABORTED, // cancelled, or over a limit: the VM runs on the source
	OUTCOME_FAILED,  // something broke
	OUTCOME_PERSON,  // nobody answers after COMMIT: a person must decide
};

struct action {
	enum action_type type;
	union {
		struct {
			const char *from, *to, *reason;
		} state;
		struct {
			enum record_state record;
			uint64_t epoch;
		} write;
		struct {
			enum event_type event;
			int64_t at_ns;
		} timer;
		uint32_t round;
		int64_t budget_ns;
		struct share share;
		enum answer answer;
		enum outcome outcome;
		enum event_type event; // ACT_ILLEGAL
	};
};

#define ACTIONS_MAX 24 // no step needs more than a dozen

struct actions {
	struct action list[ACTIONS_MAX];
	unsigned n;
};

// Appends; the caller fills in the rest. Asserts that there is room (the engine's own bound).
struct action *actions_add(struct actions *out, enum action_type type);
void actions_timer(struct actions *out, enum event_type event, int64_t at_ns);

// Names for logs, traces, records and messages ("round-done"); never NULL.
const char *event_name(enum event_type t);
const char *action_name(enum action_type t);
const char *record_name(enum record_state s);
const char *answer_name(enum answer a);
const char *outcome_name(enum outcome o);
// RECORD_NONE for anything unknown.
enum record_state record_from_name(const char *name);
