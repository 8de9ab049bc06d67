// SPDX-License-Identifier: Apache-2.0
// The destination's actions.
#include "host/migration/driver.h"
#include "host/migration/relay_process.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

#define RETRY_NS  (100 * NSEC_PER_MSEC)
#define SETTLE_NS (200 * NSEC_PER_MSEC)

static void set_state(struct migration *m, enum vm_state to, const char *owner, const char *reason)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (m->vm->state != to && vm_set_state(m->vm, to, m->epoch, owner, reason, &e) < 0)
		log_error("VM %s: %s", m->vm->name, e.message);
}

static void call_decided(struct migration *m, struct vm *vm)
{
	vm_done_fn fn = m->decided;

	m->decided = NULL;
	if (fn)
		fn(m->decided_arg, vm, NULL);
}

// ---- discarding ----

static void on_discarded(void *arg, struct vm *vm, const struct ferry_error *e)
{
	struct migration *m = driver_handle_take(arg);
	struct ferry_error why = FERRY_ERROR_INIT;

	(void)vm;
	if (!m)
		return;
	if (e)
		log_error("migration %.8s: %s", m->id, e->message);
	// NEVER_RAN stays, to answer the source whenever it asks.
	if (m->dest.state != DEST_NEVER_RAN && record_remove(m->vm_name, &why) < 0)
		log_error("migration %.8s: %s", m->id, why.message);
	driver_feed_type(m, EV_DISCARDED);
	call_decided(m, NULL);
	driver_end(m);
}

static void discard(struct migration *m)
{
	struct vm *vm = m->vm;

	relay_end(m->relay);
	m->relay = NULL;
	if (!vm) {
		on_discarded(driver_handle_new(m), NULL, NULL);
		return;
	}
	driver_detach(m);
	vm_discard(vm, m->peer_name, m->dest.reason.code, on_discarded, driver_handle_new(m));
}

// ---- owning ----

static void gpu_again(void *arg)
{
	struct migration *m = arg;
	struct action a = { .type = ACT_OWN_GPU };

	dest_act_now(m, &a);
}

static void later(struct migration *m, struct watch **timer, loop_fn fn)
{
	int64_t at = clock_now_ns() + RETRY_NS;

	if (*timer)
		watch_set_timer(*timer, at);
	else
		*timer = loop_timer(m->host->loop, at, fn, m);
}

static void on_owned(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e) {
		log_warn("migration %.8s: the vGPU cannot be owned yet: %s", m->id, e->message);
		later(m, &m->resume.gpu_timer, gpu_again);
		return;
	}
	m->gate_open_ns = clock_wall_ns();
	driver_feed_type(m, EV_GPU_OWNED);
}

// It may be ours already, from before a restart.
static void on_status(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	if (!e && !strcmp(json_string_or(ok, "state", ""), "active"))
		on_owned(m, ok, NULL);
	else if (!e)
		call_gpu(m, "own", NULL, NULL, 0, on_owned);
	else
		on_owned(m, NULL, e);
}

static void own_gpu(struct migration *m)
{
	if (m->vm && m->vm->vgpus[0].process.pid)
		call_gpu(m, "status", NULL, NULL, 0, on_status);
}

static void on_runs(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct ferry_error why = FERRY_ERROR_INIT;
	const char *status = ok ? json_string_or(ok, "status", "") : "";

	if (!e && !strcmp(status, "running")) {
		if (!m->resume_at_ns) // its event was lost with a connection
			m->resume_at_ns = clock_wall_ns();
		driver_feed_type(m, EV_VM_RESUMED);
		return;
	}
	ferry_fail(&why, EBUSY, "cont-refused", "QEMU does not run: %s", e ? e->message : status);
	driver_feed_error(m, EV_CONT_REFUSED, &why);
}

static void on_cont(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e)
		driver_feed_error(m, EV_CONT_REFUSED, e);
	else
		call_qemu(m, "query-status", NULL, 0, on_runs);
}

// ---- after a restart ----

static void inspect(void *arg);

static void on_inspected(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	const char *status = ok ? json_string_or(ok, "status", "") : "";

	if (e)
		later(m, &m->resume.timer, inspect);
	else
		driver_feed_type(m, !strcmp(status, "running") ? EV_VM_RESUMED : EV_VM_LOADED);
}

static void inspect(void *arg)
{
	struct migration *m = arg;

	if (!m->vm)
		return;
	if (!m->vm->qemu.pid || (m->dest.cfg.gpu && !m->vm->vgpus[0].process.pid)) {
		driver_feed_type(m, EV_VM_GONE);
		return;
	}
	if (!m->vm->qmp || !qmp_ready(m->vm->qmp))
		later(m, &m->resume.timer, inspect);
	else
		call_qemu(m, "query-status", NULL, 0, on_inspected);
}

// ---- messages ----

static void send_event(struct migration *m, const char *event, json_t *message)
{
	if (m->peer && m->peer_ready)
		link_event(peer_link(m->peer), event, message);
	else
		json_decref(message);
}

static void send_sealed(struct migration *m)
{
	json_t *roots = json_array();

	if (m->dest.root[0])
		json_array_append_new(roots, json_string(m->dest.root));
	send_event(m, "sealed",
		json_pack("{ss so sf}", "migration", m->id, "roots", roots, "ms",
			(double)(m->dest.at.sealed - m->dest.at.start) / 1e6));
}

static void send_failed(struct migration *m)
{
	send_event(m, "failed",
		json_pack("{ss so}", "migration", m->id, "error",
			ferry_error_to_json(&m->dest.reason)));
}

