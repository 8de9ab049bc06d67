// SPDX-License-Identifier: Apache-2.0
// The source's actions, and the life of a migration away from here.
#include "host/migration/driver.h"
#include "host/migration/relay_process.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/settings.h"
#include "host/vm_renew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// What QEMU may use of the stun for its RAM: half the target, so that drain, vGPU and handshakes
// have the other half; never below what QEMU needs at all.
#define RAM_BUDGET_MIN_MS 20
#define RAM_BUDGET_MAX_MS 2000
#define ANSWER_LIMIT_NS   (30 * NSEC_PER_SEC)
#define DEVICE_MIN_NS     (5 * NSEC_PER_MSEC)

static void on_killed(void *arg, struct vm *vm, const struct ferry_error *e)
{
	struct migration *m = driver_handle_take(arg);
	struct ferry_error why = FERRY_ERROR_INIT;

	(void)e;
	if (!m)
		return;
	if (vm_set_state(vm, VM_RELEASED, m->epoch, m->peer_name, "migrated", &why) < 0)
		log_error("VM %s: %s", vm->name, why.message);
	driver_feed_type(m, EV_RELEASED);
}

static void release(struct migration *m)
{
	source_poll_stop(m);
	relay_end(m->relay);
	m->relay = NULL;
	vm_kill(m->vm, on_killed, driver_handle_new(m));
}

// The record stays, to answer the other side's questions; a restart has nothing to do for it.
static void mark_finished(struct migration *m)
{
	struct record r = { .epoch = m->source.writing_epoch,
		.source = true,
		.state = m->source.writing,
		.finished = true,
		.config = m->config };
	struct ferry_error e = FERRY_ERROR_INIT;

	snprintf(r.vm, sizeof r.vm, "%s", m->vm_name);
	snprintf(r.peer, sizeof r.peer, "%s", m->peer_name);
	memcpy(r.migration, m->id, sizeof r.migration);
	if (record_write(&r, &e) < 0)
		log_warn("migration %.8s: %s; it will be looked at again after a restart", m->id,
			e.message);
}

static void call_decided(struct migration *m)
{
	vm_done_fn fn = m->decided;

	m->decided = NULL;
	if (fn)
		fn(m->decided_arg, m->vm, NULL);
}

static void set_state(struct migration *m, enum vm_state to, uint64_t epoch, const char *owner,
	const char *reason)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (m->vm->state != to && vm_set_state(m->vm, to, epoch, owner, reason, &e) < 0)
		log_error("VM %s: %s", m->vm->name, e.message);
}

static void on_dead(void *arg, struct vm *vm, const struct ferry_error *e)
{
	struct ferry_error why = FERRY_ERROR_INIT;

	(void)arg, (void)e;
	if (vm_set_state(vm, VM_STOPPED, vm->epoch, NULL, "its process ended", &why) < 0)
		log_error("VM %s: %s", vm->name, why.message);
}

// What this host's link and devices can do, for the next forecast.
static void remember(struct migration *m)
{
	const struct source *s = &m->source;
	int64_t ram_ns = forecast_send_ns(&s->forecast, m->ram_remaining_at_stop);
	int64_t device_ns = s->at.completed - s->at.continued - ram_ns;

	if (s->forecast.rate && !s->forecast.rough)
		m->host->migrations->last_rate = s->forecast.rate;
	if (s->at.completed && s->at.continued && ram_ns != FORECAST_FOREVER)
		m->host->migrations->last_device_ns =
			device_ns > DEVICE_MIN_NS ? device_ns : DEVICE_MIN_NS;
}

static void on_outcome(struct migration *m, enum outcome o)
{
	struct vm *vm = m->vm;
	bool dead = m->source.vm_gone && m->source.state == SOURCE_ABORTED;

	result_tell(m, o);
	if (o == OUTCOME_PERSON) {
		set_state(m, VM_UNKNOWN, m->epoch, m->peer_name, m->source.reason.message);
		return;
	}
	relay_end(m->relay);
	m->relay = NULL;
	if (m->source.state == SOURCE_ABORTED && m->source.writing_epoch > m->epoch)
		set_state(m, VM_RUNNING, m->source.writing_epoch, m->host->config.host,
			"never ran on the destination");
	if (o == OUTCOME_COMPLETED)
		remember(m);
	mark_finished(m);
	call_decided(m);
	driver_end(m);
	if (dead)
		vm_kill(vm, on_dead, NULL);
}

