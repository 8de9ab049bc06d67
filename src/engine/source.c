// SPDX-License-Identifier: Apache-2.0
// The source's table, its one setter, and the step.
#include "engine/source_impl.h"

#include <assert.h>
#include <errno.h>

#define S(state) (1u << SOURCE_##state)

struct rule {
	source_fn fn; // NULL: the event is not legal here
	uint32_t to;  // the states that may follow
};

// What ends any state before the stun.
#define BREAKS_LIVE                                                                                \
	[EV_FAILED] = { source_on_abort, S(ABORTING) },                                            \
	[EV_LINK_LOST] = { source_on_abort, S(ABORTING) },                                         \
	[EV_CANCEL] = { source_on_abort, S(ABORTING) },                                            \
	[EV_VM_GONE] = { source_on_abort, S(ABORTING) },                                           \
	[EV_GPU_GONE] = { source_on_abort, S(ABORTING) },                                          \
	[EV_STALLED] = { source_on_abort, S(ABORTING) }

// The same in the stun, where the guest may also resume by itself.
#define BREAKS_STUN                                                                                \
	BREAKS_LIVE, [EV_STUN_LIMIT] = { source_on_abort, S(ABORTING) },                           \
		     [EV_VM_RESUMED] = { source_on_abort, S(ABORTING) }

#define NOTE(state)                                                                                \
	{                                                                                          \
		source_note, S(state)                                                              \
	}

// What the switchover set in motion and may still arrive after it was broken off or is over.
#define LATE(state)                                                                                \
	[EV_PREPARED] = NOTE(state), [EV_ARMED] = NOTE(state), [EV_ROUND_DONE] = NOTE(state),      \
	[EV_ROUND_DUE] = NOTE(state), [EV_RAM] = NOTE(state), [EV_PROGRESS] = NOTE(state),         \
	[EV_VM_STOPPED] = NOTE(state), [EV_VM_HELD] = NOTE(state), [EV_GATE_CLOSED] = NOTE(state), \
	[EV_PORTS_DRAINED] = NOTE(state), [EV_FINAL_DONE] = NOTE(state),                           \
	[EV_VM_COMPLETED] = NOTE(state), [EV_SEALED] = NOTE(state), [EV_VERIFIED] = NOTE(state),   \
	[EV_FAILED] = NOTE(state), [EV_LINK_LOST] = NOTE(state), [EV_LINK_UP] = NOTE(state),       \
	[EV_CANCEL] = NOTE(state), [EV_STUN_LIMIT] = NOTE(state), [EV_STALLED] = NOTE(state)

// Deaths that change nothing now and matter if the VM has to come back.
#define DEATHS(state)                                                                              \
	[EV_VM_GONE] = { source_on_vm_gone, S(state) }, [EV_GPU_GONE] = { source_on_gpu_gone,      \
		S(state) }

// While the destination owns the VM and has not said that it runs.
#define ASKING(state)                                                                              \
	[EV_LINK_LOST] = { source_on_lost_late, S(state) },                                        \
	[EV_LINK_UP] = { source_on_link_back, S(state) },                                          \
	[EV_ASK_DUE] = { source_on_ask, S(state) },                                                \
	[EV_PEER_RUNNING] = { source_on_running, S(RELEASING) },                                   \
	[EV_PEER_PENDING] = { source_on_pending, S(state) },                                       \
	[EV_PEER_NEVER_RAN] = { source_on_never_ran, S(RECLAIMING) }, [EV_FAILED] = NOTE(state),   \
	[EV_CANCEL] = NOTE(state), [EV_STUN_LIMIT] = NOTE(state), [EV_STALLED] = NOTE(state),      \
	[EV_PROGRESS] = NOTE(state), DEATHS(state)

