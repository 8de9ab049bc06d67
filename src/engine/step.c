// SPDX-License-Identifier: Apache-2.0
#include "engine/step.h"
#include "base/cleanup.h"

#include <assert.h>
#include <string.h>

struct action *actions_add(struct actions *out, enum action_type type)
{
	assert(out->n < ACTIONS_MAX);
	struct action *a = &out->list[out->n++];
	*a = (struct action){ .type = type };
	return a;
}

void actions_timer(struct actions *out, enum event_type event, int64_t at_ns)
{
	struct action *a = actions_add(out, ACT_TIMER);

	a->timer.event = event;
	a->timer.at_ns = at_ns;
}

static const char *const event_names[EV_COUNT] = {
	[EV_START] = "start",
	[EV_RECORD_WRITTEN] = "record-written",
	[EV_RECORD_FAILED] = "record-failed",
	[EV_PREPARED] = "prepared",
	[EV_ARMED] = "armed",
	[EV_ROUND_DONE] = "round-done",
	[EV_ROUND_DUE] = "round-due",
	[EV_RAM] = "ram",
	[EV_PROGRESS] = "progress",
	[EV_VM_STOPPED] = "vm-stopped",
	[EV_VM_HELD] = "vm-held",
	[EV_GATE_CLOSED] = "gate-closed",
	[EV_PORTS_DRAINED] = "ports-drained",
	[EV_FINAL_DONE] = "final-done",
	[EV_VM_COMPLETED] = "vm-completed",
	[EV_SEALED] = "sealed",
	[EV_VERIFIED] = "verified",
	[EV_PEER_RUNNING] = "peer-running",
	[EV_PEER_PENDING] = "peer-pending",
	[EV_PEER_NEVER_RAN] = "peer-never-ran",
	[EV_PEER_LOST] = "peer-lost",
	[EV_RELEASED] = "released",
	[EV_STARTED] = "started",
	[EV_SWITCH] = "switch",
	[EV_VM_LOADED] = "vm-loaded",
	[EV_GPU_RECEIVED] = "gpu-received",
	[EV_COMMITTED] = "committed",
	[EV_ABORTED] = "aborted",
	[EV_PEER_ACTIVE] = "peer-active",
	[EV_PEER_NONE] = "peer-none",
	[EV_GPU_OWNED] = "gpu-owned",
	[EV_CONT_REFUSED] = "cont-refused",
	[EV_CONT_DUE] = "cont-due",
	[EV_DISCARDED] = "discarded",
	[EV_VM_RESUMED] = "vm-resumed",
	[EV_VM_GONE] = "vm-gone",
	[EV_GPU_OPEN] = "gpu-open",
	[EV_GPU_GONE] = "gpu-gone",
	[EV_FAILED] = "failed",
	[EV_LINK_LOST] = "link-lost",
	[EV_LINK_UP] = "link-up",
	[EV_CANCEL] = "cancel",
	[EV_STUN_LIMIT] = "stun-limit",
	[EV_STALLED] = "stalled",
	[EV_ASK_DUE] = "ask-due",
	[EV_ANSWER_LIMIT] = "answer-limit",
	[EV_RUN_HERE] = "run-here",
	[EV_GIVE_UP] = "give-up",
};

static const char *const action_names[ACT_COUNT] = {
	[ACT_STATE] = "state",
	[ACT_ILLEGAL] = "illegal",
	[ACT_WRITE_RECORD] = "write-record",
	[ACT_TIMER] = "timer",
	[ACT_OUTCOME] = "outcome",
	[ACT_PEER_PREPARE] = "peer-prepare",
	[ACT_ARM] = "arm",
	[ACT_SHARE] = "share",
	[ACT_ROUND] = "round",
	[ACT_STREAM_START] = "stream-start",
	[ACT_STREAM_RELEASE] = "stream-release",
	[ACT_STREAM_HOLD] = "stream-hold",
	[ACT_STREAM_FORCE] = "stream-force",
	[ACT_GATE_CLOSE] = "gate-close",
	[ACT_GATE_OPEN] = "gate-open",
	[ACT_PORTS_DRAIN] = "ports-drain",
	[ACT_PEER_SWITCH] = "peer-switch",
	[ACT_VM_CONTINUE] = "vm-continue",
	[ACT_FINAL] = "final",
	[ACT_VERIFY] = "verify",
	[ACT_PEER_COMMITTED] = "peer-committed",
	[ACT_PEER_ABORTED] = "peer-aborted",
	[ACT_PEER_CONNECT] = "peer-connect",
	[ACT_RESUME_VM] = "resume-vm",
	[ACT_RESUME_GPU] = "resume-gpu",
	[ACT_RELEASE] = "release",
	[ACT_START_INCOMING] = "start-incoming",
	[ACT_ANSWER_PREPARED] = "answer-prepared",
	[ACT_SEND_SEALED] = "send-sealed",
	[ACT_SEND_FAILED] = "send-failed",
	[ACT_OWN_GPU] = "own-gpu",
	[ACT_CONT] = "cont",
	[ACT_ASK] = "ask",
	[ACT_ANSWER_COMMITTED] = "answer-committed",
	[ACT_REFUSE_COMMITTED] = "refuse-committed",
	[ACT_INSPECT] = "inspect",
	[ACT_DISCARD] = "discard",
	[ACT_FREEZE_VM] = "freeze-vm",
};

// These are also what records and messages say (docs/interfaces.md, section 6).
static const char *const record_names[RECORD_COUNT] = {
	[RECORD_NONE] = "none",
	[RECORD_ACTIVE] = "active",
	[RECORD_COMMITTED] = "committed",
	[RECORD_ABORTED] = "aborted",
	[RECORD_INCOMING] = "incoming",
	[RECORD_SEALED] = "sealed",
	[RECORD_OWNED] = "owned",
	[RECORD_NEVER_RAN] = "never-ran",
};

static const char *name_of(const char *const *names, size_t n, unsigned i)
{
	return i < n && names[i] ? names[i] : "?";
}

const char *event_name(enum event_type t)
{
	return name_of(event_names, EV_COUNT, t);
}

const char *action_name(enum action_type t)
{
	return name_of(action_names, ACT_COUNT, t);
}

const char *record_name(enum record_state s)
{
	return name_of(record_names, RECORD_COUNT, s);
}

const char *answer_name(enum answer a)
{
	static const char *const names[] = { "running", "pending", "never-ran", "lost" };

	return name_of(names, ARRAY_SIZE(names), a);
}

const char *outcome_name(enum outcome o)
{
	static const char *const names[] = { "none", "completed", "aborted", "failed", "person" };

	return name_of(names, ARRAY_SIZE(names), o);
}

enum record_state record_from_name(const char *name)
{
	for (unsigned i = 1; i < RECORD_COUNT; i++)
		if (!strcmp(name, record_names[i]))
			return (enum record_state)i;
	return RECORD_NONE;
}
