// SPDX-License-Identifier: Apache-2.0
#include "host/migration/driver.h"
#include "host/migration/relay_process.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/vm_renew.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- life ----

struct migration *driver_new(struct host *h, enum role role, struct vm *vm, const char *id)
{
	struct migration *m = calloc(1, sizeof *m);

	if (!h->migrations)
		h->migrations = calloc(1, sizeof *h->migrations);
	if (!m || !h->migrations) {
		free(m);
		return NULL;
	}
	m->host = h;
	m->role = role;
	m->vm = vm;
	snprintf(m->vm_name, sizeof m->vm_name, "%s", vm->name);
	snprintf(m->id, sizeof m->id, "%s", id);
	m->wall_offset_ns = clock_wall_ns() - clock_now_ns();
	m->ram_fd = -1;
	m->verified = -1;
	for (unsigned i = 0; i < DRIVER_MAX_CHANNELS; i++)
		m->fds[i] = -1;
	m->next = h->migrations->list;
	h->migrations->list = m;
	vm->migration = m;
	vm_observe(vm, role == ROLE_SOURCE ? &source_vm_observer : &dest_vm_observer, m);
	return m;
}

struct migration *driver_find(struct host *h, const char *id)
{
	for (struct migration *m = h->migrations ? h->migrations->list : NULL; m; m = m->next)
		if (!m->ended && !strcmp(m->id, id))
			return m;
	return NULL;
}

void driver_detach(struct migration *m)
{
	source_poll_stop(m);
	if (m->vm && m->vm->migration == m) {
		m->vm->migration = NULL;
		vm_observe(m->vm, NULL, NULL);
		vm_renew_look(m->vm);
	}
	m->vm = NULL;
}

static void drop_held(struct migration *m)
{
	while (m->held) {
		struct held *x = m->held;
		m->held = x->next;
		fault_forget(m->host, x);
		free(x);
	}
}