// First the message: the inventory costs time that the guest feels.
static void committed(struct migration *m)
{
	source_send_committed(m);
	if (m->vm->state == VM_RUNNING)
		set_state(m, VM_COMMITTED, m->epoch, m->peer_name, "committed");
}

static void release_stream(struct migration *m)
{
	source_stream_flow(m, true);
}

static void hold_stream(struct migration *m)
{
	source_stream_flow(m, false);
}

// Actions that need nothing but the migration.
static void (*const acts[ACT_COUNT])(struct migration *m) = {
	[ACT_PEER_PREPARE] = source_prepare,
	[ACT_ARM] = source_arm,
	[ACT_STREAM_START] = source_stream_start,
	[ACT_STREAM_RELEASE] = release_stream,
	[ACT_STREAM_HOLD] = hold_stream,
	[ACT_GATE_CLOSE] = source_gate_close,
	[ACT_GATE_OPEN] = source_gate_open,
	[ACT_PORTS_DRAIN] = source_ports_drain,
	[ACT_PEER_SWITCH] = source_send_switch,
	[ACT_VM_CONTINUE] = source_continue,
	[ACT_FINAL] = source_final,
	[ACT_VERIFY] = source_verify,
	[ACT_PEER_COMMITTED] = committed,
	[ACT_PEER_ABORTED] = source_send_aborted,
	[ACT_PEER_CONNECT] = source_connect,
	[ACT_RESUME_VM] = source_resume_vm,
	[ACT_RESUME_GPU] = source_resume_gpu,
	[ACT_RELEASE] = release,
};

void source_act_now(struct migration *m, const struct action *a)
{
	if (a->type == ACT_WRITE_RECORD)
		driver_write_record(m, a);
	else if (a->type == ACT_OUTCOME)
		on_outcome(m, a->outcome);
	else if (a->type == ACT_ROUND)
		source_round(m, a->round);
	else if (a->type == ACT_SHARE)
		source_set_share(m, &a->share);
	else if (a->type == ACT_STREAM_FORCE)
		source_stream_force(m, a->budget_ns);
	else if (acts[a->type])
		acts[a->type](m);
	else
		log_error("migration %.8s: no way to %s", m->id, action_name(a->type));
}

void source_act(struct migration *m, const struct action *a)
{
	if (a->type == ACT_VM_CONTINUE)
		driver_act_at(m, "source.before-continue", a);
	else
		source_act_now(m, a);
}

// ---- the beginning ----

static void on_estimate(void *arg, const json_t *doc, const struct ferry_error *e)
{
	struct migration *m = driver_handle_take(arg);

	(void)e;
	if (!m)
		return;
	if (doc)
		m->estimate = json_pack("{sO sO}", "total_ms", json_object_get(doc, "total_ms"),
			"stun_ms", json_object_get(doc, "stun_ms"));
	m->armed.estimate = true;
	source_look_armed(m);
}

// Beside the destination's preparation: the sample must be over before the move begins.
static void source_estimate(struct migration *m)
{
	struct driver_handle *x = driver_handle_new(m);

	if (!x || migration_estimate(m->vm, &m->params, on_estimate, x, NULL) < 0) {
		free(x);
		m->armed.estimate = true;
	}
}

static int64_t ram_budget_ms(const struct migration_params *p)
{
	int64_t ms = p->target_stun_ms / 2;

	return ms < RAM_BUDGET_MIN_MS   ? RAM_BUDGET_MIN_MS
	       : ms > RAM_BUDGET_MAX_MS ? RAM_BUDGET_MAX_MS
					: ms;
}

void source_configure(struct migration *m, struct source_config *ret)
{
	const struct migration_params *p = &m->params;
	enum mode mode = MODE_PRECOPY;

	mode_from_name(p->mode, &mode);
	*ret = (struct source_config){
		.epoch = m->epoch,
		.mode = mode,
		.gpu = m->vm->n_vgpus > 0,
		.verify = p->verify,
		.target_ns = p->target_stun_ms * NSEC_PER_MSEC,
		.limit_ns = p->stun_limit_ms * NSEC_PER_MSEC,
		.ram_budget_ns = ram_budget_ms(p) * NSEC_PER_MSEC,
		.rate = m->host->migrations->last_rate,
		.rate_cap = p->bandwidth_bytes_per_s,
		.device_ns = m->host->migrations->last_device_ns,
		.answer_limit_ns = ANSWER_LIMIT_NS,
	};
	memcpy(ret->id, m->id, sizeof ret->id);
}

