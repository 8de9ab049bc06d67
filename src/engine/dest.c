// SPDX-License-Identifier: Apache-2.0
// The destination's table, its one setter, and the step.
#include "engine/dest_impl.h"

#include <assert.h>
#include <errno.h>

#define S(state) (1u << DEST_##state)

struct rule {
	dest_fn fn; // NULL: the event is not legal here
	uint32_t to;
};

#define NOTE(state)                                                                                \
	{                                                                                          \
		dest_note, S(state)                                                                \
	}

// What ends a destination that has not sealed: it may die freely.
#define BREAKS                                                                                     \
	[EV_FAILED] = { dest_on_broken, S(DISCARDING) },                                           \
	[EV_LINK_LOST] = { dest_on_broken, S(DISCARDING) },                                        \
	[EV_ABORTED] = { dest_on_aborted, S(DISCARDING) },                                         \
	[EV_CANCEL] = { dest_on_broken, S(DISCARDING) },                                           \
	[EV_VM_GONE] = { dest_on_broken, S(DISCARDING) },                                          \
	[EV_GPU_GONE] = { dest_on_broken, S(DISCARDING) }

// What may still arrive of a part that is over.
#define LATE(state)                                                                                \
	[EV_STARTED] = NOTE(state), [EV_SWITCH] = NOTE(state), [EV_VM_LOADED] = NOTE(state),       \
	[EV_GPU_RECEIVED] = NOTE(state), [EV_PROGRESS] = NOTE(state), [EV_FAILED] = NOTE(state),   \
	[EV_CANCEL] = NOTE(state), [EV_ASK_DUE] = NOTE(state), [EV_PEER_ACTIVE] = NOTE(state),     \
	[EV_PEER_NONE] = NOTE(state)

#define LINK [EV_LINK_LOST] = { dest_on_link_lost, 0 }, [EV_LINK_UP] = { dest_on_link_up, 0 }

// The VM is ours and does not run yet.
#define OURS(state)                                                                                \
	[EV_COMMITTED] = { dest_on_committed_again, S(state) }, [EV_ABORTED] = NOTE(state), LINK,  \
	LATE(state)

#define ENDED(state)                                                                               \
	[EV_VM_GONE] = NOTE(state), [EV_GPU_GONE] = NOTE(state), [EV_DISCARDED] = NOTE(state),     \
	[EV_ABORTED] = NOTE(state), [EV_GPU_OWNED] = NOTE(state), [EV_CONT_REFUSED] = NOTE(state), \
	[EV_CONT_DUE] = NOTE(state), LINK, LATE(state)

