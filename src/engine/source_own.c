// SPDX-License-Identifier: Apache-2.0
// The source's ownership: the durable record, what follows COMMITTED, and the way back.
#include "engine/source_impl.h"

#include <errno.h>
#include <string.h>

void source_write(
	struct source *s, enum record_state r, uint64_t epoch, int64_t now_ns, struct actions *out)
{
	struct action *a = actions_add(out, ACT_WRITE_RECORD);

	a->write.record = r;
	a->write.epoch = epoch;
	s->writing = r;
	s->writing_epoch = epoch;
	s->recording_ns = now_ns;
}

static enum outcome outcome_of(const struct ferry_error *why)
{
	static const char *const orderly[] = { "cancelled", "not-converging", "stun-limit" };

	for (unsigned i = 0; i < sizeof orderly / sizeof orderly[0]; i++)
		if (!strcmp(why->code, orderly[i]))
			return OUTCOME_ABORTED;
	return OUTCOME_FAILED;
}

void source_abort(
	struct source *s, const struct ferry_error *why, int64_t now_ns, struct actions *out)
{
	s->reason = *why;
	s->phase = source_state_name(s->state);
	s->outcome = outcome_of(why);
	source_go(s, SOURCE_ABORTING, s->reason.code, out);
	source_write(s, RECORD_ABORTED, s->cfg.epoch, now_ns, out);
}

static void describe(const struct source *s, const struct event *ev, struct ferry_error *e)
{
	switch (ev->type) {
	case EV_FAILED:
		*e = ev->error;
		if (!e->err)
			ferry_fail(e, EIO, "failed", "a step failed without saying why");
		return;
	case EV_LINK_LOST:
		ferry_fail(e, ENOTCONN, "link-lost",
			"the link to the destination broke before "
			"COMMIT");
		return;
	case EV_CANCEL:
		ferry_fail(e, ECANCELED, "cancelled", "cancelled by an operator");
		return;
	case EV_STUN_LIMIT:
		ferry_fail(e, ETIME, "stun-limit", "the stun limit of %lld ms was reached",
			(long long)(s->cfg.limit_ns / ENGINE_NSEC_MSEC));
		ferry_error_remedy(e, "raise the stun limit (--stun-limit)");
		ferry_error_remedy(e, "give the migration more bandwidth");
		return;
	case EV_STALLED:
		ferry_fail(e, ETIMEDOUT, "stalled", "nothing moved for %lld s",
			(long long)(SOURCE_STALL_NS / ENGINE_NSEC_SEC));
		return;
	case EV_VM_RESUMED:
		ferry_fail(e, EIO, "vm-resumed-by-itself",
			"the VM gave up its own migration and runs on");
		return;
	case EV_VM_GONE:
		ferry_fail(e, ESRCH, "vm-died", "the VM's process ended on the source");
		return;
	case EV_GPU_GONE:
		ferry_fail(e, ESRCH, "vgpu-died", "the vGPU's process ended on the source");
		return;
	default:
		ferry_fail(e, EIO, "record", "the migration's record could not be written");
	}
}

void source_on_abort(struct source *s, const struct event *ev, struct actions *out)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	describe(s, ev, &e);
	s->vm_gone |= ev->type == EV_VM_GONE;
	s->gpu_gone |= ev->type == EV_GPU_GONE;
	s->link_up &= ev->type != EV_LINK_LOST;
	source_abort(s, &e, ev->now_ns, out);
}

void source_on_not_committed(struct source *s, const struct event *ev, struct actions *out)
{
	// The file may say COMMITTED all the same; nobody was told. ABORTED goes over it.
	source_on_abort(s, ev, out);
}

// ABORTED must be on disk before the guest runs: after a failed COMMITTED the file may say either.
void source_on_retry_record(struct source *s, const struct event *ev, struct actions *out)
{
	(void)s;
	actions_timer(out, EV_ASK_DUE, ev->now_ns + SOURCE_ASK_NS);
}

