// SPDX-License-Identifier: Apache-2.0
// The destination until SEALED: it may give everything up freely.
#include "engine/dest_impl.h"

#include <errno.h>
#include <string.h>

void dest_note(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)d, (void)ev, (void)out;
}

void dest_on_start(struct dest *d, const struct event *ev, struct actions *out)
{
	d->at.start = ev->now_ns;
	d->link_up = true;
	dest_go(d, DEST_RECORDING, "asked to prepare", out);
	dest_write(d, RECORD_INCOMING, out);
}

void dest_on_incoming(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)ev;
	dest_go(d, DEST_STARTING, "record incoming", out);
	actions_add(out, ACT_START_INCOMING);
}

void dest_on_started(struct dest *d, const struct event *ev, struct actions *out)
{
	d->at.started = ev->now_ns;
	d->waits = DEST_WAIT_LOADED | (d->cfg.gpu ? DEST_WAIT_RECEIVED : 0);
	dest_go(d, DEST_RECEIVING, "started", out);
	actions_add(out, ACT_ANSWER_PREPARED);
}

static void got(struct dest *d, uint32_t wait, struct actions *out)
{
	d->waits &= ~wait;
	if (d->waits)
		return;
	dest_go(d, DEST_SEALING, "all is here", out);
	dest_write(d, RECORD_SEALED, out);
}

void dest_on_loaded(struct dest *d, const struct event *ev, struct actions *out)
{
	d->at.loaded = ev->now_ns;
	got(d, DEST_WAIT_LOADED, out);
}

void dest_on_received(struct dest *d, const struct event *ev, struct actions *out)
{
	d->at.received = ev->now_ns;
	memcpy(d->root, ev->sealed.root, sizeof d->root);
	got(d, DEST_WAIT_RECEIVED, out);
}

static void describe(const struct event *ev, struct ferry_error *e)
{
	switch (ev->type) {
	case EV_FAILED:
		*e = ev->error;
		if (!e->err)
			ferry_fail(e, EIO, "failed", "a step failed without saying why");
		return;
	case EV_LINK_LOST:
		ferry_fail(e, ENOTCONN, "link-lost", "the link to the source broke");
		return;
	case EV_CANCEL:
		ferry_fail(e, ECANCELED, "cancelled", "cancelled on the destination");
		return;
	case EV_VM_GONE:
		ferry_fail(e, ESRCH, "vm-died", "the VM's process ended on the destination");
		return;
	case EV_GPU_GONE:
		ferry_fail(e, ESRCH, "vgpu-died", "the vGPU's process ended on the destination");
		return;
	default:
		ferry_fail(e, EIO, "record", "the destination's record could not be written");
	}
}

void dest_on_broken(struct dest *d, const struct event *ev, struct actions *out)
{
	describe(ev, &d->reason);
	d->link_up &= ev->type != EV_LINK_LOST;
	dest_go(d, DEST_DISCARDING, d->reason.code, out);
	if (d->link_up)
		actions_add(out, ACT_SEND_FAILED);
	actions_add(out, ACT_DISCARD);
}

void dest_on_aborted(struct dest *d, const struct event *ev, struct actions *out)
{
	if (strcmp(ev->decision.migration, d->cfg.id))
		return;
	ferry_fail(&d->reason, ECANCELED, "aborted", "the source keeps the VM");
	dest_go(d, DEST_DISCARDING, "aborted by the source", out);
	actions_timer(out, EV_ASK_DUE, -1);
	actions_add(out, ACT_DISCARD);
}

void dest_on_discarded(struct dest *d, const struct event *ev, struct actions *out)
{
	(void)ev;
	dest_go(d, DEST_DISCARDED, "nothing is left", out);
}