static const struct rule rules[DEST_STATES][EV_COUNT] = {
	[DEST_NEW] = {
		[EV_START] = { dest_on_start, S(RECORDING) },
	},
	[DEST_RECORDING] = {
		[EV_RECORD_WRITTEN] = { dest_on_incoming, S(STARTING) },
		[EV_RECORD_FAILED] = { dest_on_broken, S(DISCARDING) },
		BREAKS,
	},
	[DEST_STARTING] = {
		[EV_STARTED] = { dest_on_started, S(RECEIVING) },
		[EV_PROGRESS] = NOTE(STARTING),
		BREAKS,
	},
	[DEST_RECEIVING] = {
		[EV_SWITCH] = NOTE(RECEIVING),
		[EV_PROGRESS] = NOTE(RECEIVING),
		[EV_VM_LOADED] = { dest_on_loaded, S(RECEIVING) | S(SEALING) },
		[EV_GPU_RECEIVED] = { dest_on_received, S(RECEIVING) | S(SEALING) },
		BREAKS,
	},
	[DEST_SEALING] = {
		[EV_RECORD_WRITTEN] = { dest_on_sealed, S(SEALED) },
		[EV_RECORD_FAILED] = { dest_on_broken, S(DISCARDING) },
		[EV_PROGRESS] = NOTE(SEALING),
		// The record may be on disk already: only what the source says may undo it.
		[EV_FAILED] = NOTE(SEALING),
		[EV_CANCEL] = NOTE(SEALING),
		[EV_LINK_LOST] = { dest_on_link_lost, S(SEALING) },
		[EV_LINK_UP] = { dest_on_link_up, S(SEALING) },
		[EV_ABORTED] = { dest_on_aborted, S(DISCARDING) },
		[EV_VM_GONE] = { dest_on_renounce, S(RENOUNCING) },
		[EV_GPU_GONE] = { dest_on_renounce, S(RENOUNCING) },
	},
	[DEST_SEALED] = {
		[EV_COMMITTED] = { dest_on_committed, S(SEALED) | S(OWNING) },
		[EV_ABORTED] = { dest_on_aborted, S(DISCARDING) },
		[EV_ASK_DUE] = { dest_on_ask, S(SEALED) },
		[EV_PEER_ACTIVE] = NOTE(SEALED),
		[EV_PEER_NONE] = NOTE(SEALED), // a person decides
		[EV_LINK_LOST] = { dest_on_link_lost, S(SEALED) },
		[EV_LINK_UP] = { dest_on_link_up, S(SEALED) },
		[EV_VM_GONE] = { dest_on_renounce, S(RENOUNCING) },
		[EV_GPU_GONE] = { dest_on_renounce, S(RENOUNCING) },
		[EV_RUN_HERE] = { dest_on_run_here, S(OWNING) },
		[EV_GIVE_UP] = { dest_on_renounce, S(RENOUNCING) },
		[EV_PROGRESS] = NOTE(SEALED), [EV_FAILED] = NOTE(SEALED),
		[EV_CANCEL] = NOTE(SEALED), [EV_SWITCH] = NOTE(SEALED),
	},
	[DEST_OWNING] = {
		[EV_RECORD_WRITTEN] = { dest_on_owned, S(TAKING) | S(RESUMING) },
		[EV_RECORD_FAILED] = { dest_on_retry_record, S(OWNING) },
		[EV_CONT_DUE] = { dest_on_write_again, S(OWNING) },
		[EV_VM_GONE] = { dest_on_renounce, S(RENOUNCING) },
		[EV_GPU_GONE] = { dest_on_renounce, S(RENOUNCING) },
		[EV_COMMITTED] = { dest_on_committed_again, S(OWNING) },
		[EV_LINK_LOST] = { dest_on_link_lost, S(OWNING) },
		[EV_LINK_UP] = { dest_on_link_up, S(OWNING) },
		[EV_ASK_DUE] = NOTE(OWNING), [EV_PEER_ACTIVE] = NOTE(OWNING),
		[EV_PEER_NONE] = NOTE(OWNING), [EV_FAILED] = NOTE(OWNING),
		[EV_CANCEL] = NOTE(OWNING), [EV_PROGRESS] = NOTE(OWNING),
	},
	[DEST_TAKING] = {
		[EV_GPU_OWNED] = { dest_on_gpu_owned, S(RESUMING) },
		[EV_VM_GONE] = { dest_on_renounce, S(RENOUNCING) },
		[EV_GPU_GONE] = { dest_on_renounce, S(RENOUNCING) },
		[EV_CONT_DUE] = NOTE(TAKING),
		OURS(TAKING),
	},
	[DEST_RESUMING] = {
		[EV_VM_RESUMED] = { dest_on_runs, S(RUNNING) },
		[EV_CONT_REFUSED] = { dest_on_refused, S(PENDING) },
		[EV_VM_GONE] = { dest_on_lost, S(LOST) },
		[EV_GPU_GONE] = NOTE(RESUMING), // the VM may run: its calls now fail
		[EV_CONT_DUE] = NOTE(RESUMING),
		OURS(RESUMING),
	},
	[DEST_PENDING] = {
		[EV_CONT_DUE] = { dest_on_cont_due, S(RESUMING) },
		OURS(PENDING),
		[EV_VM_GONE] = { dest_on_renounce, S(RENOUNCING) },
		[EV_GPU_GONE] = { dest_on_renounce, S(RENOUNCING) },
		[EV_GIVE_UP] = { dest_on_renounce, S(RENOUNCING) },
	},
	[DEST_RUNNING] = {
		[EV_COMMITTED] = { dest_on_committed_again, S(RUNNING) },
		[EV_VM_RESUMED] = NOTE(RUNNING),
		ENDED(RUNNING),
	},
	[DEST_INSPECTING] = {
		[EV_VM_RESUMED] = { dest_on_found_running, S(RUNNING) | S(INSPECTING) },
		[EV_VM_LOADED] = { dest_on_found_paused, S(SEALED) | S(TAKING) | S(RESUMING) },
		[EV_VM_GONE] = { dest_on_found_gone, S(RENOUNCING) | S(LOST) },
		[EV_GPU_GONE] = { dest_on_found_gone, S(RENOUNCING) | S(LOST) },
		[EV_COMMITTED] = { dest_on_committed_early, S(INSPECTING) },
		[EV_LINK_LOST] = { dest_on_link_lost, S(INSPECTING) },
		[EV_LINK_UP] = { dest_on_link_up, S(INSPECTING) },
		[EV_ABORTED] = NOTE(INSPECTING), [EV_ASK_DUE] = NOTE(INSPECTING),
	},
	[DEST_LOST] = {
		[EV_COMMITTED] = { dest_on_committed_again, S(LOST) },
		[EV_VM_RESUMED] = NOTE(LOST), // said just before it died
		ENDED(LOST),
	},
	[DEST_DISCARDING] = {
		[EV_DISCARDED] = { dest_on_discarded, S(DISCARDED) },
		[EV_RECORD_WRITTEN] = NOTE(DISCARDING), [EV_RECORD_FAILED] = NOTE(DISCARDING),
		[EV_VM_GONE] = NOTE(DISCARDING), [EV_GPU_GONE] = NOTE(DISCARDING),
		[EV_ABORTED] = NOTE(DISCARDING), LINK, LATE(DISCARDING),
	},
	[DEST_DISCARDED] = {
		ENDED(DISCARDED),
	},
	[DEST_RENOUNCING] = {
		[EV_RECORD_WRITTEN] = { dest_on_renounced, S(NEVER_RAN) },
		[EV_RECORD_FAILED] = { dest_on_retry_record, S(RENOUNCING) },
		[EV_CONT_DUE] = { dest_on_write_again, S(RENOUNCING) },
		[EV_COMMITTED] = { dest_on_committed_again, S(RENOUNCING) },
		[EV_VM_GONE] = NOTE(RENOUNCING), [EV_GPU_GONE] = NOTE(RENOUNCING),
		[EV_GPU_OWNED] = NOTE(RENOUNCING), [EV_ABORTED] = NOTE(RENOUNCING),
		[EV_LINK_LOST] = { dest_on_link_lost, S(RENOUNCING) },
		[EV_LINK_UP] = { dest_on_link_up, S(RENOUNCING) },
		[EV_ASK_DUE] = NOTE(RENOUNCING), [EV_PEER_ACTIVE] = NOTE(RENOUNCING),
		[EV_PEER_NONE] = NOTE(RENOUNCING), [EV_FAILED] = NOTE(RENOUNCING),
	},
	[DEST_NEVER_RAN] = {
		[EV_COMMITTED] = { dest_on_committed_again, S(NEVER_RAN) },
		ENDED(NEVER_RAN),
	},
};

