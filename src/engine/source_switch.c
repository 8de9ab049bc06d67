// SPDX-License-Identifier: Apache-2.0
// The source in the stun: gate, ports, last pages and the VM's last part, SEALED.
#include "engine/source_impl.h"

#include <errno.h>
#include <string.h>

bool source_got(struct source *s, uint32_t wait)
{
	s->waits &= ~wait;
	return s->waits == 0;
}

// What is forecast for the whole stun now: what has passed, and the rest. Aborts over the limit.
static bool fits_limit(struct source *s, int64_t now_ns, struct actions *out)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int64_t forecast = source_forecast(s), rest = forecast_sure_ns(&s->forecast);
	int64_t passed = now_ns - s->at.stopped;

	if (forecast <= s->cfg.limit_ns) // else too little is known of the link, or it is refused
		s->forecast_at_switch_ns = passed + forecast;
	if (passed + rest <= s->cfg.limit_ns)
		return true;
	ferry_fail(&e, ETIME, "stun-limit",
		"the guest is stopped and the rest would take %lld ms, the limit is %lld ms",
		(long long)(rest / ENGINE_NSEC_MSEC),
		(long long)(s->cfg.limit_ns / ENGINE_NSEC_MSEC));
	ferry_error_remedy(&e, "raise the stun limit (--stun-limit)");
	ferry_error_remedy(&e, "give the migration more bandwidth, or migrate while the workload "
			       "writes less");
	source_abort(s, &e, now_ns, out);
	return false;
}

static void hand_over(struct source *s, int64_t now_ns, struct actions *out)
{
	s->forecast.drain_ns = 0;
	if (!fits_limit(s, now_ns, out))
		return;
	source_go(s, SOURCE_HANDOVER, "drained", out);
	s->at.continued = now_ns;
	s->waits = SOURCE_WAIT_COMPLETED | SOURCE_WAIT_SEALED;
	if (s->cfg.gpu)
		s->waits |= SOURCE_WAIT_FINAL;
	source_share(s, out);
	actions_add(out, ACT_PEER_SWITCH);
	actions_add(out, ACT_VM_CONTINUE);
	if (!s->cfg.gpu)
		return;
	actions_add(out, ACT_FINAL);
}

void source_stopping_got(struct source *s, uint32_t wait, int64_t now_ns, struct actions *out)
{
	if (!source_got(s, wait))
		return;
	if (!s->cfg.gpu) {
		hand_over(s, now_ns, out);
		return;
	}
	source_go(s, SOURCE_DRAINING, "gate closed", out);
	actions_add(out, ACT_PORTS_DRAIN);
}

void source_on_gate(struct source *s, const struct event *ev, struct actions *out)
{
	s->at.gate_closed = ev->now_ns;
	s->drain_ns = ev->drain_ns;
	source_stopping_got(s, SOURCE_WAIT_GATE, ev->now_ns, out);
}

void source_on_ports(struct source *s, const struct event *ev, struct actions *out)
{
	s->at.drained = ev->now_ns;
	hand_over(s, ev->now_ns, out);
}

static void commit(struct source *s, int64_t now_ns, struct actions *out)
{
	s->at.commit_asked = now_ns;
	source_go(s, SOURCE_COMMITTING, "completed here and sealed there", out);
	source_write(s, RECORD_COMMITTED, s->cfg.epoch, now_ns, out);
}

static void handed_over(struct source *s, int64_t now_ns, struct actions *out)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (strcmp(s->final.root, s->sealed_root)) {
		ferry_fail(&e, EBADMSG, "root-mismatch",
			"the destination sealed other pages than were sent (root %.32s, sent "
			"%.32s)",
			s->sealed_root, s->final.root);
		source_abort(s, &e, now_ns, out);
		return;
	}
	if (s->cfg.verify && s->cfg.gpu) {
		source_go(s, SOURCE_VERIFYING, "sealed", out);
		actions_add(out, ACT_VERIFY);
		return;
	}
	commit(s, now_ns, out);
}

void source_on_final(struct source *s, const struct event *ev, struct actions *out)
{
	s->at.final_done = ev->now_ns;
	s->final = ev->final;
	if (source_got(s, SOURCE_WAIT_FINAL))
		handed_over(s, ev->now_ns, out);
	else
		source_share(s, out);
}

void source_on_completed(struct source *s, const struct event *ev, struct actions *out)
{
	s->at.completed = ev->now_ns;
	if (source_got(s, SOURCE_WAIT_COMPLETED))
		handed_over(s, ev->now_ns, out);
	else
		source_share(s, out);
}

void source_on_sealed(struct source *s, const struct event *ev, struct actions *out)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (strcmp(ev->sealed.migration, s->cfg.id)) {
		ferry_fail(&e, EBADMSG, "wrong-migration",
			"the destination sealed another migration (%.32s)", ev->sealed.migration);
		source_abort(s, &e, ev->now_ns, out);
		return;
	}
	s->at.sealed = ev->now_ns;
	memcpy(s->sealed_root, ev->sealed.root, sizeof s->sealed_root);
	if (source_got(s, SOURCE_WAIT_SEALED))
		handed_over(s, ev->now_ns, out);
}

void source_on_verified(struct source *s, const struct event *ev, struct actions *out)
{
	s->at.verified = ev->now_ns;
	s->verify_ns = ev->now_ns - s->at.sealed;
	commit(s, ev->now_ns, out);
}