static const struct rule rules[SOURCE_STATES][EV_COUNT] = {
	[SOURCE_NEW] = {
		[EV_START] = { source_on_start, S(RECORDING) },
	},
	[SOURCE_RECORDING] = {
		[EV_RECORD_WRITTEN] = { source_on_active, S(PREPARING) },
		[EV_RECORD_FAILED] = { source_on_abort, S(ABORTING) },
		BREAKS_LIVE,
	},
	[SOURCE_PREPARING] = {
		[EV_PREPARED] = { source_on_prepared, S(ARMING) },
		[EV_PROGRESS] = { source_on_progress, S(PREPARING) },
		BREAKS_LIVE,
	},
	[SOURCE_ARMING] = {
		[EV_ARMED] = { source_on_armed, S(COPYING) | S(FLOWING) | S(ABORTING) },
		[EV_PROGRESS] = { source_on_progress, S(ARMING) },
		BREAKS_LIVE,
	},
	[SOURCE_COPYING] = {
		[EV_ROUND_DONE] = { source_on_round, S(COPYING) | S(FLOWING) | S(ABORTING) },
		[EV_ROUND_DUE] = { source_on_round_due, S(COPYING) },
		[EV_RAM] = { source_on_ram, S(COPYING) },
		[EV_PROGRESS] = { source_on_progress, S(COPYING) },
		[EV_VM_STOPPED] = { source_on_stopped, S(STOPPING) },
		BREAKS_LIVE,
	},
	[SOURCE_FLOWING] = {
		[EV_ROUND_DONE] = { source_on_round, S(COPYING) | S(FLOWING) | S(ABORTING) },
		[EV_ROUND_DUE] = { source_on_round_due, S(FLOWING) },
		[EV_RAM] = { source_on_ram, S(FLOWING) | S(ABORTING) },
		[EV_PROGRESS] = { source_on_progress, S(FLOWING) },
		[EV_GATE_CLOSED] = { source_on_gate_early, S(FLOWING) },
		[EV_VM_STOPPED] = { source_on_stopped, S(STOPPING) },
		[EV_STUN_LIMIT] = { source_on_abort, S(ABORTING) }, // the gate closed long ago
		BREAKS_LIVE,
	},
	[SOURCE_STOPPING] = {
		[EV_VM_HELD] = { source_on_held, S(STOPPING) | S(DRAINING) | S(HANDOVER) | S(ABORTING) },
		[EV_GATE_CLOSED] = { source_on_gate, S(STOPPING) | S(DRAINING) | S(ABORTING) },
		[EV_ROUND_DONE] = { source_on_last_round, S(STOPPING) | S(DRAINING) | S(ABORTING) },
		[EV_RAM] = { source_on_ram_last, S(STOPPING) },
		[EV_ROUND_DUE] = NOTE(STOPPING),
		[EV_PROGRESS] = NOTE(STOPPING),
		BREAKS_STUN,
	},
	[SOURCE_DRAINING] = {
		[EV_PORTS_DRAINED] = { source_on_ports, S(HANDOVER) | S(ABORTING) },
		[EV_RAM] = { source_on_ram_last, S(DRAINING) },
		[EV_PROGRESS] = NOTE(DRAINING),
		BREAKS_STUN,
	},
	[SOURCE_HANDOVER] = {
		[EV_FINAL_DONE] = { source_on_final,
			S(HANDOVER) | S(VERIFYING) | S(COMMITTING) | S(ABORTING) },
		[EV_VM_COMPLETED] = { source_on_completed,
			S(HANDOVER) | S(VERIFYING) | S(COMMITTING) | S(ABORTING) },
		[EV_SEALED] = { source_on_sealed,
			S(HANDOVER) | S(VERIFYING) | S(COMMITTING) | S(ABORTING) },
		[EV_RAM] = NOTE(HANDOVER),
		[EV_PROGRESS] = NOTE(HANDOVER),
		BREAKS_STUN,
	},
	[SOURCE_VERIFYING] = {
		[EV_VERIFIED] = { source_on_verified, S(COMMITTING) },
		[EV_PROGRESS] = NOTE(VERIFYING),
		BREAKS_STUN,
	},
	[SOURCE_COMMITTING] = {
		[EV_RECORD_WRITTEN] = { source_on_committed, S(COMMITTED) },
		[EV_RECORD_FAILED] = { source_on_not_committed, S(ABORTING) },
		[EV_LINK_LOST] = { source_on_lost_late, S(COMMITTING) },
		[EV_FAILED] = NOTE(COMMITTING), [EV_CANCEL] = NOTE(COMMITTING),
		[EV_STUN_LIMIT] = NOTE(COMMITTING), [EV_STALLED] = NOTE(COMMITTING),
		[EV_ASK_DUE] = NOTE(COMMITTING), [EV_PROGRESS] = NOTE(COMMITTING),
		DEATHS(COMMITTING),
	},
	[SOURCE_COMMITTED] = {
		[EV_ANSWER_LIMIT] = { source_on_answer_limit, S(UNANSWERED) },
		[EV_PEER_LOST] = { source_on_peer_lost, S(UNANSWERED) },
		ASKING(COMMITTED),
	},
	[SOURCE_UNANSWERED] = {
		[EV_RUN_HERE] = { source_on_run_here, S(RECLAIMING) },
		[EV_GIVE_UP] = { source_on_give_up, S(RELEASING) },
		[EV_PEER_LOST] = { source_note, S(UNANSWERED) },
		[EV_ANSWER_LIMIT] = NOTE(UNANSWERED),
		ASKING(UNANSWERED),
	},
	[SOURCE_RELEASING] = {
		[EV_RELEASED] = { source_on_released, S(RELEASED) },
		[EV_ASK_DUE] = NOTE(RELEASING), [EV_ANSWER_LIMIT] = NOTE(RELEASING),
		[EV_PEER_RUNNING] = NOTE(RELEASING), [EV_PEER_PENDING] = NOTE(RELEASING),
		[EV_VM_GONE] = NOTE(RELEASING), [EV_GPU_GONE] = NOTE(RELEASING),
		LATE(RELEASING),
	},
	[SOURCE_RELEASED] = {
		[EV_ASK_DUE] = NOTE(RELEASED), [EV_ANSWER_LIMIT] = NOTE(RELEASED),
		[EV_PEER_RUNNING] = NOTE(RELEASED), [EV_PEER_PENDING] = NOTE(RELEASED),
		[EV_VM_GONE] = NOTE(RELEASED), [EV_GPU_GONE] = NOTE(RELEASED),
		LATE(RELEASED),
	},
	[SOURCE_ABORTING] = {
		[EV_RECORD_WRITTEN] = { source_on_aborted, S(RESUMING) | S(ABORTED) },
		[EV_RECORD_FAILED] = { source_on_retry_record, S(ABORTING) },
		[EV_ASK_DUE] = { source_on_retry_due, S(ABORTING) },
		[EV_VM_RESUMED] = NOTE(ABORTING), // by itself: no COMMITTED can follow any more
		DEATHS(ABORTING),
		LATE(ABORTING),
	},
	[SOURCE_RECLAIMING] = {
		[EV_RECORD_WRITTEN] = { source_on_aborted, S(RESUMING) | S(ABORTED) },
		[EV_RECORD_FAILED] = { source_on_retry_record, S(RECLAIMING) },
		[EV_ASK_DUE] = { source_on_retry_due, S(RECLAIMING) },
		[EV_ANSWER_LIMIT] = NOTE(RECLAIMING),
		[EV_PEER_NEVER_RAN] = NOTE(RECLAIMING),
		DEATHS(RECLAIMING),
		LATE(RECLAIMING),
	},
	[SOURCE_RESUMING] = {
		[EV_VM_RESUMED] = { source_on_vm_runs, S(RESUMING) | S(ABORTED) },
		[EV_VM_GONE] = { source_on_vm_gone, S(RESUMING) | S(ABORTED) },
		[EV_GPU_OPEN] = { source_on_gpu_open, S(RESUMING) | S(ABORTED) },
		[EV_GPU_GONE] = { source_on_gpu_gone, S(RESUMING) | S(ABORTED) },
		[EV_ASK_DUE] = NOTE(RESUMING), [EV_ANSWER_LIMIT] = NOTE(RESUMING),
		[EV_PEER_NEVER_RAN] = NOTE(RESUMING),
		LATE(RESUMING),
	},
	[SOURCE_ABORTED] = {
		[EV_VM_RESUMED] = NOTE(ABORTED), [EV_VM_GONE] = NOTE(ABORTED),
		[EV_GPU_OPEN] = NOTE(ABORTED), [EV_GPU_GONE] = NOTE(ABORTED),
		[EV_ASK_DUE] = NOTE(ABORTED), [EV_ANSWER_LIMIT] = NOTE(ABORTED),
		[EV_PEER_NEVER_RAN] = NOTE(ABORTED),
		LATE(ABORTED),
	},
};