void source_on_retry_due(struct source *s, const struct event *ev, struct actions *out)
{
	source_write(s, s->writing, s->writing_epoch, ev->now_ns, out);
}

void source_resume(struct source *s, struct actions *out)
{
	s->waits = 0;
	if (!s->vm_gone) {
		s->waits |= SOURCE_WAIT_VM;
		actions_add(out, ACT_RESUME_VM);
	}
	if (s->cfg.gpu && !s->gpu_gone) {
		s->waits |= SOURCE_WAIT_GPU;
		actions_add(out, ACT_RESUME_GPU);
	}
	actions_add(out, ACT_PEER_ABORTED);
}

static void resumed(struct source *s, int64_t now_ns, struct actions *out)
{
	if (s->waits)
		return;
	s->at.ended = now_ns;
	source_go(s, SOURCE_ABORTED, s->vm_gone ? "the VM is gone" : "the VM runs here", out);
	for (enum event_type t = 0; t < EV_COUNT; t++)
		if (t == EV_STALLED || t == EV_STUN_LIMIT || t == EV_ROUND_DUE || t == EV_ASK_DUE ||
			t == EV_ANSWER_LIMIT)
			actions_timer(out, t, -1);
	actions_add(out, ACT_OUTCOME)->outcome = s->outcome;
}

void source_on_aborted(struct source *s, const struct event *ev, struct actions *out)
{
	source_go(s, SOURCE_RESUMING, "record aborted", out);
	source_resume(s, out);
	if (s->waits == 0)
		resumed(s, ev->now_ns, out);
}

void source_on_vm_runs(struct source *s, const struct event *ev, struct actions *out)
{
	s->waits &= ~(uint32_t)SOURCE_WAIT_VM;
	resumed(s, ev->now_ns, out);
}

// A death that shows while we go back is the cause of what broke the migration (a channel, mostly).
static void name_death(struct source *s, const struct event *ev)
{
	bool going_back = s->state == SOURCE_ABORTING || s->state == SOURCE_RESUMING;

	if (!going_back || s->outcome != OUTCOME_FAILED)
		return;
	s->reason = FERRY_ERROR_INIT;
	describe(s, ev, &s->reason);
}

void source_on_vm_gone(struct source *s, const struct event *ev, struct actions *out)
{
	s->vm_gone = true;
	name_death(s, ev);
	if (s->state != SOURCE_RESUMING)
		return;
	s->waits &= ~(uint32_t)SOURCE_WAIT_VM;
	resumed(s, ev->now_ns, out);
}

void source_on_gpu_open(struct source *s, const struct event *ev, struct actions *out)
{
	s->waits &= ~(uint32_t)SOURCE_WAIT_GPU;
	resumed(s, ev->now_ns, out);
}

void source_on_gpu_gone(struct source *s, const struct event *ev, struct actions *out)
{
	s->gpu_gone = true;
	name_death(s, ev);
	if (s->state != SOURCE_RESUMING)
		return;
	s->waits &= ~(uint32_t)SOURCE_WAIT_GPU;
	resumed(s, ev->now_ns, out);
}

void source_on_committed(struct source *s, const struct event *ev, struct actions *out)
{
	s->at.committed = ev->now_ns;
	source_go(s, SOURCE_COMMITTED, "record committed", out);
	actions_timer(out, EV_STUN_LIMIT, -1);
	actions_timer(out, EV_ANSWER_LIMIT, ev->now_ns + s->cfg.answer_limit_ns);
	actions_add(out, s->link_up ? ACT_PEER_COMMITTED : ACT_PEER_CONNECT);
}

void source_on_lost_late(struct source *s, const struct event *ev, struct actions *out)
{
	s->link_up = false;
	if (s->state != SOURCE_COMMITTING)
		actions_timer(out, EV_ASK_DUE, ev->now_ns + SOURCE_ASK_NS);
}