static void answer_prepared(struct migration *m)
{
	char token[2 * DRIVER_TOKEN_BYTES + 1];
	json_t *keys = json_array();

	for (unsigned i = 0; i < DRIVER_TOKEN_BYTES; i++)
		snprintf(token + 2 * i, 3, "%02x", m->token[i]);
	for (unsigned i = 0; m->vm && i < m->vm->n_vgpus; i++)
		json_array_append_new(keys, json_string(m->vm->vgpus[i].device.key));
	if (m->prepare_request && m->peer_ready)
		link_answer(peer_link(m->peer), m->prepare_request,
			json_pack("{ss so}", "token", token, "vgpu_keys", keys));
	else
		json_decref(keys);
	m->prepare_request = 0;
}

static void answer_committed(struct migration *m, enum answer a)
{
	double ms = (double)(m->dest.at.running - m->dest.at.committed) / 1e6;

	if (!m->commit_request || !m->peer_ready)
		return;
	link_answer(peer_link(m->peer), m->commit_request,
		json_pack("{ss sI sI sf}", "state", answer_name(a), "resume_at_ns",
			(json_int_t)m->resume_at_ns, "gate_open_at_ns", (json_int_t)m->gate_open_ns,
			"resume_ms", m->dest.at.committed && ms > 0 ? ms : 0.0));
	m->commit_request = 0;
}

static void refuse_committed(struct migration *m)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (!m->commit_request || !m->peer_ready)
		return;
	ferry_fail(&e, EINVAL, "not-sealed", "migration %.8s cannot be committed here: %s", m->id,
		dest_state_name(m->dest.state));
	link_refuse(peer_link(m->peer), m->commit_request, &e);
	m->commit_request = 0;
}

// ---- states ----

// A source that lost our answer asks again; from now on the record answers it (answers.c).
static void running(struct migration *m)
{
	struct record r = { .epoch = m->epoch,
		.state = RECORD_OWNED,
		.finished = true,
		.resume_at_ns = m->resume_at_ns,
		.gate_open_ns = m->gate_open_ns,
		.config = m->config };
	struct ferry_error e = FERRY_ERROR_INIT;
	struct vm *vm = m->vm;

	m->settle = watch_remove(m->settle);
	set_state(m, VM_SEALED, NULL, "sealed");
	set_state(m, VM_RUNNING, m->host->config.host, "arrived");
	snprintf(r.vm, sizeof r.vm, "%s", m->vm_name);
	snprintf(r.peer, sizeof r.peer, "%s", m->peer_name);
	memcpy(r.migration, m->id, sizeof r.migration);
	if (record_write(&r, &e) < 0)
		log_warn("migration %.8s: %s; it will be looked at again after a restart", m->id,
			e.message);
	relay_end(m->relay);
	m->relay = NULL;
	driver_detach(m);
	call_decided(m, vm);
	if (!m->peer)
		driver_end(m);
}

static void on_settle(void *arg)
{
	struct migration *m = arg;

	if (m->vm && m->dest.state >= DEST_SEALED && m->dest.state <= DEST_PENDING)
		set_state(m, VM_SEALED, NULL, "sealed");
}

static void follow_state(struct migration *m)
{
	switch (m->dest.state) {
	case DEST_SEALED: // the record says so already; the inventory costs time that the guest feels
		if (!m->settle)
			m->settle =
				loop_timer(m->host->loop, clock_now_ns() + SETTLE_NS, on_settle, m);
		return;
	case DEST_RUNNING:
		running(m);
		return;
	case DEST_LOST:
		set_state(m, VM_SEALED, NULL, "sealed");
		set_state(m, VM_UNKNOWN, NULL, m->dest.reason.message);
		return;
	default:
		return;
	}
}

void dest_act_now(struct migration *m, const struct action *a)
{
	switch (a->type) {
	case ACT_WRITE_RECORD:
		driver_write_record(m, a);
		return;
	case ACT_START_INCOMING:
		dest_start(m);
		return;
	case ACT_ANSWER_PREPARED:
		answer_prepared(m);
		return;
	case ACT_SEND_SEALED:
		send_sealed(m);
		return;
	case ACT_SEND_FAILED:
		send_failed(m);
		return;
	case ACT_OWN_GPU:
		own_gpu(m);
		return;
	case ACT_CONT:
		call_qemu(m, "cont", NULL, 0, on_cont);
		return;
	case ACT_ASK:
		dest_ask(m);
		return;
	case ACT_ANSWER_COMMITTED:
		answer_committed(m, a->answer);
		return;
	case ACT_REFUSE_COMMITTED:
		refuse_committed(m);
		return;
	case ACT_INSPECT:
		inspect(m);
		return;
	case ACT_DISCARD:
		discard(m);
		return;
	default:
		log_error("migration %.8s: no way to %s", m->id, action_name(a->type));
	}
}

void dest_act(struct migration *m, const struct action *a)
{
	if (a->type == ACT_WRITE_RECORD && a->write.record == RECORD_SEALED)
		driver_act_at(m, "dest.before-sealed", a);
	else if (a->type == ACT_WRITE_RECORD && a->write.record == RECORD_OWNED)
		driver_act_at(m, "dest.before-owned", a);
	else if (a->type == ACT_CONT)
		driver_act_at(m, "dest.before-cont", a);
	else
		dest_act_now(m, a);
}

void dest_stepped(struct migration *m, enum dest_state before)
{
	if (m->dest.state != before && m->vm)
		follow_state(m);
}
