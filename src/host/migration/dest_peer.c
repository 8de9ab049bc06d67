// SPDX-License-Identifier: Apache-2.0
// What the destination hears from the source, and asks it.
#include "host/migration/driver.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "host/precheck/precheck.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

// ---- requests of the source ----

static void decide(struct migration *m, enum event_type type, json_t *args)
{
	struct event ev = { .type = type };
	int64_t epoch = json_int_or(args, "epoch", 0);

	memcpy(ev.decision.migration, m->id, sizeof ev.decision.migration);
	ev.decision.epoch = epoch > 0 ? (uint64_t)epoch : 0;
	driver_feed(m, &ev);
}

static void on_root(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	int64_t id = m->verify_request;

	m->verify_request = 0;
	if (!id || !m->peer_ready)
		return;
	if (e) {
		link_refuse(peer_link(m->peer), id, e);
		return;
	}
	link_answer(peer_link(m->peer), id,
		json_pack("{s[s] sf}", "roots", json_string_or(ok, "root", ""), "ms",
			json_number_value(json_object_get(ok, "ms"))));
}

static void verify(struct migration *m, int64_t id)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (m->dest.state == DEST_SEALED && !m->verify_request) {
		m->verify_request = id;
		call_gpu(m, "root", NULL, NULL, 0, on_root);
		return;
	}
	ferry_fail(&e, EINVAL, "not-sealed", "only a sealed copy can be verified");
	link_refuse(peer_link(m->peer), id, &e);
}

static void on_committed(struct migration *m, struct peer *p, int64_t id, json_t *args)
{
	if (m->commit_request) { // asked twice on one connection: the first is not answered any more
		struct ferry_error e = FERRY_ERROR_INIT;
		ferry_fail(&e, EBUSY, "asked-again", "asked again");
		link_refuse(peer_link(p), m->commit_request, &e);
	}
	m->commit_request = id;
	decide(m, EV_COMMITTED, args);
}

void dest_request(struct migration *m, struct peer *p, int64_t id, const char *op, json_t *args)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	bool ours = !strcmp(json_string_or(args, "migration", ""), m->id);

	if (!strcmp(op, "ask")) {
		answer_ask(m->host, p, id, args);
	} else if (!ours) {
		ferry_fail(&e, EINVAL, "wrong-migration",
			"this connection belongs to migration %.8s", m->id);
		link_refuse(peer_link(p), id, &e);
	} else if (!strcmp(op, "switch")) {
		link_answer(peer_link(p), id, NULL);
		driver_feed_type(m, EV_SWITCH);
	} else if (!strcmp(op, "committed")) {
		on_committed(m, p, id, args);
	} else if (!strcmp(op, "aborted")) {
		link_answer(peer_link(p), id, NULL);
		decide(m, EV_ABORTED, args);
	} else if (!strcmp(op, "verify")) {
		verify(m, id);
	} else {
		ferry_fail(&e, EINVAL, "unknown-op", "unknown request '%.40s'", op);
		link_refuse(peer_link(p), id, &e);
	}
}

static void on_request(void *arg, struct peer *p, int64_t id, const char *op, json_t *args)
{
	dest_request(arg, p, id, op, args);
}

static void on_closed(void *arg, struct peer *p, const struct ferry_error *why)
{
	struct migration *m = arg;

	(void)why;
	if (m->peer == p)
		m->peer = NULL;
	peer_free(p);
	m->peer_ready = false;
	m->commit_request = m->prepare_request = m->verify_request = 0;
	driver_feed_type(m, EV_LINK_LOST);
	if (m->dest.state == DEST_RUNNING)
		driver_end(m); // the record answers from here on
}

static const struct peer_ops ops = { .request = on_request, .closed = on_closed };

void dest_take_peer(struct migration *m, struct peer *p)
{
	if (m->peer == p)
		return;
	peer_free(m->peer);
	m->commit_request = m->prepare_request = m->verify_request = 0;
	m->peer = p;
	m->peer_ready = true;
	peer_take(p, &ops, m);
	if (m->begun)
		driver_feed_type(m, EV_LINK_UP);
}

// ---- prepare ----

struct prepare {
	char id[ENGINE_ID_SIZE], mode[16];
	uint64_t epoch, channels;
	json_t *config; // borrowed
};