static int check(const struct vm *vm, const struct migration_params *p, struct ferry_error *e)
{
	enum mode mode;
	struct record r = { .config = NULL };

	if (vm->migration)
		return ferry_fail(
			e, EBUSY, "migrating", "VM '%s' is being migrated already", vm->name);
	if (vm->state != VM_RUNNING)
		return ferry_fail(e, EINVAL, "not-running", "VM '%s' is %s here, not running",
			vm->name, vm_state_name(vm->state));
	if (vm_renew_refuse(vm, e) < 0)
		return -ENODEV;
	if (mode_from_name(p->mode, &mode) < 0) {
		ferry_fail(e, EOPNOTSUPP, "mode", "mode '%s' is not there", p->mode);
		ferry_error_remedy(e, "use precopy, stop-copy or single-pass");
		return -EOPNOTSUPP;
	}
	if (vm->n_vgpus > 1) {
		ferry_fail(e, EOPNOTSUPP, "several-vgpus", "VM '%s' has %u vGPUs; one can be moved",
			vm->name, vm->n_vgpus);
		return -EOPNOTSUPP;
	}
	if (p->channels < 1 || p->channels > DRIVER_MAX_CHANNELS)
		return ferry_fail(
			e, EINVAL, "channels", "channels must be 1 to %d", DRIVER_MAX_CHANNELS);
	// A record that still asks for something belongs to a migration that is not over.
	if (record_read(vm->name, &r, NULL) == 0) {
		bool open = r.source && !r.finished && r.state == RECORD_COMMITTED;
		record_free(&r);
		if (open)
			return ferry_fail(e, EBUSY, "undecided",
				"an earlier migration of VM '%s' is not decided", vm->name);
	}
	return 0;
}

int migration_start(struct vm *vm, const struct migration_params *p,
	const struct migration_observer *o, void *arg, struct ferry_error *e)
{
	char id[ENGINE_ID_SIZE];
	int r = check(vm, p, e);

	if (r < 0 || (r = record_new_id(id, e)) < 0)
		return r;
	struct migration *m = driver_new(vm->host, ROLE_SOURCE, vm, id);
	if (!m)
		return ferry_fail(e, ENOMEM, "no-memory", "out of memory");
	m->epoch = vm->epoch + 1;
	m->params = *p;
	m->channels = p->channels;
	m->observer = *o;
	m->observer_arg = arg;
	m->config = json_incref(vm->config);
	snprintf(m->peer_name, sizeof m->peer_name, "%s", p->to);
	vm_log(vm, "migration %s to %s, mode %s", m->id, p->to, p->mode);
	source_connect(m);
	if (!m->peer) {
		driver_free(m);
		return ferry_fail(e, ENOMEM, "no-memory", "out of memory");
	}
	source_estimate(m);
	return 0;
}

int migration_cancel(struct vm *vm, struct ferry_error *e)
{
	struct migration *m = vm->migration;

	if (!m || m->role != ROLE_SOURCE)
		return ferry_fail(
			e, ENOENT, "no-migration", "VM '%s' is not being migrated", vm->name);
	if (!m->begun || !source_cancellable(&m->source))
		return ferry_fail(e, EBUSY, "committed",
			"the migration of VM '%s' is in state %s: it cannot be cancelled", vm->name,
			source_state_name(m->source.state));
	driver_feed_type(m, EV_CANCEL);
	return 0;
}

int migration_decide(
	struct vm *vm, const char *decision, vm_done_fn fn, void *arg, struct ferry_error *e)
{
	struct migration *m = vm->migration;
	bool here = !strcmp(decision, "run-here");

	if (!here && strcmp(decision, "give-up"))
		return ferry_fail(e, EINVAL, "bad-decision", "decide run-here or give-up");
	enum event_type t = here ? EV_RUN_HERE : EV_GIVE_UP;
	bool open = m && m->begun &&
		    (m->role == ROLE_SOURCE ? source_next_states(m->source.state, t)
					    : dest_next_states(m->dest.state, t));
	if (!open || m->decided)
		return ferry_fail(e, EINVAL, "nothing-to-decide",
			"VM '%s' does not wait for that decision", vm->name);
	m->decided = fn;
	m->decided_arg = arg;
	driver_feed_type(m, t);
	return 0;
}
