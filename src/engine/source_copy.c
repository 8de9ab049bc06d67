// SPDX-License-Identifier: Apache-2.0
// The source until the guest stops: record, prepare, arm, rounds, and the decision to let the VM's
// own stream flow.
#include "engine/source_impl.h"

#include <errno.h>
#include <stdio.h>

void source_keep_quiet(int64_t now_ns, struct actions *out)
{
	actions_timer(out, EV_STALLED, now_ns + SOURCE_STALL_NS);
}

void source_on_start(struct source *s, const struct event *ev, struct actions *out)
{
	s->at.start = ev->now_ns;
	s->link_up = true;
	source_go(s, SOURCE_RECORDING, "asked to migrate", out);
	source_keep_quiet(ev->now_ns, out);
	source_write(s, RECORD_ACTIVE, s->cfg.epoch, ev->now_ns, out);
}

void source_on_active(struct source *s, const struct event *ev, struct actions *out)
{
	s->forecast.record_ns = ev->now_ns - s->recording_ns;
	source_go(s, SOURCE_PREPARING, "record active", out);
	actions_add(out, ACT_PEER_PREPARE);
}

void source_on_prepared(struct source *s, const struct event *ev, struct actions *out)
{
	source_keep_quiet(ev->now_ns, out);
	source_go(s, SOURCE_ARMING, "destination prepared", out);
	actions_add(out, ACT_ARM);
}

void source_on_progress(struct source *s, const struct event *ev, struct actions *out)
{
	source_keep_quiet(ev->now_ns, out);
}

int64_t source_forecast(struct source *s)
{
	return forecast_stun_ns(&s->forecast);
}

static struct share share_now(const struct source *s)
{
	uint64_t cap = s->cfg.rate_cap;
	bool gpu = true, ram = true;

	switch (s->state) {
	case SOURCE_FLOWING:
		return share_live(cap, s->round_running, true);
	case SOURCE_HANDOVER:
		gpu = s->waits & SOURCE_WAIT_FINAL;
		ram = s->waits & SOURCE_WAIT_COMPLETED;
		return gpu && ram ? share_stun(cap, s->forecast.gpu_bytes, s->forecast.ram_bytes)
				  : share_live(cap, gpu, ram);
	default: // the VM's stream is held, or waits for its last part
		return share_live(cap, true, false);
	}
}

void source_share(struct source *s, struct actions *out)
{
	struct share now = share_now(s);

	if (!s->cfg.rate_cap || !s->cfg.gpu || now.gpu == s->share.gpu)
		return;
	s->share = now;
	actions_add(out, ACT_SHARE)->share = now;
}

static void start_round(struct source *s, struct actions *out)
{
	s->round_running = true;
	source_share(s, out);
	actions_add(out, ACT_ROUND)->round = s->rounds + 1;
}

static void release(struct source *s, int64_t now_ns, struct actions *out)
{
	if (!s->stream_flows)
		actions_add(out, ACT_STREAM_RELEASE);
	s->stream_flows = true;
	if (!s->at.released)
		s->at.released = now_ns;
}

// It stops no sooner than its rest fits its budget.
static int64_t until_stop(const struct source *s)
{
	int64_t ns = forecast_send_ns(&s->forecast, s->forecast.ram_bytes) - s->cfg.ram_budget_ns;

	return ns < 0 || s->ram.forced ? 0 : ns;
}

// Where rounds no longer shrink what is left, one that the VM's stop overtakes only makes the stun
// longer: it must end first, and what it sent is sent again. A short one is worth it.
static bool round_pays(const struct source *s)
{
	int64_t takes = forecast_send_ns(&s->forecast, s->forecast.gpu_bytes);

	return !s->forced || takes <= PACE_MIN_NS || takes <= until_stop(s);
}