static const char *const names[SOURCE_STATES] = {
	[SOURCE_NEW] = "new",
	[SOURCE_RECORDING] = "recording",
	[SOURCE_PREPARING] = "preparing",
	[SOURCE_ARMING] = "arming",
	[SOURCE_COPYING] = "copying",
	[SOURCE_FLOWING] = "flowing",
	[SOURCE_STOPPING] = "stopping",
	[SOURCE_DRAINING] = "draining",
	[SOURCE_HANDOVER] = "handover",
	[SOURCE_VERIFYING] = "verifying",
	[SOURCE_COMMITTING] = "committing",
	[SOURCE_COMMITTED] = "committed",
	[SOURCE_UNANSWERED] = "unanswered",
	[SOURCE_RELEASING] = "releasing",
	[SOURCE_RELEASED] = "released",
	[SOURCE_ABORTING] = "aborting",
	[SOURCE_RECLAIMING] = "reclaiming",
	[SOURCE_RESUMING] = "resuming",
	[SOURCE_ABORTED] = "aborted",
};

const char *source_state_name(enum source_state s)
{
	return s < SOURCE_STATES ? names[s] : "?";
}

uint32_t source_next_states(enum source_state s, enum event_type e)
{
	return rules[s][e].fn ? rules[s][e].to : 0;
}