void source_on_link_back(struct source *s, const struct event *ev, struct actions *out)
{
	(void)ev;
	s->link_up = true;
	actions_add(out, ACT_PEER_COMMITTED);
}

void source_on_ask(struct source *s, const struct event *ev, struct actions *out)
{
	(void)ev;
	actions_add(out, s->link_up ? ACT_PEER_COMMITTED : ACT_PEER_CONNECT);
}

void source_on_pending(struct source *s, const struct event *ev, struct actions *out)
{
	(void)s;
	actions_timer(out, EV_ASK_DUE, ev->now_ns + SOURCE_ASK_NS);
}

static void need_person(struct source *s, const char *code, const char *text, struct actions *out)
{
	s->reason = FERRY_ERROR_INIT;
	ferry_fail(&s->reason, EREMOTEIO, code, "%s", text);
	ferry_error_remedy(&s->reason, "bring the destination or the link back: this host keeps "
				       "asking");
	ferry_error_remedy(&s->reason, "when the VM surely does not run on the destination: "
				       "`ferry recover NAME --decision run-here`");
	s->phase = source_state_name(s->state);
	source_go(s, SOURCE_UNANSWERED, code, out);
	actions_add(out, ACT_OUTCOME)->outcome = OUTCOME_PERSON;
}

void source_on_answer_limit(struct source *s, const struct event *ev, struct actions *out)
{
	(void)ev;
	need_person(s, "no-answer",
		"the VM was given away and the destination does not say "
		"whether it runs",
		out);
}

// That answer is final: only a person can weigh what the VM may have done in its last moment.
void source_on_peer_lost(struct source *s, const struct event *ev, struct actions *out)
{
	(void)ev;
	need_person(s, "lost-on-arrival",
		"the VM died on the destination as it was started: it may have run there", out);
}

static void let_go(struct source *s, const char *reason, int64_t now_ns, struct actions *out)
{
	s->at.running = now_ns;
	source_go(s, SOURCE_RELEASING, reason, out);
	actions_timer(out, EV_ANSWER_LIMIT, -1);
	actions_timer(out, EV_ASK_DUE, -1);
	actions_add(out, ACT_RELEASE);
}

void source_on_running(struct source *s, const struct event *ev, struct actions *out)
{
	s->outcome = OUTCOME_COMPLETED;
	s->reason = FERRY_ERROR_INIT;
	let_go(s, "it runs there", ev->now_ns, out);
}

void source_on_give_up(struct source *s, const struct event *ev, struct actions *out)
{
	s->outcome = OUTCOME_FAILED;
	let_go(s, "a person gave our copy up", ev->now_ns, out);
}

void source_on_released(struct source *s, const struct event *ev, struct actions *out)
{
	s->at.ended = ev->now_ns;
	source_go(s, SOURCE_RELEASED, "our copy is gone", out);
	actions_add(out, ACT_OUTCOME)->outcome = s->outcome;
}

// The destination's refusal is durable (or a person vouches for it): a new epoch, ours.
static void reclaim(struct source *s, const char *reason, int64_t now_ns, struct actions *out)
{
	s->outcome = OUTCOME_FAILED;
	s->phase = source_state_name(s->state);
	source_go(s, SOURCE_RECLAIMING, reason, out);
	actions_timer(out, EV_ANSWER_LIMIT, -1);
	actions_timer(out, EV_ASK_DUE, -1);
	source_write(s, RECORD_ABORTED, s->cfg.epoch + 1, now_ns, out);
}

void source_on_never_ran(struct source *s, const struct event *ev, struct actions *out)
{
	s->reason = FERRY_ERROR_INIT;
	ferry_fail(&s->reason, EREMOTEIO, "never-ran",
		"the destination lost the VM before it could run there; it runs on here");
	reclaim(s, "it never ran there", ev->now_ns, out);
}

void source_on_run_here(struct source *s, const struct event *ev, struct actions *out)
{
	reclaim(s, "a person decided", ev->now_ns, out);
}
