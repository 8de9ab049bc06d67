// SPDX-License-Identifier: Apache-2.0
// The source's vGPU: rounds, gate, the last pages.
#include "host/migration/driver.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>

static uint64_t bytes_of(const json_t *doc, const char *key)
{
	int64_t v = json_int_or(doc, key, 0);

	return v > 0 ? (uint64_t)v : 0;
}

static int64_t ns_of(const json_t *doc, const char *key)
{
	double ms = json_number_value(json_object_get(doc, key));

	return ms > 0 && ms < 1e12 ? (int64_t)(ms * 1e6) : 0;
}

static void on_round(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct event ev = { .type = EV_ROUND_DONE };

	if (e) {
		driver_feed_error(m, EV_FAILED, e);
		return;
	}
	ev.round = (struct event_round){
		.n = (uint32_t)bytes_of(ok, "n"),
		.bytes = bytes_of(ok, "bytes"),
		.zero_bytes = bytes_of(ok, "zero_bytes"),
		.object_bytes = bytes_of(ok, "object_bytes"),
		.dirty_bytes = bytes_of(ok, "dirty_bytes"),
		.ns = ns_of(ok, "ms"),
		.drain_ns = ns_of(ok, "drain_ms"),
	};
	result_progress(
		m, json_pack("{ss si sI sf sI sb}", "phase", source_state_name(m->source.state),
			   "round", (int)ev.round.n, "bytes", (json_int_t)ev.round.bytes, "ms",
			   (double)ev.round.ns / 1e6, "dirty_bytes",
			   (json_int_t)ev.round.dirty_bytes, "round_done", 1));
	driver_feed_at(m, "source.round", &ev);
}

void source_round(struct migration *m, uint32_t n)
{
	call_gpu(m, "move.round", json_pack("{si}", "n", (int)n), NULL, 0, on_round);
}

static void on_gate(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct event ev = { .type = EV_GATE_CLOSED };

	m->gate.answers++;
	if (m->gate.answers <= m->gate.opened_at)
		return; // it was opened again since then
	if (e) {
		driver_feed_error(m, EV_FAILED, e);
		return;
	}
	ev.drain_ns = ns_of(ok, "drain_ms");
	driver_feed(m, &ev);
}

void source_gate_close(struct migration *m)
{
	m->gate.asked++;
	call_gpu(m, "gate.close", NULL, NULL, 0, on_gate);
}

static void on_opened(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e)
		driver_feed_error(m, EV_FAILED, e);
}

// Requests are answered in their order, so what was asked before is answered before.
void source_gate_open(struct migration *m)
{
	vm_log(m->vm, "migration %.8s: the guest has more RAM to send; the gate opens again",
		m->id);
	m->gate.opened_at = m->gate.asked;
	call_gpu(m, "gate.open", NULL, NULL, 0, on_opened);
}

static void on_final(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct event ev = { .type = EV_FINAL_DONE };
	struct ferry_error bad = FERRY_ERROR_INIT;

	if (e) {
		driver_feed_error(m, EV_FAILED, e);
		return;
	}
	ev.final = (struct event_final){
		.bytes = bytes_of(ok, "bytes"),
		.zero_bytes = bytes_of(ok, "zero_bytes"),
		.object_bytes = bytes_of(ok, "object_bytes"),
		.sent_bytes = bytes_of(ok, "sent_bytes"),
		.ns = ns_of(ok, "ms"),
	};
	if (json_get_string(ok, "root", ev.final.root, sizeof ev.final.root, &bad) < 0)
		driver_feed_error(m, EV_FAILED, &bad);
	else
		driver_feed(m, &ev);
}

void source_final(struct migration *m)
{
	call_gpu(m, "move.final", NULL, NULL, 0, on_final);
}

// ---- ports: read until empty, one QMP round trip, again, until two rounds are empty ----

#define EMPTY_ROUNDS 2

static void on_taken_back(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e)
		driver_feed_error(m, EV_FAILED, e);
	else
		driver_feed_type(m, EV_PORTS_DRAINED);
}

static void drain_once(struct migration *m);

static void on_monitor_trip(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	(void)ok;
	if (e)
		driver_feed_error(m, EV_FAILED, e);
	else
		drain_once(m);
}

static void on_drained(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	if (e) {
		driver_feed_error(m, EV_FAILED, e);
		return;
	}
	m->drain_empty = bytes_of(ok, "bytes") ? 0 : m->drain_empty + 1;
	if (m->drain_empty == EMPTY_ROUNDS)
		call_gpu(m, "ports.take-back", NULL, NULL, 0, on_taken_back);
	else
		call_qemu(m, "query-status", NULL, 0, on_monitor_trip);
}

static void drain_once(struct migration *m)
{
	if (m->source.state == SOURCE_DRAINING)
		call_gpu(m, "ports.drain", NULL, NULL, 0, on_drained);
}

void source_ports_drain(struct migration *m)
{
	m->drain_empty = 0;
	drain_once(m);
}

// ---- events ----

void source_programs(struct migration *m, const char *whose, json_int_t done, json_int_t all)
{
	if (!m->begun || done < 0 || all < done)
		return;
	result_progress(m, json_pack("{ss s{sI sI}}", "phase", source_state_name(m->source.state),
				   whose, "done", done, "total", all));
	driver_feed_type(m, EV_PROGRESS);
}

void source_gpu_event(struct migration *m, const char *name, json_t *message)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (!strcmp(name, "progress")) {
		result_progress(m,
			json_pack("{ss sI sI sI sf}", "phase", source_state_name(m->source.state),
				"round", (json_int_t)bytes_of(message, "n"), "bytes",
				(json_int_t)bytes_of(message, "bytes"), "total_bytes",
				(json_int_t)bytes_of(message, "total_bytes"), "rate_bytes_per_s",
				json_number_value(json_object_get(message, "rate_bytes_per_s"))));
		driver_feed_type(m, EV_PROGRESS);
	} else if (!strcmp(name, "taking")) {
		source_programs(m, "source_programs", json_int_or(message, "taken", 0),
			json_int_or(message, "programs", 0));
	} else if (!strcmp(name, "failed")) {
		ferry_error_from_json(&e, json_object_get(message, "error"));
		if (!e.err)
			ferry_fail(&e, EIO, "vgpu", "the vGPU's move failed");
		driver_feed_error(m, EV_FAILED, &e);
	}
}