void source_go(struct source *s, enum source_state to, const char *reason, struct actions *out)
{
	assert(s->may & (1u << to));
	if (s->state == to)
		return;
	struct action *a = actions_add(out, ACT_STATE);
	a->state.from = names[s->state];
	a->state.to = names[to];
	a->state.reason = reason;
	s->state = to;
}

void source_init(struct source *s, const struct source_config *cfg)
{
	*s = (struct source){ .cfg = *cfg };
	s->forecast = (struct forecast){
		.ram_budget_ns = cfg->ram_budget_ns,
		.rate = cfg->rate,
		.rate_cap = cfg->rate_cap,
		.device_ns = cfg->device_ns,
		.round_trip_ns = cfg->round_trip_ns,
	};
}

// Given away, or about to be: the guest must not run here.
static bool given_away(enum source_state s)
{
	return s >= SOURCE_COMMITTING && s <= SOURCE_RELEASED;
}

void source_step(struct source *s, const struct event *ev, struct actions *out)
{
	const struct rule *r = &rules[s->state][ev->type];
	bool of_record = ev->type == EV_RECORD_WRITTEN || ev->type == EV_RECORD_FAILED;

	if (of_record && ev->record != s->writing)
		return; // of a record that another has overtaken
	if (!r->fn) {
		actions_add(out, ACT_ILLEGAL)->event = ev->type;
		if (ev->type == EV_VM_RESUMED && given_away(s->state))
			actions_add(out, ACT_FREEZE_VM);
		return;
	}
	s->may = r->to;
	r->fn(s, ev, out);
	s->may = 0;
}

static void restore_to(struct source *s, enum source_state state, struct actions *out)
{
	s->may = 1u << state;
	source_go(s, state, "taken up from the record", out);
	s->may = 0;
}

void source_restore(struct source *s, enum record_state record, int64_t now_ns, struct actions *out)
{
	s->at.start = now_ns;
	if (record == RECORD_COMMITTED) {
		restore_to(s, SOURCE_COMMITTED, out);
		actions_add(out, ACT_PEER_CONNECT);
		actions_timer(out, EV_ANSWER_LIMIT, now_ns + s->cfg.answer_limit_ns);
		return;
	}
	ferry_fail(&s->reason, EINTR, "daemon-restarted",
		"the source's daemon was restarted during the migration");
	s->outcome = OUTCOME_FAILED;
	if (record == RECORD_ACTIVE) {
		restore_to(s, SOURCE_ABORTING, out);
		s->phase = "recovery";
		source_write(s, RECORD_ABORTED, s->cfg.epoch, now_ns, out);
	} else {
		restore_to(s, SOURCE_RESUMING, out);
		source_resume(s, out);
	}
}

bool source_ended(const struct source *s)
{
	return s->state == SOURCE_RELEASED || s->state == SOURCE_ABORTED;
}

bool source_cancellable(const struct source *s)
{
	return s->state > SOURCE_NEW && s->state < SOURCE_COMMITTING;
}

// Nothing to do: kept legal because it can arrive late.
void source_note(struct source *s, const struct event *ev, struct actions *out)
{
	(void)s, (void)ev, (void)out;
}