void source_pace(struct source *s, int64_t now_ns, struct actions *out)
{
	if (!s->cfg.gpu || !s->rounds || !policy_rounds_go_on(s->cfg.mode))
		return;
	if (s->round_running || s->gate_asked)
		return;
	actions_timer(
		out, EV_ROUND_DUE, round_pays(s) ? pace_due(&s->pace, now_ns, until_stop(s)) : -1);
}

static void flow(struct source *s, const char *reason, int64_t now_ns, struct actions *out)
{
	source_go(s, SOURCE_FLOWING, reason, out);
	source_share(s, out);
	release(s, now_ns, out);
	s->pace = (struct pace){ .gap_ns = PACE_MIN_NS, .ended_ns = now_ns };
	source_pace(s, now_ns, out);
}

static int64_t seconds_above(int64_t ns)
{
	return ns / ENGINE_NSEC_SEC + 1;
}

void source_give_up(
	struct source *s, const struct source_give_up *why, int64_t now_ns, struct actions *out)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int64_t ns = forecast_sure_ns(&s->forecast);

	ferry_fail(&e, ETIME, why->code, "%s, a stun of %lld ms against a limit of %lld ms",
		why->cause, (long long)(ns / ENGINE_NSEC_MSEC),
		(long long)(s->cfg.limit_ns / ENGINE_NSEC_MSEC));
	ferry_error_remedy(
		&e, "raise the stun limit (--stun-limit %lld)", (long long)seconds_above(ns));
	ferry_error_remedy(&e, "%s", why->relief);
	source_abort(s, &e, now_ns, out);
}

static void give_up(struct source *s, enum policy_step why, int64_t now_ns, struct actions *out)
{
	char cause[120];

	if (why == POLICY_NOT_CONVERGING)
		snprintf(cause, sizeof cause,
			"rounds no longer shrink: %llu MiB dirty after round %u",
			(unsigned long long)(s->forecast.gpu_bytes >> 20), s->rounds);
	else
		snprintf(cause, sizeof cause, "mode %s does not fit", mode_name(s->cfg.mode));
	source_give_up(s,
		why == POLICY_NOT_CONVERGING
			? &(struct source_give_up){ "not-converging", cause,
				  "give the migration more bandwidth, or migrate while the "
				  "workload writes less" }
			: &(struct source_give_up){ "stun-limit", cause,
				  "use mode precopy, or give the migration more bandwidth" },
		now_ns, out);
}

static enum policy_step ask_policy(struct source *s)
{
	struct policy_input in = {
		.rounds = s->rounds,
		.convergence = &s->convergence,
		.forecast_ns = source_forecast(s),
		.sure_ns = forecast_sure_ns(&s->forecast),
		.target_ns = s->cfg.target_ns,
		.limit_ns = s->cfg.limit_ns,
	};

	return policy_next(s->cfg.mode, &in);
}

// Before the switchover: another round, the VM's stream, or an end.
static void decide(struct source *s, int64_t now_ns, struct actions *out)
{
	// Without a vGPU there are no rounds to wait for.
	enum policy_step step = s->cfg.gpu ? ask_policy(s) : POLICY_SWITCH;

	switch (step) {
	case POLICY_ROUND:
		source_go(s, SOURCE_COPYING, "rounds", out);
		start_round(s, out);
		return;
	case POLICY_SWITCH:
		flow(s, s->cfg.gpu ? "forecast fits the target" : "no vGPU", now_ns, out);
		return;
	case POLICY_SWITCH_FORCED:
		s->forced = true;
		flow(s, "forecast fits the limit", now_ns, out);
		return;
	default:
		give_up(s, step, now_ns, out);
	}
}

void source_on_armed(struct source *s, const struct event *ev, struct actions *out)
{
	s->at.armed = ev->now_ns;
	s->size = ev->armed;
	s->forecast.gpu_bytes = s->cfg.gpu ? ev->armed.gpu_bytes : 0;
	source_keep_quiet(ev->now_ns, out);
	source_share(s, out);
	actions_add(out, ACT_STREAM_START);
	decide(s, ev->now_ns, out);
}

