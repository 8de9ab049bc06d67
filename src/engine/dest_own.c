// SPDX-License-Identifier: Apache-2.0
// The destination from SEALED: it asks, then owns and runs, or renounces for ever.
#include "engine/dest_impl.h"

#include <errno.h>
#include <string.h>

void dest_write(struct dest *d, enum record_state r, struct actions *out)
{
	struct action *a = actions_add(out, ACT_WRITE_RECORD);

	a->write.record = r;
	a->write.epoch = d->cfg.epoch;
	d->writing = r;
}

void dest_on_sealed(struct dest *d, const struct event *ev, struct actions *out)
{
	d->at.sealed = ev->now_ns;
	dest_go(d, DEST_SEALED, "record sealed", out);
	if (d->link_up)
		actions_add(out, ACT_SEND_SEALED);
	actions_timer(out, EV_ASK_DUE, ev->now_ns + DEST_ASK_NS);
}

void dest_on_ask(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)d;
	actions_add(out, ACT_ASK);
	actions_timer(out, EV_ASK_DUE, ev->now_ns + DEST_ASK_NS);
}

void dest_on_link_lost(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)ev, (void)out;
	d->link_up = false;
	d->asked = false; // whoever waited is gone
}

void dest_on_link_up(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)ev, (void)out;
	d->link_up = true;
}

static void own(struct dest *d, const char *reason, int64_t now_ns, struct actions *out)
{
	d->at.committed = now_ns;
	dest_go(d, DEST_OWNING, reason, out);
	actions_timer(out, EV_ASK_DUE, -1);
	dest_write(d, RECORD_OWNED, out);
}

static bool same(const struct dest *d, const struct event *ev)
{
	return !strcmp(ev->decision.migration, d->cfg.id) && ev->decision.epoch == d->cfg.epoch;
}

void dest_on_committed(struct dest *d, const struct event *ev, struct actions *out)
{
	if (!same(d, ev)) {
		actions_add(out, ACT_REFUSE_COMMITTED);
		return;
	}
	d->asked = true;
	own(d, "committed by the source", ev->now_ns, out);
}

void dest_on_run_here(struct dest *d, const struct event *ev, struct actions *out)
{
	own(d, "a person decided", ev->now_ns, out);
}

static void answer(struct dest *d, enum answer a, struct actions *out)
{
	if (d->asked)
		actions_add(out, ACT_ANSWER_COMMITTED)->answer = a;
	d->asked = false;
}

// Asked again: at once where the answer is known, else when it is.
void dest_on_committed_again(struct dest *d, const struct event *ev, struct actions *out)
{
	if (!same(d, ev)) {
		actions_add(out, ACT_REFUSE_COMMITTED);
		return;
	}
	d->asked = true;
	if (d->state == DEST_RUNNING)
		answer(d, ANSWER_RUNNING, out);
	else if (d->state == DEST_PENDING)
		answer(d, ANSWER_PENDING, out);
	else if (d->state == DEST_NEVER_RAN)
		answer(d, ANSWER_NEVER_RAN, out);
	else if (d->state == DEST_LOST)
		answer(d, ANSWER_LOST, out);
}

// While we still look at what a restart left: the source asks again.
void dest_on_committed_early(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)d, (void)ev;
	actions_add(out, ACT_ANSWER_COMMITTED)->answer = ANSWER_PENDING;
}

static void resume(struct dest *d, const char *reason, struct actions *out)
{
	dest_go(d, DEST_RESUMING, reason, out);
	actions_add(out, ACT_CONT);
}

static void take(struct dest *d, const char *reason, struct actions *out)
{
	if (!d->cfg.gpu) {
		resume(d, reason, out);
		return;
	}
	dest_go(d, DEST_TAKING, reason, out);
	actions_add(out, ACT_OWN_GPU);
}

void dest_on_owned(struct dest *d, const struct event *ev, struct actions *out)
{
	d->at.owned = ev->now_ns;
	take(d, "record owned", out);
}

void dest_on_gpu_owned(struct dest *d, const struct event *ev, struct actions *out)
{
	d->at.gpu_owned = ev->now_ns;
	resume(d, "vGPU owned", out);
}

void dest_on_runs(struct dest *d, const struct event *ev, struct actions *out)
{
	d->at.running = ev->now_ns;
	d->reason = FERRY_ERROR_INIT;
	dest_go(d, DEST_RUNNING, "the VM runs", out);
	answer(d, ANSWER_RUNNING, out);
}

void dest_on_refused(struct dest *d, const struct event *ev, struct actions *out)
{
	d->reason = ev->error;
	dest_go(d, DEST_PENDING, "the VM would not run", out);
	actions_timer(out, EV_CONT_DUE, ev->now_ns + DEST_CONT_NS);
	answer(d, ANSWER_PENDING, out);
}

void dest_on_cont_due(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)ev;
	resume(d, "tried again", out);
}

void dest_on_retry_record(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)d;
	actions_timer(out, EV_CONT_DUE, ev->now_ns + DEST_CONT_NS);
}

void dest_on_write_again(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)ev;
	dest_write(d, d->writing, out);
}

void dest_on_renounce(struct dest *d, const struct event *ev, struct actions *out)
{
	ferry_fail(&d->reason, ESRCH, "never-ran", "the copy was lost before the VM could run: %s",
		event_name(ev->type));
	dest_go(d, DEST_RENOUNCING, event_name(ev->type), out);
	actions_timer(out, EV_ASK_DUE, -1);
	actions_timer(out, EV_CONT_DUE, -1);
	dest_write(d, RECORD_NEVER_RAN, out);
}

void dest_on_renounced(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)ev;
	dest_go(d, DEST_NEVER_RAN, "record never-ran", out);
	if (d->link_up)
		actions_add(out, ACT_SEND_FAILED);
	answer(d, ANSWER_NEVER_RAN, out);
	actions_add(out, ACT_DISCARD);
}

// Told to run and gone before it said so: nobody can know.
void dest_on_lost(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)ev;
	ferry_fail(&d->reason, ESRCH, "vm-died", "the VM died as it was started");
	dest_go(d, DEST_LOST, "the VM died as it was started", out);
	answer(d, ANSWER_LOST, out);
}

void dest_on_found_running(struct dest *d, const struct event *ev, struct actions *out)
{
	if (!d->owner) { // sealed, and yet it runs: somebody else told it to
		actions_add(out, ACT_FREEZE_VM);
		actions_add(out, ACT_INSPECT);
		return;
	}
	d->at.running = ev->now_ns;
	dest_go(d, DEST_RUNNING, "found running", out);
}

void dest_on_found_paused(struct dest *d, const struct event *ev, struct actions *out)
{
	if (d->owner) {
		take(d, "found paused", out);
		return;
	}
	dest_go(d, DEST_SEALED, "found sealed", out);
	actions_add(out, ACT_ASK);
	actions_timer(out, EV_ASK_DUE, ev->now_ns + DEST_ASK_NS);
}

void dest_on_found_gone(struct dest *d, const struct event *ev, struct actions *out)
{
	if (!d->owner) {
		dest_on_renounce(d, ev, out);
		return;
	}
	ferry_fail(&d->reason, ESRCH, "vm-died", "the VM was ours and its process is gone");
	dest_go(d, DEST_LOST, "found gone", out);
}