static int read_prepare(json_t *args, struct prepare *ret, struct ferry_error *e)
{
	enum mode mode;

	if (json_get_string(args, "migration", ret->id, sizeof ret->id, e) < 0 ||
		json_get_string(args, "mode", ret->mode, sizeof ret->mode, e) < 0 ||
		json_get_u64(args, "epoch", INT64_MAX - 8, &ret->epoch, e) < 0 ||
		json_get_u64(args, "channels", DRIVER_MAX_CHANNELS, &ret->channels, e) < 0)
		return -EPROTO;
	ret->config = json_object_get(args, "vm");
	if (!record_id_valid(ret->id) || mode_from_name(ret->mode, &mode) < 0 ||
		ret->channels < 1 || !json_is_object(ret->config))
		return ferry_fail(e, EPROTO, "bad-message", "malformed 'prepare'");
	return 0;
}

// The precheck looked already; another VM may have come since.
static int check_room(struct host *h, const json_t *config, struct ferry_error *e)
{
	struct vm_spec s;
	int r = vm_doc_check(config, e);

	if (r == 0)
		r = vm_doc_read(config, &s, e);
	return r < 0 ? r : precheck_room(h, &s, e);
}

int dest_prepare(struct host *h, struct peer *p, int64_t id, json_t *args, struct ferry_error *e)
{
	struct prepare x;
	struct vm *vm = NULL;
	uint8_t token[DRIVER_TOKEN_BYTES];
	int r = read_prepare(args, &x, e);

	if (r < 0)
		return r;
	if (driver_find(h, x.id))
		return ferry_fail(
			e, EEXIST, "migration-known", "migration %.8s is under way here", x.id);
	if (getrandom(token, sizeof token, 0) != (ssize_t)sizeof token)
		return ferry_fail(e, EIO, "random", "no random numbers: %m");
	r = check_room(h, x.config, e);
	if (r == 0)
		r = vm_create_incoming(h, x.config, x.epoch, peer_name(p), &vm, e);
	if (r < 0)
		return r;
	struct migration *m = driver_new(h, ROLE_DEST, vm, x.id);
	if (!m) {
		vm_discard(vm, NULL, "no memory", NULL, NULL);
		return ferry_fail(e, ENOMEM, "no-memory", "out of memory");
	}
	m->epoch = x.epoch;
	m->channels = (unsigned)x.channels;
	memcpy(m->token, token, sizeof m->token);
	m->config = json_incref(vm->config);
	snprintf(m->peer_name, sizeof m->peer_name, "%s", peer_name(p));
	dest_take_peer(m, p);
	m->prepare_request = id;
	struct dest_config cfg = { .epoch = m->epoch, .gpu = vm->n_vgpus > 0 };
	memcpy(cfg.id, m->id, sizeof cfg.id);
	dest_init(&m->dest, &cfg);
	m->begun = true;
	driver_feed_type(m, EV_START);
	return 0;
}

// ---- asking the source ----

static void on_answer(struct migration *m, const json_t *ok, const struct ferry_error *e)
{
	enum record_state r = ok ? record_from_name(json_string_or(ok, "record", "")) : RECORD_NONE;
	struct event ev = { .type = EV_PEER_NONE };

	m->asking = peer_free(m->asking);
	if (e)
		return;
	memcpy(ev.decision.migration, m->id, sizeof ev.decision.migration);
	ev.decision.epoch = m->epoch;
	if (r == RECORD_COMMITTED)
		ev.type = EV_COMMITTED;
	else if (r == RECORD_ABORTED)
		ev.type = EV_ABORTED;
	else if (r == RECORD_ACTIVE)
		ev.type = EV_PEER_ACTIVE;
	driver_feed(m, &ev);
}

static void on_ask_ready(void *arg, struct peer *p)
{
	struct migration *m = arg;

	call_link(
		m, peer_link(p), "ask", json_pack("{ss}", "migration", m->id), NULL, 0, on_answer);
}

static void on_ask_closed(void *arg, struct peer *p, const struct ferry_error *why)
{
	struct migration *m = arg;

	(void)why;
	if (m->asking == p)
		m->asking = NULL;
	peer_free(p);
}

static const struct peer_ops ask_ops = { .ready = on_ask_ready, .closed = on_ask_closed };

// Over a connection of its own: the source's may be lost, or be the one that hangs.
void dest_ask(struct migration *m)
{
	if (!m->asking)
		m->asking = peer_connect(m->host, m->peer_name, DRIVER_CONNECT_MS, &ask_ops, m);
}