static const char *const names[DEST_STATES] = {
	[DEST_NEW] = "new",
	[DEST_RECORDING] = "recording",
	[DEST_STARTING] = "starting",
	[DEST_RECEIVING] = "receiving",
	[DEST_SEALING] = "sealing",
	[DEST_SEALED] = "sealed",
	[DEST_OWNING] = "owning",
	[DEST_TAKING] = "taking",
	[DEST_RESUMING] = "resuming",
	[DEST_PENDING] = "pending",
	[DEST_RUNNING] = "running",
	[DEST_INSPECTING] = "inspecting",
	[DEST_LOST] = "lost",
	[DEST_DISCARDING] = "discarding",
	[DEST_DISCARDED] = "discarded",
	[DEST_RENOUNCING] = "renouncing",
	[DEST_NEVER_RAN] = "never-ran",
};

const char *dest_state_name(enum dest_state s)
{
	return s < DEST_STATES ? names[s] : "?";
}

uint32_t dest_next_states(enum dest_state s, enum event_type e)
{
	const struct rule *r = &rules[s][e];

	if (!r->fn)
		return 0;
	return r->to ? r->to : 1u << s; // 0 in the table: stays where it is
}

void dest_go(struct dest *d, enum dest_state to, const char *reason, struct actions *out)
{
	assert(d->may & (1u << to));
	if (d->state == to)
		return;
	struct action *a = actions_add(out, ACT_STATE);
	a->state.from = names[d->state];
	a->state.to = names[to];
	a->state.reason = reason;
	d->state = to;
}

void dest_init(struct dest *d, const struct dest_config *cfg)
{
	*d = (struct dest){ .cfg = *cfg };
}

void dest_step(struct dest *d, const struct event *ev, struct actions *out)
{
	const struct rule *r = &rules[d->state][ev->type];
	bool of_record = ev->type == EV_RECORD_WRITTEN || ev->type == EV_RECORD_FAILED;

	if (of_record && ev->record != d->writing)
		return; // of a record that another has overtaken
	if (!r->fn) {
		actions_add(out, ACT_ILLEGAL)->event = ev->type;
		if (ev->type == EV_COMMITTED)
			actions_add(out, ACT_REFUSE_COMMITTED);
		if (ev->type == EV_VM_RESUMED)
			actions_add(out, ACT_FREEZE_VM);
		return;
	}
	d->may = dest_next_states(d->state, ev->type);
	r->fn(d, ev, out);
	d->may = 0;
}

static void restore_to(struct dest *d, enum dest_state state, struct actions *out)
{
	d->may = 1u << state;
	dest_go(d, state, "taken up from the record", out);
	d->may = 0;
}

void dest_restore(struct dest *d, enum record_state record, int64_t now_ns, struct actions *out)
{
	d->at.start = now_ns;
	switch (record) {
	case RECORD_SEALED:
	case RECORD_OWNED:
		d->owner = record == RECORD_OWNED;
		restore_to(d, DEST_INSPECTING, out);
		actions_add(out, ACT_INSPECT);
		return;
	case RECORD_NEVER_RAN:
		restore_to(d, DEST_NEVER_RAN, out);
		actions_add(out, ACT_DISCARD);
		return;
	default:
		ferry_fail(&d->reason, EINTR, "daemon-restarted",
			"the destination's daemon was restarted during the migration");
		restore_to(d, DEST_DISCARDING, out);
		actions_add(out, ACT_DISCARD);
	}
}

bool dest_ended(const struct dest *d)
{
	return d->state == DEST_RUNNING || d->state == DEST_LOST || d->state == DEST_DISCARDED ||
	       d->state == DEST_NEVER_RAN;
}
