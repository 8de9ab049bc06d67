// SPDX-License-Identifier: Apache-2.0
// The source and the VM's own stream: how far it is, whether its passes over the RAM still get
// shorter, and what follows when they do not.
#include "engine/source_impl.h"

#include <stdio.h>

static void take_ram(struct source *s, const struct event_ram *ram)
{
	s->forecast.ram_bytes = ram->remaining_bytes;
	forecast_at_least(&s->forecast, ram->rate_bytes_per_s);
}

static void give_up(struct source *s, int64_t now_ns, struct actions *out)
{
	char cause[120];

	snprintf(cause, sizeof cause,
		"the guest writes its RAM as fast as it is sent: %llu MiB to send in pass %llu",
		(unsigned long long)(s->forecast.ram_bytes >> 20), (unsigned long long)s->ram.pass);
	source_give_up(s,
		&(struct source_give_up){ "not-converging", cause,
			"give the migration more bandwidth, or migrate while the guest's programs "
			"write less to its RAM" },
		now_ns, out);
}

// Passes no longer help: the VM may stop at once if the stun then fits the limit. Its budget is
// what the limit leaves beside all else; it looks itself whether its rest fits.
static void no_more_passes(struct source *s, int64_t now_ns, struct actions *out)
{
	s->forecast.ram_known = true; // it will not keep to the budget that it had
	struct forecast others = s->forecast;

	others.ram_bytes = 0;
	if (s->ram.forced || forecast_sure_ns(&s->forecast) > s->cfg.limit_ns) {
		give_up(s, now_ns, out);
		return;
	}
	s->forced |= source_forecast(s) > s->cfg.target_ns;
	s->ram.forced = true;
	s->ram.convergence = (struct convergence){ 0 };
	actions_add(out, ACT_STREAM_FORCE)->budget_ns = s->cfg.limit_ns - forecast_sure_ns(&others);
}

// The first pass begins with all of the RAM, which says nothing about how fast it is written.
static void pass_began(struct source *s, const struct event *ev, struct actions *out)
{
	const struct event_ram *ram = &ev->ram;
	uint64_t sent = ram->sent_bytes - s->ram.sent_bytes;

	// No rounds, or none worth it: only the passes tell what the link carries.
	if ((!s->cfg.gpu || s->forecast.rough) && s->ram.pass)
		forecast_measure(&s->forecast, sent, ev->now_ns - s->ram.began_ns);
	s->ram.before_ns = s->ram.pass ? ev->now_ns - s->ram.began_ns : 0;
	s->ram.pass = ram->pass;
	s->ram.sent_bytes = ram->sent_bytes;
	s->ram.began_ns = ev->now_ns;
	s->ram.bytes = ram->remaining_bytes;
	if (s->state != SOURCE_FLOWING || ram->pass < 2)
		return;
	convergence_round(&s->ram.convergence, ram->remaining_bytes);
	if (policy_passes_end(&s->ram.convergence))
		no_more_passes(s, ev->now_ns, out);
}

// Whether the VM is likely to stop when this pass ends: what the guest writes until then, as fast as it
// wrote during the pass before, fits the VM's budget. The first pass says nothing of that: then yes,
// for most guests write little; open_gate_again() mends it where that was wrong.
static bool last_pass(const struct source *s)
{
	if (s->ram.forced || !s->ram.before_ns)
		return true;
	double takes = (double)forecast_send_ns(&s->forecast, s->ram.bytes);

	return takes * takes / (double)s->ram.before_ns <= (double)s->cfg.ram_budget_ns;
}

// Long kernels: let them end while the guest still runs, not in the stun. Only when the stun is at
// hand: a gate that is closed stands in the workload's way, and there are no rounds any more.
static void close_gate_early(struct source *s, const struct event *ev, struct actions *out)
{
	int64_t drain = s->kernels_ns;

	if (drain < SOURCE_LONG_DRAIN_NS ||
		forecast_send_ns(&s->forecast, ev->ram.remaining_bytes) > drain)
		return;
	if (!last_pass(s) || (!s->forced && source_forecast(s) > s->cfg.target_ns))
		return;
	s->gate_asked = true;
	s->at.gate_asked = ev->now_ns;
	actions_timer(out, EV_STUN_LIMIT, ev->now_ns + s->cfg.limit_ns);
	actions_add(out, ACT_GATE_CLOSE);
}

// The gate closed for a stop that did not come: there is another pass, and it takes a while.
static void open_gate_again(struct source *s, const struct event *ev, struct actions *out)
{
	int64_t takes = forecast_send_ns(&s->forecast, ev->ram.remaining_bytes);

	if (!s->gate_asked || takes <= s->cfg.ram_budget_ns || takes <= s->kernels_ns)
		return;
	s->gate_asked = false;
	s->at.gate_asked = s->at.gate_closed = 0;
	actions_timer(out, EV_STUN_LIMIT, -1);
	actions_add(out, ACT_GATE_OPEN);
}

void source_on_ram(struct source *s, const struct event *ev, struct actions *out)
{
	if (ev->ram.remaining_bytes != s->forecast.ram_bytes)
		source_keep_quiet(ev->now_ns, out);
	take_ram(s, &ev->ram);
	if (ev->ram.pass > s->ram.pass) {
		pass_began(s, ev, out);
		if (s->state == SOURCE_FLOWING && s->cfg.gpu && !s->ram.forced)
			open_gate_again(s, ev, out);
	}
	if (s->state != SOURCE_FLOWING || !s->cfg.gpu || s->gate_asked)
		return;
	source_pace(s, ev->now_ns, out);
	close_gate_early(s, ev, out);
}

void source_on_ram_last(struct source *s, const struct event *ev, struct actions *out)
{
	(void)out;
	take_ram(s, &ev->ram);
}

void source_on_held(struct source *s, const struct event *ev, struct actions *out)
{
	s->at.held = ev->now_ns;
	take_ram(s, &ev->ram);
	s->forecast.ram_known = true;
	source_stopping_got(s, SOURCE_WAIT_HELD, ev->now_ns, out);
}
