// SPDX-License-Identifier: Apache-2.0
// The source's QEMU: its stream, its events, its progress. The sequence and its traps are in
// docs/migration.md; what QEMU did is always asked for, never assumed from an event alone.
#include "host/migration/driver.h"
#include "host/migration/relay_process.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

#define QEMU_DOWNTIME_MAX_MS 2000000 // MAX_MIGRATE_DOWNTIME of its migration/migration.h
#define POLL_NS              (200 * NSEC_PER_MSEC)
#define FROZEN_NS            (2 * NSEC_PER_MSEC) // between looks whether the VM has become "postmigrate"
#define PAUSE_STATUS         "pre-switchover"

// ---- the stream ----

static void on_failure_only(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e)
		driver_feed_error(m, EV_FAILED, e);
}

static void on_progress_reply(struct migration *m, const json_t *ok, const struct ferry_error *e);

static void on_poll(void *arg)
{
	struct migration *m = arg;

	call_qemu(m, "query-migrate", NULL, 0, on_progress_reply);
}

void source_poll_stop(struct migration *m)
{
	m->poll = watch_remove(m->poll);
}

void source_stream_start(struct migration *m)
{
	char stream[64], uri[80];

	vm_path(m->vm, "ram-out.sock", stream, sizeof stream);
	snprintf(uri, sizeof uri, "unix:%s", stream);
	call_qemu(m, "migrate", json_pack("{ss}", "uri", uri), 0, on_failure_only);
	m->poll = loop_timer(m->host->loop, clock_now_ns() + POLL_NS, on_poll, m);
}

void source_stream_flow(struct migration *m, bool on)
{
	call_link(m, relay_link(m->relay), on ? "release" : "hold", NULL, NULL, 0, on_failure_only);
}

// In effect within the 100 ms after which QEMU measures its rate anew.
void source_stream_force(struct migration *m, int64_t budget_ns)
{
	int64_t ms = budget_ns / NSEC_PER_MSEC;

	ms = ms < 1 ? 1 : ms > QEMU_DOWNTIME_MAX_MS ? QEMU_DOWNTIME_MAX_MS : ms;
	vm_log(m->vm,
		"migration %.8s: passes over the RAM no longer shrink; QEMU may stop the guest for "
		"%lld ms",
		m->id, (long long)ms);
	call_qemu(m, "migrate-set-parameters", json_pack("{sI}", "downtime-limit", (json_int_t)ms),
		0, on_failure_only);
}

void source_continue(struct migration *m)
{
	source_poll_stop(m); // QEMU holds its big lock from here on: nothing but this goes to it
	struct event ev = { .type = EV_PROGRESS };

	driver_feed_at(m, "source.in-device", &ev); // a test may hold, kill or fail here
	call_qemu(m, "migrate-continue", json_pack("{ss}", "state", PAUSE_STATUS),
		(int)(m->source.cfg.limit_ns / NSEC_PER_MSEC), on_failure_only);
}

// ---- progress ----

static void take_ram(struct migration *m, const json_t *doc, struct event *ev)
{
	const json_t *ram = json_object_get(doc, "ram");
	double mbps = json_number_value(json_object_get(ram, "mbps"));
	int64_t left = json_int_or(ram, "remaining", 0);

	m->ram_bytes = (uint64_t)json_int_or(ram, "transferred", 0);
	m->ram_rounds = (uint64_t)json_int_or(ram, "dirty-sync-count", 0);
	ev->ram.sent_bytes = m->ram_bytes;
	ev->ram.pass = m->ram_rounds;
	ev->ram.remaining_bytes = left > 0 ? (uint64_t)left : 0;
	ev->ram.rate_bytes_per_s = mbps > 0 && mbps < 1e7 ? (uint64_t)(mbps * 125000.0) : 0;
}

static void on_progress_reply(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct event ev = { .type = EV_RAM };

	if (!m->poll)
		return;
	if (!e && !strcmp(json_string_or(ok, "status", ""), "active")) {
		take_ram(m, ok, &ev);
		result_progress(
			m, json_pack("{ss sI sI sI sI}", "phase",
				   source_state_name(m->source.state), "ram_bytes",
				   (json_int_t)m->ram_bytes, "ram_pass", (json_int_t)m->ram_rounds,
				   "ram_remaining_bytes", (json_int_t)ev.ram.remaining_bytes,
				   "ram_total_bytes", (json_int_t)m->ram_total_bytes));
		driver_feed(m, &ev);
	}
	if (m->poll)
		watch_set_timer(m->poll, clock_now_ns() + POLL_NS);
}