void driver_free(struct migration *m)
{
	for (struct migration **p = &m->host->migrations->list; *p; p = &(*p)->next)
		if (*p == m) {
			*p = m->next;
			break;
		}
	driver_detach(m);
	call_forget_all(m);
	source_forget_openings(m);
	drop_held(m);
	for (unsigned t = 0; t < EV_COUNT; t++)
		watch_remove(m->timers[t].watch);
	watch_remove(m->sweep);
	watch_remove(m->frozen_timer);
	watch_remove(m->settle);
	watch_remove(m->resume.timer);
	watch_remove(m->resume.gpu_timer);
	peer_free(m->peer);
	peer_free(m->asking);
	relay_forget(m->relay);
	for (unsigned i = 0; i < DRIVER_MAX_CHANNELS; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	if (m->ram_fd >= 0)
		close(m->ram_fd);
	json_decref(m->config);
	json_decref(m->peer_keys);
	json_decref(m->estimate);
	free(m);
}

static void on_sweep(void *arg)
{
	driver_free(arg);
}

void driver_end(struct migration *m)
{
	if (m->ended)
		return;
	driver_detach(m);
	call_forget_all(m);
	m->ended = true;
	m->sweep = loop_timer(m->host->loop, clock_now_ns(), on_sweep, m);
}

struct driver_handle {
	struct host *host;
	char id[ENGINE_ID_SIZE];
};

struct driver_handle *driver_handle_new(struct migration *m)
{
	struct driver_handle *x = calloc(1, sizeof *x);

	if (x) {
		x->host = m->host;
		memcpy(x->id, m->id, sizeof x->id);
	}
	return x;
}

struct migration *driver_handle_take(struct driver_handle *x)
{
	struct migration *m = x ? driver_find(x->host, x->id) : NULL;

	free(x);
	return m;
}

int64_t driver_wall(const struct migration *m, int64_t monotonic_ns)
{
	return monotonic_ns + m->wall_offset_ns;
}

// ---- timers ----

static void on_timer(void *arg)
{
	struct driver_timer *t = arg;

	driver_feed_type(t->m, t->event);
}

static void set_timer(struct migration *m, enum event_type event, int64_t at_ns)
{
	struct driver_timer *t = &m->timers[event];

	if (t->watch) {
		watch_set_timer(t->watch, at_ns);
		return;
	}
	if (at_ns < 0)
		return;
	t->m = m;
	t->event = event;
	t->watch = loop_timer(m->host->loop, at_ns, on_timer, t);
}

// ---- actions that both sides have ----

static void log_state(struct migration *m, const struct action *a)
{
	const char *side = m->role == ROLE_SOURCE ? "source" : "destination";

	if (m->vm) // its log goes to the daemon's as well
		vm_log(m->vm, "migration %.8s, %s: %s -> %s (%s)", m->id, side, a->state.from,
			a->state.to, a->state.reason);
	else
		log_info("migration %.8s, %s: %s -> %s (%s)", m->id, side, a->state.from,
			a->state.to, a->state.reason);
	if (m->role == ROLE_SOURCE)
		result_progress(m, json_pack("{ss}", "phase", a->state.to));
}

void driver_write_record(struct migration *m, const struct action *a)
{
	struct record r = { .epoch = a->write.epoch,
		.source = m->role == ROLE_SOURCE,
		.state = a->write.record,
		.config = m->config };
	struct event ev = { .type = EV_RECORD_WRITTEN, .record = a->write.record };
	struct ferry_error e = FERRY_ERROR_INIT;

	snprintf(r.vm, sizeof r.vm, "%s", m->vm_name);
	snprintf(r.peer, sizeof r.peer, "%s", m->peer_name);
	memcpy(r.migration, m->id, sizeof r.migration);
	if (record_write(&r, &e) < 0) {
		log_error("migration %.8s: %s", m->id, e.message);
		ev.type = EV_RECORD_FAILED;
	}
	const char *fault = r.state == RECORD_COMMITTED ? "source.committed"
			    : r.state == RECORD_SEALED  ? "dest.sealed"
							: NULL;
	if (fault && ev.type == EV_RECORD_WRITTEN)
		driver_feed_at(m, fault, &ev);
	else
		driver_feed(m, &ev);
}

static void freeze_vm(struct migration *m)
{
	log_error("migration %.8s: the VM runs here and must not: stopping it", m->id);
	if (m->vm)
		host_event(m->host, m->vm, "migration.violation", NULL);
	call_qemu(m, "stop", NULL, 0, NULL);
}

static void act(struct migration *m, const struct action *a)
{
	switch (a->type) {
	case ACT_STATE:
		log_state(m, a);
		return;
	case ACT_ILLEGAL:
		log_warn("migration %.8s: unexpected %s in state %s", m->id, event_name(a->event),
			m->role == ROLE_SOURCE ? source_state_name(m->source.state)
					       : dest_state_name(m->dest.state));
		return;
	case ACT_TIMER:
		set_timer(m, a->timer.event, a->timer.at_ns);
		return;
	case ACT_FREEZE_VM:
		freeze_vm(m);
		return;
	default:
		if (m->role == ROLE_SOURCE)
			source_act(m, a);
		else
			dest_act(m, a);
	}
}

static void carry_out(struct migration *m, const struct actions *out)
{
	for (unsigned i = 0; i < out->n && !m->ended; i++)
		act(m, &out->list[i]);
}

// ---- events ----

static void step_all(struct migration *m)
{
	while (m->queued && !m->ended) {
		struct event next = m->queue[0];
		struct actions out = { .n = 0 };
		enum dest_state before = m->dest.state;
		memmove(m->queue, m->queue + 1, --m->queued * sizeof next);
		next.now_ns = clock_now_ns();
		if (m->role == ROLE_SOURCE)
			source_step(&m->source, &next, &out);
		else
			dest_step(&m->dest, &next, &out);
		carry_out(m, &out);
		if (m->role == ROLE_DEST && !m->ended)
			dest_stepped(m, before);
	}
}

void driver_feed(struct migration *m, const struct event *ev)
{
	if (m->ended || !m->begun)
		return;
	if (m->queued == DRIVER_QUEUE) {
		log_error("migration %.8s: too many events at once; '%s' is dropped", m->id,
			event_name(ev->type));
		return;
	}
	m->queue[m->queued++] = *ev;
	if (m->stepping)
		return;
	m->stepping = true;
	step_all(m);
	m->stepping = false;
}

void driver_carry_out(struct migration *m, const struct actions *out)
{
	m->stepping = true;
	carry_out(m, out);
	step_all(m);
	m->stepping = false;
}

void driver_feed_type(struct migration *m, enum event_type type)
{
	struct event ev = { .type = type };

	driver_feed(m, &ev);
}

void driver_feed_error(struct migration *m, enum event_type type, const struct ferry_error *e)
{
	struct event ev = { .type = type, .error = *e };

	driver_feed(m, &ev);
}

// ---- fault points ----

// A held action is only still good in the state that asked for it.
static bool still_wanted(const struct migration *m, const struct action *a)
{
	if (a->type == ACT_WRITE_RECORD && m->role == ROLE_DEST)
		return m->dest.writing == a->write.record &&
		       m->dest.state ==
			       (a->write.record == RECORD_SEALED ? DEST_SEALING : DEST_OWNING);
	if (a->type == ACT_CONT)
		return m->dest.state == DEST_RESUMING;
	if (a->type == ACT_VM_CONTINUE)
		return m->source.state == SOURCE_HANDOVER;
	return true;
}

static void fail_action(struct migration *m, const struct action *a, const struct ferry_error *e)
{
	struct event ev = { .type = EV_FAILED, .error = *e };

	if (a->type == ACT_WRITE_RECORD) {
		ev = (struct event){ .type = EV_RECORD_FAILED, .record = a->write.record };
	} else if (a->type == ACT_CONT) {
		ev.type = EV_CONT_REFUSED;
	}
	driver_feed(m, &ev);
}

static void fail_event(struct migration *m, const struct event *ev, const struct ferry_error *e)
{
	struct event failed = { .type = EV_FAILED, .error = *e };

	if (ev->type == EV_RECORD_WRITTEN)
		failed = (struct event){ .type = EV_RECORD_FAILED, .record = ev->record };
	driver_feed(m, &failed);
}

static void passed(void *arg, const struct ferry_error *e)
{
	struct held *x = arg;
	struct migration *m = x->m;

	for (struct held **p = &m->held; *p; p = &(*p)->next)
		if (*p == x) {
			*p = x->next;
			break;
		}
	struct held it = *x;
	free(x);
	if (m->ended)
		return;
	if (it.is_action && e)
		fail_action(m, &it.action, e);
	else if (it.is_action && still_wanted(m, &it.action))
		m->role == ROLE_SOURCE ? source_act_now(m, &it.action)
				       : dest_act_now(m, &it.action);
	else if (!it.is_action && e)
		fail_event(m, &it.ev, e);
	else if (!it.is_action)
		driver_feed(m, &it.ev);
}

static struct held *hold(struct migration *m)
{
	struct held *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->m = m;
	x->next = m->held;
	m->held = x;
	return x;
}

void driver_feed_at(struct migration *m, const char *fault, const struct event *ev)
{
	struct held *x = hold(m);

	if (!x) {
		driver_feed(m, ev);
		return;
	}
	x->ev = *ev;
	fault_reached(m->host, fault, passed, x);
}

void driver_act_at(struct migration *m, const char *fault, const struct action *a)
{
	struct held *x = hold(m);

	if (!x) {
		struct ferry_error e = FERRY_ERROR_INIT;
		ferry_fail(&e, ENOMEM, "no-memory", "out of memory");
		fail_action(m, a, &e);
		return;
	}
	x->is_action = true;
	x->action = *a;
	fault_reached(m->host, fault, passed, x);
}
