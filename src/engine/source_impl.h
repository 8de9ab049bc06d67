// SPDX-License-Identifier: Apache-2.0
// Between the source's own files: handlers named by the table in source.c.
#pragma once

#include "engine/source.h"

typedef void (*source_fn)(struct source *s, const struct event *ev, struct actions *out);

// How often the destination is asked again, and how long silence may last while nothing is at
// stake.
#define SOURCE_ASK_NS   (500 * ENGINE_NSEC_MSEC)
#define SOURCE_STALL_NS (60 * ENGINE_NSEC_SEC)
// A held-back stream is held again when the forecast has grown this far over the target.
#define SOURCE_HOLD_FACTOR 2
// Kernels that run longer than this have the gate closed before the guest stops.
#define SOURCE_LONG_DRAIN_NS (50 * ENGINE_NSEC_MSEC)

// The one setter: checks against the table's mask for the event in hand.
void source_go(struct source *s, enum source_state to, const char *reason, struct actions *out);
void source_write(
	struct source *s, enum record_state r, uint64_t epoch, int64_t now_ns, struct actions *out);
// Something moved: the stall timer starts anew.
void source_keep_quiet(int64_t now_ns, struct actions *out);
// Keeps the first cause, writes ABORTED.
void source_abort(
	struct source *s, const struct ferry_error *why, int64_t now_ns, struct actions *out);
// One thing that the state waited for has come; true when it was the last.
bool source_got(struct source *s, uint32_t wait);
int64_t source_forecast(struct source *s);
// Divides the operator's bandwidth, where there is one, as the present state needs it.
void source_share(struct source *s, struct actions *out);
// While the VM's stream flows: when the next round is due, as things are now.
void source_pace(struct source *s, int64_t now_ns, struct actions *out);
// Ends it before the stun because of what that would take: `cause` is the reason's first half,
// `relief` the second remedy.
struct source_give_up {
	const char *code, *cause, *relief;
};
void source_give_up(
	struct source *s, const struct source_give_up *why, int64_t now_ns, struct actions *out);
// One thing less to wait for before the ports are drained.
void source_stopping_got(struct source *s, uint32_t wait, int64_t now_ns, struct actions *out);
// Asks for everything that makes the guest run here again.
void source_resume(struct source *s, struct actions *out);

// source_copy.c: until the guest stops.
void source_on_start(struct source *, const struct event *, struct actions *);
void source_on_active(struct source *, const struct event *, struct actions *);
void source_on_prepared(struct source *, const struct event *, struct actions *);
void source_on_armed(struct source *, const struct event *, struct actions *);
void source_on_round(struct source *, const struct event *, struct actions *);
void source_on_round_due(struct source *, const struct event *, struct actions *);
void source_on_progress(struct source *, const struct event *, struct actions *);
void source_on_gate_early(struct source *, const struct event *, struct actions *);
void source_on_stopped(struct source *, const struct event *, struct actions *);

// source_ram.c: how far the VM's stream is.
void source_on_ram(struct source *, const struct event *, struct actions *);
void source_on_ram_last(struct source *, const struct event *, struct actions *);
void source_on_held(struct source *, const struct event *, struct actions *);

// source_switch.c: the stun.
void source_on_gate(struct source *, const struct event *, struct actions *);
void source_on_last_round(struct source *, const struct event *, struct actions *);
void source_on_ports(struct source *, const struct event *, struct actions *);
void source_on_final(struct source *, const struct event *, struct actions *);
void source_on_completed(struct source *, const struct event *, struct actions *);
void source_on_sealed(struct source *, const struct event *, struct actions *);
void source_on_verified(struct source *, const struct event *, struct actions *);

// source_own.c: commit, abort and what follows.
void source_on_committed(struct source *, const struct event *, struct actions *);
void source_on_not_committed(struct source *, const struct event *, struct actions *);
void source_on_lost_late(struct source *, const struct event *, struct actions *);
void source_on_link_back(struct source *, const struct event *, struct actions *);
void source_on_ask(struct source *, const struct event *, struct actions *);
void source_on_answer_limit(struct source *, const struct event *, struct actions *);
void source_on_running(struct source *, const struct event *, struct actions *);
void source_on_pending(struct source *, const struct event *, struct actions *);
void source_on_never_ran(struct source *, const struct event *, struct actions *);
void source_on_peer_lost(struct source *, const struct event *, struct actions *);
void source_on_released(struct source *, const struct event *, struct actions *);
void source_on_run_here(struct source *, const struct event *, struct actions *);
void source_on_give_up(struct source *, const struct event *, struct actions *);
void source_on_abort(struct source *, const struct event *, struct actions *);
void source_on_aborted(struct source *, const struct event *, struct actions *);
void source_on_retry_record(struct source *, const struct event *, struct actions *);
void source_on_retry_due(struct source *, const struct event *, struct actions *);
void source_on_vm_runs(struct source *, const struct event *, struct actions *);
void source_on_vm_gone(struct source *, const struct event *, struct actions *);
void source_on_gpu_open(struct source *, const struct event *, struct actions *);
void source_on_gpu_gone(struct source *, const struct event *, struct actions *);
void source_note(struct source *, const struct event *, struct actions *);
