// SPDX-License-Identifier: Apache-2.0
// The contract's result object and the progress lines. Every figure was measured in this migration;
// what was not is null or 0.
#include "host/migration/driver.h"
#include "base/clock.h"

#include <string.h>

static json_t *ms_or_null(int64_t from_ns, int64_t to_ns)
{
	return from_ns && to_ns >= from_ns ? json_real((double)(to_ns - from_ns) / 1e6)
					   : json_null();
}

static double ms_of(int64_t ns)
{
	return (double)ns / 1e6;
}

void result_progress(struct migration *m, json_t *fields)
{
	struct source *s = &m->source;

	if (m->begun && fields) {
		int64_t forecast = forecast_stun_ns(&s->forecast);
		json_object_set_new(
			fields, "elapsed_ms", json_real(ms_of(clock_now_ns() - s->at.start)));
		if (s->at.armed && forecast != FORECAST_FOREVER)
			json_object_set_new(fields, "forecast_ms", json_real(ms_of(forecast)));
	}
	if (m->observer.progress && !m->told && fields)
		m->observer.progress(m->observer_arg, fields);
	json_decref(fields);
}

static int64_t later_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

// The stun is what the guest felt, without the two full scans that --verify asks for.
static json_t *stun_parts(const struct migration *m)
{
	const struct source_times *at = &m->source.at;
	int64_t drained = at->drained ? at->drained : at->held;
	int64_t handed = later_of(at->final_done, at->completed);
	// The relay's last byte out parts RAM from what the devices then still took.
	int64_t ram_end = m->last_out_ns > at->continued && m->last_out_ns < at->completed
				  ? m->last_out_ns
				  : at->completed;

	return json_pack("{so so so so so so so}", "drain_ms", ms_or_null(at->stopped, drained),
		"vgpu_ms", ms_or_null(at->final_done ? at->continued : 0, at->final_done), "ram_ms",
		ms_or_null(at->continued, ram_end), "device_ms", ms_or_null(ram_end, at->completed),
		"seal_ms", ms_or_null(handed, later_of(handed, at->sealed)), "commit_ms",
		ms_or_null(at->commit_asked, at->committed), "resume_ms",
		m->resume_at_ns ? json_real(m->resume_ms) : json_null());
}

static double stun_ms(const struct migration *m)
{
	const struct source *s = &m->source;

	if (!m->stop_at_ns || !m->resume_at_ns)
		return 0;
	return ms_of(m->resume_at_ns - m->stop_at_ns - s->verify_ns);
}

static json_t *rounds(const struct source *s)
{
	json_t *list = json_array();
	unsigned first = s->rounds > SOURCE_ROUNDS_KEPT ? s->rounds - SOURCE_ROUNDS_KEPT : 0;

	for (unsigned i = first; i < s->rounds; i++) {
		const struct event_round *r = &s->kept[i % SOURCE_ROUNDS_KEPT];
		json_array_append_new(list,
			json_pack("{si sI sf sI}", "n", (int)r->n, "bytes", (json_int_t)r->bytes,
				"ms", ms_of(r->ns), "dirty_bytes", (json_int_t)r->dirty_bytes));
	}
	return list;
}

static uint64_t zero_bytes(const struct source *s)
{
	uint64_t sum = s->final.zero_bytes;

	for (unsigned i = 0; i < s->rounds && i < SOURCE_ROUNDS_KEPT; i++)
		sum += s->kept[i].zero_bytes;
	return sum;
}

static json_t *vgpus(const struct migration *m)
{
	const struct source *s = &m->source;
	json_t *list = json_array();

	if (!s->cfg.gpu || !m->vm)
		return list;
	json_array_append_new(list,
		json_pack("{si sI sI ss so so sI sI sI si}", "index", 0, "framebuffer_bytes",
			(json_int_t)m->framebuffer_bytes, "allocated_bytes",
			(json_int_t)m->allocated_bytes, "tracker", m->vm->vgpus[0].tracker,
			"digest_root", s->final.root[0] ? json_string(s->final.root) : json_null(),
			"rounds", rounds(s), "sent_bytes", (json_int_t)s->final.sent_bytes,
			"stun_bytes", (json_int_t)(s->final.bytes + s->final.object_bytes),
			"zero_bytes", (json_int_t)zero_bytes(s), "dedup_bytes", 0));
	return list;
}

static json_t *reason(const struct source *s)
{
	json_t *doc;

	if (!s->reason.err)
		return json_null();
	doc = ferry_error_to_json(&s->reason);
	return doc ? doc : json_null();
}