// ---- events ----

static void on_held_reply(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct event ev = { .type = EV_VM_HELD };

	if (e) {
		driver_feed_error(m, EV_FAILED, e);
		return;
	}
	take_ram(m, ok, &ev);
	m->ram_remaining_at_stop = ev.ram.remaining_bytes;
	m->ram_at_stop = m->ram_bytes;
	driver_feed(m, &ev);
}

// Parts the RAM's time from the devices' in the report.
static void on_relay_status(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)e;
	if (ok)
		m->last_out_ns = json_int_or(ok, "last_out_ns", 0);
}

static void ask_frozen(void *arg);

// "completed" counts only together with "postmigrate".
static void on_frozen_reply(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct event ev = { .type = EV_VM_COMPLETED };

	if (e) {
		driver_feed_error(m, EV_FAILED, e);
		return;
	}
	if (!strcmp(json_string_or(ok, "status", ""), "postmigrate")) {
		m->frozen_timer = watch_remove(m->frozen_timer);
		call_link(m, relay_link(m->relay), "status", NULL, NULL, 0, on_relay_status);
		driver_feed_at(m, "source.in-device", &ev);
		return;
	}
	int64_t at = clock_now_ns() + FROZEN_NS;
	if (m->frozen_timer)
		watch_set_timer(m->frozen_timer, at);
	else
		m->frozen_timer = loop_timer(m->host->loop, at, ask_frozen, m);
}

static void ask_frozen(void *arg)
{
	call_qemu(arg, "query-status", NULL, 0, on_frozen_reply);
}

static void on_completed_reply(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct event ram = { .type = EV_RAM };

	if (!e && !strcmp(json_string_or(ok, "status", ""), "completed")) {
		take_ram(m, ok, &ram);
		ask_frozen(m);
	}
}

static void on_failed_reply(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct ferry_error why = FERRY_ERROR_INIT;

	ferry_fail(&why, EIO, "qemu-migration", "QEMU gave its migration up: %s",
		ok ? json_string_or(ok, "error-desc", "no reason given") : e->message);
	driver_feed_error(m, EV_FAILED, &why);
}

static void on_migration_status(struct migration *m, const char *status)
{
	if (!strcmp(status, PAUSE_STATUS))
		call_qemu(m, "query-migrate", NULL, 0, on_held_reply);
	else if (!strcmp(status, "completed"))
		call_qemu(m, "query-migrate", NULL, 0, on_completed_reply);
	else if (!strcmp(status, "failed"))
		call_qemu(m, "query-migrate", NULL, 0, on_failed_reply);
}

static void on_event(
	void *arg, struct vm *vm, const char *name, const json_t *data, int64_t wall_ns)
{
	struct migration *m = arg;
	struct event ev = { .type = EV_VM_STOPPED };

	(void)vm;
	if (!m->begun)
		return;
	if (!strcmp(name, "STOP")) {
		m->stop_at_ns = wall_ns;
		driver_feed_at(m, "source.stopped", &ev);
	} else if (!strcmp(name, "RESUME")) {
		driver_feed_type(m, EV_VM_RESUMED);
	} else if (!strcmp(name, "MIGRATION_PASS") && m->poll) {
		on_poll(m); // what remains now is what the pass has to send
	} else if (!strcmp(name, "MIGRATION")) {
		on_migration_status(m, json_string_or(data, "status", ""));
	}
}

static void on_gpu_event(
	void *arg, struct vm *vm, unsigned index, const char *name, json_t *message)
{
	(void)vm, (void)index;
	source_gpu_event(arg, name, message);
}

static bool on_exited(void *arg, struct vm *vm, int index, int status)
{
	struct migration *m = arg;

	(void)vm, (void)status;
	if (!m->begun)
		return false;
	// A VM whose vGPU died runs on, with its calls failing; a dead VM is ended with the migration.
	driver_feed_type(m, index < 0 ? EV_VM_GONE : EV_GPU_GONE);
	return true;
}

// Events were lost while there was no connection: only the state counts.
static void on_reconnected(void *arg, struct vm *vm, int index)
{
	struct migration *m = arg;

	(void)vm;
	if (m->begun && index < 0 && m->source.state == SOURCE_HANDOVER)
		call_qemu(m, "query-migrate", NULL, 0, on_completed_reply);
}

const struct vm_observer source_vm_observer = {
	.qmp_event = on_event,
	.vgpu_event = on_gpu_event,
	.exited = on_exited,
	.reconnected = on_reconnected,
};
