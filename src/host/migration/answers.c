// SPDX-License-Identifier: Apache-2.0
// Requests of other hosts that open a migration here, or ask what became of one.
#include "host/migration/aborted.h"
#include "host/migration/driver.h"

#include <errno.h>
#include <string.h>

// From what is on disk: the one truth, whatever this daemon remembers.
void answer_ask(struct host *h, struct peer *p, int64_t id, json_t *args)
{
	struct record r = { .config = NULL };
	const char *migration = json_string_or(args, "migration", "");
	struct migration *m = driver_find(h, migration);
	const char *state = "";

	if (m && m->begun)
		state = m->role == ROLE_SOURCE ? source_state_name(m->source.state)
					       : dest_state_name(m->dest.state);
	bool found = record_id_valid(migration) && record_find(migration, &r) == 0;
	enum record_state record = found ? r.state : RECORD_NONE;
	if (!found && aborted_known(migration))
		record = RECORD_ABORTED;
	link_answer(peer_link(p), id,
		json_pack("{ss ss}", "record", record_name(record), "state", state));
	record_free(&r);
}

// A source asks again after this daemon has done with the migration, or was restarted since.
void answer_committed_from_record(struct host *h, struct peer *p, int64_t id, json_t *args)
{
	struct record r = { .config = NULL };
	struct ferry_error e = FERRY_ERROR_INIT;
	const char *migration = json_string_or(args, "migration", "");
	int64_t epoch = json_int_or(args, "epoch", 0);

	(void)h;
	bool found = record_id_valid(migration) && record_find(migration, &r) == 0 && !r.source &&
		     epoch >= 0 && r.epoch == (uint64_t)epoch;
	enum record_state state = found ? r.state : RECORD_NONE;
	record_free(&r);
	if (state == RECORD_OWNED || state == RECORD_NEVER_RAN) {
		link_answer(peer_link(p), id,
			json_pack("{ss sI sI sf}", "state",
				state == RECORD_OWNED ? "running" : "never-ran", "resume_at_ns",
				(json_int_t)r.resume_at_ns, "gate_open_at_ns",
				(json_int_t)r.gate_open_ns, "resume_ms", 0.0));
		return;
	}
	// Never "never-ran" without the record that makes it true for ever.
	ferry_fail(&e, ENOENT, "unknown-migration", "nothing is known here of migration %.8s",
		migration);
	ferry_error_remedy(&e, "find out where the VM runs, then: ferry recover");
	link_refuse(peer_link(p), id, &e);
}

void migration_peer_request(
	struct host *h, struct peer *p, int64_t id, const char *op, json_t *args)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct migration *m = driver_find(h, json_string_or(args, "migration", ""));

	if (!strcmp(op, "ask")) {
		answer_ask(h, p, id, args);
	} else if (!strcmp(op, "prepare")) {
		if (dest_prepare(h, p, id, args, &e) < 0)
			link_refuse(peer_link(p), id, &e);
	} else if (m && m->role == ROLE_DEST && !strcmp(peer_name(p), m->peer_name)) {
		dest_take_peer(m, p); // the source came back
		dest_request(m, p, id, op, args);
	} else if (!strcmp(op, "committed")) {
		answer_committed_from_record(h, p, id, args);
	} else if (!strcmp(op, "aborted")) {
		link_answer(peer_link(p), id, NULL); // nothing of it is left here
	} else {
		ferry_fail(&e, EINVAL, "unknown-op", "unknown request '%.40s'", op);
		link_refuse(peer_link(p), id, &e);
	}
}

int migration_accept_channel(struct host *h, int fd, const struct preface *p, struct ferry_error *e)
{
	char id[ENGINE_ID_SIZE];

	for (unsigned i = 0; i < sizeof p->migration; i++)
		snprintf(id + 2 * i, 3, "%02x", p->migration[i]);
	struct migration *m = driver_find(h, id);
	if (!m)
		return ferry_fail(e, ENOENT, "unknown-migration",
			"data connection for migration %.8s, which is not known here", id);
	return dest_take_channel(m, fd, p, e);
}
