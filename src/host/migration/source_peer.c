// SPDX-License-Identifier: Apache-2.0
// What the source says to the destination, and hears from it.
#include "host/migration/driver.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/vm_renew.h"

#include <errno.h>
#include <string.h>

// ---- the connection ----

#define ROUND_TRIPS 3

static void on_round_trip(struct migration *m, const json_t *ok, const struct ferry_error *e);

static void never_begun(struct migration *m, const struct ferry_error *why)
{
	m->source.reason = *why;
	m->source.phase = "connecting";
	result_tell(m, OUTCOME_FAILED);
	driver_end(m);
}

// Its time is the link's round trip; its answer can only be "none".
static void ask(struct migration *m)
{
	m->asked_ns = clock_now_ns();
	call_peer(m, "ask", json_pack("{ss}", "migration", m->id), on_round_trip);
}

static void on_round_trip(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct ferry_error away = FERRY_ERROR_INIT;
	struct source_config cfg;
	int64_t ns = clock_now_ns() - m->asked_ns;

	(void)ok;
	if (e && strcmp(e->code, "link-lost") == 0)
		return; // `closed` says so as well
	if (m->asked == 0 || ns < m->round_trip_ns)
		m->round_trip_ns = ns;
	if (++m->asked < ROUND_TRIPS) {
		ask(m);
		return;
	}
	if (vm_renew_refuse(m->vm, &away) < 0) {
		never_begun(m, &away);
		return;
	}
	source_configure(m, &cfg);
	cfg.round_trip_ns = m->round_trip_ns;
	source_init(&m->source, &cfg);
	m->begun = true;
	driver_feed_type(m, EV_START);
}

static void on_ready(void *arg, struct peer *p)
{
	struct migration *m = arg;

	(void)p;
	m->peer_ready = true;
	if (m->begun) {
		driver_feed_type(m, EV_LINK_UP);
		return;
	}
	ask(m);
}

static void on_closed(void *arg, struct peer *p, const struct ferry_error *why)
{
	struct migration *m = arg;

	m->peer = peer_free(p);
	m->peer_ready = false;
	if (m->begun) {
		driver_feed_type(m, EV_LINK_LOST);
		return;
	}
	never_begun(m, why);
}

static void on_sealed(struct migration *m, json_t *message)
{
	struct event ev = { .type = EV_SEALED };
	const char *id = json_string_or(message, "migration", "");
	const json_t *root = json_array_get(json_object_get(message, "roots"), 0);
	const char *hex = json_string_value(root);

	if (!record_id_valid(id) || (hex && !record_id_valid(hex))) {
		struct ferry_error e = FERRY_ERROR_INIT;
		ferry_fail(&e, EPROTO, "bad-message", "the destination's 'sealed' is malformed");
		driver_feed_error(m, EV_FAILED, &e);
		return;
	}
	memcpy(ev.sealed.migration, id, ENGINE_ID_SIZE);
	if (hex)
		memcpy(ev.sealed.root, hex, ENGINE_ID_SIZE);
	driver_feed_at(m, "source.sealed-received", &ev);
}

static void on_event(void *arg, struct peer *p, const char *event, json_t *message)
{
	struct migration *m = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	if (strcmp(json_string_or(message, "migration", ""), m->id))
		return;
	if (!strcmp(event, "sealed")) {
		on_sealed(m, message);
	} else if (!strcmp(event, "building")) {
		source_programs(m, "destination_programs", json_int_or(message, "built", 0),
			json_int_or(message, "programs", 0));
	} else if (!strcmp(event, "failed")) {
		ferry_error_from_json(&e, json_object_get(message, "error"));
		if (!e.err)
			ferry_fail(&e, EREMOTEIO, "destination", "the destination failed");
		ferry_error_prefix(&e, "on %s", m->peer_name);
		driver_feed_error(m, EV_FAILED, &e);
	}
}

static void on_request(void *arg, struct peer *p, int64_t id, const char *op, json_t *args)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (!strcmp(op, "ask")) {
		answer_ask(peer_host(p), p, id, args);
		return;
	}
	ferry_fail(&e, EINVAL, "unknown-op", "the source does not take '%.40s'", op);
	link_refuse(peer_link(p), id, &e);
}

static const struct peer_ops ops = {
	.ready = on_ready,
	.request = on_request,
	.event = on_event,
	.closed = on_closed,
};

void source_connect(struct migration *m)
{
	m->peer = peer_free(m->peer);
	m->peer_ready = false;
	m->peer = peer_connect(m->host, m->peer_name, DRIVER_CONNECT_MS, &ops, m);
	if (!m->peer)
		driver_feed_type(m, EV_LINK_LOST);
}