static double gpu_stall_ms(const struct migration *m)
{
	const struct source *s = &m->source;

	if (!s->cfg.gpu || !m->gate_open_ns || !s->at.gate_asked)
		return 0;
	return ms_of(m->gate_open_ns - driver_wall(m, s->at.gate_asked) - s->verify_ns);
}

static const char *policy_of(const struct source *s)
{
	return s->forced ? "limit" : "target";
}

static void add_stun(struct migration *m, json_t *doc)
{
	const struct source *s = &m->source;
	bool early = s->at.gate_closed && s->at.stopped && s->at.gate_closed < s->at.stopped;

	json_object_set_new(doc, "stop_at_ns", json_integer(m->stop_at_ns));
	json_object_set_new(doc, "resume_at_ns", json_integer(m->resume_at_ns));
	json_object_set_new(doc, "stun_ms", json_real(stun_ms(m)));
	json_object_set_new(doc, "stun", stun_parts(m));
	json_object_set_new(doc, "gpu_stall_ms", json_real(gpu_stall_ms(m)));
	json_object_set_new(doc, "pre_stun_drain_ms", json_real(early ? ms_of(s->drain_ns) : 0));
	json_object_set_new(doc, "commit_window_ms", ms_or_null(s->at.committed, s->at.running));
	json_object_set_new(doc, "verify_ms", json_real(ms_of(s->verify_ns)));
	json_object_set_new(doc, "stun_limit_s", json_real((double)m->params.stun_limit_ms / 1e3));
	json_object_set_new(doc, "forecast_at_switchover_ms",
		s->forecast_at_switch_ns ? json_real(ms_of(s->forecast_at_switch_ns))
					 : json_null());
}

// Everything sent, over the time from the first round to the last byte.
static double throughput(const struct migration *m)
{
	const struct source_times *at = &m->source.at;
	int64_t end = later_of(at->final_done, at->completed);

	if (!at->armed || end <= at->armed)
		return 0;
	return (double)(m->source.final.sent_bytes + m->ram_bytes) * 1e9 /
	       (double)(end - at->armed);
}

json_t *result_of(struct migration *m, enum outcome o)
{
	const struct source *s = &m->source;
	int64_t end = s->at.ended ? s->at.ended : clock_now_ns();
	uint64_t ram_stun = m->ram_bytes > m->ram_at_stop ? m->ram_bytes - m->ram_at_stop : 0;
	json_t *doc = json_pack("{si ss ss ss ss ss ss so ss ss ss sf}", "schema", 1, "id", m->id,
		"vm", m->vm ? m->vm->name : "", "from", m->host->config.host, "to", m->peer_name,
		"outcome",
		o == OUTCOME_COMPLETED ? "completed"
		: o == OUTCOME_ABORTED ? "aborted"
				       : "failed",
		"phase", s->phase ? s->phase : source_state_name(s->state), "reason", reason(s),
		"mode", m->params.mode, "policy", policy_of(s), "accel",
		vm_accel_name(m->host->accel.accel), "total_ms",
		s->at.start ? ms_of(end - s->at.start) : 0.0);

	if (!doc)
		return json_object();
	add_stun(m, doc);
	json_object_set_new(doc, "vgpus", vgpus(m));
	json_object_set_new(doc, "ram",
		json_pack("{sI sI sI}", "bytes", (json_int_t)m->ram_bytes, "rounds",
			(json_int_t)m->ram_rounds, "stun_bytes",
			(json_int_t)(s->at.stopped ? ram_stun : 0)));
	json_object_set_new(doc, "channels", json_integer(m->channels));
	json_object_set_new(doc, "throttle", json_null());
	json_object_set_new(doc, "postcopy", json_null());
	json_object_set_new(doc, "throughput_bytes_per_s", json_real(throughput(m)));
	json_object_set(doc, "estimate", m->estimate ? m->estimate : json_null());
	json_object_set_new(
		doc, "verified", m->verified < 0 ? json_null() : json_boolean(m->verified));
	return doc;
}

void result_tell(struct migration *m, enum outcome o)
{
	json_t *doc = result_of(m, o);
	int exit = o == OUTCOME_COMPLETED ? 0 : o == OUTCOME_PERSON ? 4 : 1;

	if (o != OUTCOME_PERSON)
		host_history(m->host, doc);
	if (m->observer.done && !m->told)
		m->observer.done(m->observer_arg, doc, exit);
	m->told = true;
	json_decref(doc);
}