static void take_round(struct source *s, const struct event *ev)
{
	const struct event_round *r = &ev->round;

	s->round_running = false;
	s->kept[s->rounds % SOURCE_ROUNDS_KEPT] = *r;
	s->rounds++;
	s->forecast.gpu_bytes = r->dirty_bytes + r->object_bytes;
	s->kernels_ns = r->drain_ns;
	// Long ones have the gate closed before the guest stops: they are no part of the stun.
	s->forecast.drain_ns = r->drain_ns < SOURCE_LONG_DRAIN_NS ? r->drain_ns : 0;
	// With a part of the operator's bandwidth a round says nothing about the link.
	if (!s->cfg.rate_cap || s->state == SOURCE_COPYING)
		forecast_measure(&s->forecast, r->bytes + r->object_bytes,
			r->ns - policy_watch_ns(s->cfg.mode));
	convergence_round(&s->convergence, r->dirty_bytes);
}

void source_on_round(struct source *s, const struct event *ev, struct actions *out)
{
	take_round(s, ev);
	source_keep_quiet(ev->now_ns, out);
	if (s->state == SOURCE_COPYING) {
		decide(s, ev->now_ns, out);
		return;
	}
	int64_t forecast = source_forecast(s);
	if (!s->forced && !s->ram.forced && !s->gate_asked &&
		forecast / SOURCE_HOLD_FACTOR > s->cfg.target_ns) {
		// The workload began to write faster: hold the VM back before it stops.
		actions_add(out, ACT_STREAM_HOLD);
		s->stream_flows = false;
		s->convergence = s->ram.convergence = (struct convergence){ 0 };
		source_go(s, SOURCE_COPYING, "forecast no longer fits", out);
		start_round(s, out);
		return;
	}
	source_share(s, out);
	pace_round(&s->pace,
		&(struct pace_round){ .ended_ns = ev->now_ns,
			.send_ns = forecast_send_ns(
				&s->forecast, ev->round.bytes + ev->round.object_bytes),
			.dirty_ns = forecast_send_ns(&s->forecast, ev->round.dirty_bytes) },
		s->cfg.target_ns);
	source_pace(s, ev->now_ns, out);
}

void source_on_round_due(struct source *s, const struct event *ev, struct actions *out)
{
	(void)ev;
	if (!s->round_running && !s->gate_asked)
		start_round(s, out);
}

void source_on_gate_early(struct source *s, const struct event *ev, struct actions *out)
{
	(void)out;
	s->at.gate_closed = ev->now_ns;
	s->drain_ns = ev->drain_ns;
}

void source_on_stopped(struct source *s, const struct event *ev, struct actions *out)
{
	s->at.stopped = ev->now_ns;
	source_go(s, SOURCE_STOPPING, "guest stopped", out);
	actions_timer(out, EV_STALLED, -1);
	actions_timer(out, EV_ROUND_DUE, -1);
	if (!s->gate_asked)
		actions_timer(out, EV_STUN_LIMIT, ev->now_ns + s->cfg.limit_ns);
	release(s, ev->now_ns, out); // nothing may block the VM from here on
	source_share(s, out);
	s->waits = SOURCE_WAIT_HELD;
	if (!s->cfg.gpu)
		return;
	if (!s->at.gate_closed)
		s->waits |= SOURCE_WAIT_GATE;
	if (s->round_running)
		s->waits |= SOURCE_WAIT_ROUND;
	if (s->gate_asked)
		return;
	s->gate_asked = true;
	s->at.gate_asked = ev->now_ns;
	actions_add(out, ACT_GATE_CLOSE);
}

void source_on_last_round(struct source *s, const struct event *ev, struct actions *out)
{
	take_round(s, ev);
	source_stopping_got(s, SOURCE_WAIT_ROUND, ev->now_ns, out);
}