// ---- prepare, committed, aborted ----

static int take_token(struct migration *m, const json_t *ok, struct ferry_error *e)
{
	char hex[2 * DRIVER_TOKEN_BYTES + 1];

	if (json_get_string(ok, "token", hex, sizeof hex, e) < 0)
		return -EPROTO;
	if (!record_id_valid(hex))
		return ferry_fail(e, EPROTO, "bad-message", "the destination's token is malformed");
	for (unsigned i = 0; i < DRIVER_TOKEN_BYTES; i++) {
		unsigned byte = 0;
		sscanf(hex + 2 * i, "%2x", &byte);
		m->token[i] = (uint8_t)byte;
	}
	json_decref(m->peer_keys);
	m->peer_keys = json_incref(json_object_get(ok, "vgpu_keys"));
	return 0;
}

static void on_prepared(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	struct event ev = { .type = EV_PREPARED };
	struct ferry_error bad = FERRY_ERROR_INIT;

	if (!e && take_token(m, ok, &bad) == 0) {
		driver_feed_at(m, "source.prepared", &ev);
		return;
	}
	driver_feed_error(m, EV_FAILED, e ? e : &bad);
}

void source_prepare(struct migration *m)
{
	call_peer(m, "prepare",
		json_pack("{ss sI sO ss si sb}", "migration", m->id, "epoch", (json_int_t)m->epoch,
			"vm", m->config, "mode", m->params.mode, "channels", (int)m->channels,
			"verify", m->params.verify),
		on_prepared);
}

static void on_committed(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	const char *state = ok ? json_string_or(ok, "state", "") : "";

	if (e) { // a lost link is told by `closed`; a refusal is no answer
		if (strcmp(e->code, "link-lost"))
			log_warn("migration %.8s: %s", m->id, e->message);
		driver_feed_type(m, EV_PEER_PENDING);
		return;
	}
	if (!strcmp(state, "running")) {
		m->resume_at_ns = json_int_or(ok, "resume_at_ns", 0);
		m->gate_open_ns = json_int_or(ok, "gate_open_at_ns", 0);
		m->resume_ms = json_number_value(json_object_get(ok, "resume_ms"));
		driver_feed_type(m, EV_PEER_RUNNING);
	} else if (!strcmp(state, "never-ran")) {
		driver_feed_type(m, EV_PEER_NEVER_RAN);
	} else if (!strcmp(state, "lost")) {
		driver_feed_type(m, EV_PEER_LOST);
	} else {
		driver_feed_type(m, EV_PEER_PENDING);
	}
}

void source_send_switch(struct migration *m)
{
	call_peer(m, "switch", json_pack("{ss}", "migration", m->id), NULL);
}

void source_send_committed(struct migration *m)
{
	call_peer(m, "committed",
		json_pack("{ss sI}", "migration", m->id, "epoch", (json_int_t)m->epoch),
		on_committed);
}

void source_send_aborted(struct migration *m)
{
	call_peer(m, "aborted", json_pack("{ss}", "migration", m->id), NULL);
}

// ---- verify ----

static void compare(struct migration *m)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (!m->verify.local[0] || !m->verify.peer[0])
		return;
	m->verified = !strcmp(m->verify.local, m->verify.peer);
	if (m->verified) {
		driver_feed_type(m, EV_VERIFIED);
		return;
	}
	ferry_fail(&e, EBADMSG, "verify-mismatch",
		"the framebuffers differ: %.32s here, %.32s on %s", m->verify.local, m->verify.peer,
		m->peer_name);
	driver_feed_error(m, EV_FAILED, &e);
}

static void on_root(struct migration *m, const char *root, const struct ferry_error *e, char *ret)
{
	struct ferry_error bad = FERRY_ERROR_INIT;

	if (!e && root && record_id_valid(root)) {
		memcpy(ret, root, ENGINE_ID_SIZE);
		compare(m);
		return;
	}
	ferry_fail(&bad, EPROTO, "bad-message", "verification gave no digest");
	driver_feed_error(m, EV_FAILED, e ? e : &bad);
}

static void on_local_root(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	on_root(m, ok ? json_string_or(ok, "root", NULL) : NULL, e, m->verify.local);
}

static void on_peer_root(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	const json_t *first = ok ? json_array_get(json_object_get(ok, "roots"), 0) : NULL;

	on_root(m, json_string_value(first), e, m->verify.peer);
}

void source_verify(struct migration *m)
{
	m->verify.local[0] = m->verify.peer[0] = '\0';
	call_gpu(m, "root", NULL, NULL, 0, on_local_root);
	call_peer(m, "verify", json_pack("{ss}", "migration", m->id), on_peer_root);
}
