// SPDX-License-Identifier: Apache-2.0
#include "host/inventory.h"
#include "base/cleanup.h"
#include "host/db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// One string per schema version; version N is reached by running the N-th on N-1.
static const char *const upgrades[] = {
	"CREATE TABLE vm(name TEXT PRIMARY KEY, config TEXT NOT NULL, state TEXT NOT NULL,"
	" owner TEXT NOT NULL, epoch INTEGER NOT NULL, processes TEXT NOT NULL);"
	"CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL);"
	"CREATE TABLE event(n INTEGER PRIMARY KEY AUTOINCREMENT, doc TEXT NOT NULL);"
	"CREATE TABLE history(n INTEGER PRIMARY KEY AUTOINCREMENT, doc TEXT NOT NULL);",
};

enum statement {
	SAVE_VM,
	REMOVE_VM,
	EACH_VM,
	SET,
	UNSET,
	ALL_SETTINGS,
	ADD_EVENT,
	TRIM_EVENTS,
	EVENTS,
	ADD_HISTORY,
	TRIM_HISTORY,
	HISTORY,
	N_STATEMENTS,
};

static const char *const sql[N_STATEMENTS] = {
	[SAVE_VM] = "INSERT OR REPLACE INTO vm(name, config, state, owner, epoch, processes)"
		    " VALUES(?, ?, ?, ?, ?, ?)",
	[REMOVE_VM] = "DELETE FROM vm WHERE name = ?",
	[EACH_VM] = "SELECT name, config, state, owner, epoch, processes FROM vm ORDER BY name",
	[SET] = "INSERT OR REPLACE INTO setting(key, value) VALUES(?, ?)",
	[UNSET] = "DELETE FROM setting WHERE key = ?",
	[ALL_SETTINGS] = "SELECT key, value FROM setting",
	[ADD_EVENT] = "INSERT INTO event(doc) VALUES(?)",
	[TRIM_EVENTS] = "DELETE FROM event WHERE n <= ?",
	// The newest rows, given oldest first.
	[EVENTS] =
		"SELECT n, doc FROM (SELECT n, doc FROM event WHERE n > ? ORDER BY n DESC LIMIT ?)"
		" ORDER BY n",
	[ADD_HISTORY] = "INSERT INTO history(doc) VALUES(?)",
	[TRIM_HISTORY] = "DELETE FROM history WHERE n <= ?",
	[HISTORY] = "SELECT n, doc FROM (SELECT n, doc FROM history WHERE n > ? ORDER BY n DESC"
		    " LIMIT ?) ORDER BY n",
};

struct inventory {
	sqlite3 *db;
	sqlite3_stmt *statements[N_STATEMENTS];
	json_t *settings;
};

static int upgrade(sqlite3 *db, struct ferry_error *e)
{
	int version = 0;
	int r = db_version(db, &version, e);

	if (r < 0)
		return r;
	if (version > (int)ARRAY_SIZE(upgrades))
		return ferry_fail(e, EPROTO, "inventory",
			"the inventory's schema %d is newer than this ferryd's %zu", version,
			ARRAY_SIZE(upgrades));
	for (int v = version; v < (int)ARRAY_SIZE(upgrades); v++) {
		char step[1400];
		int n = snprintf(step, sizeof step, "BEGIN; %s PRAGMA user_version=%d; COMMIT;",
			upgrades[v], v + 1);
		if (n >= (int)sizeof step)
			return ferry_fail(
				e, E2BIG, "inventory", "schema step %d is too long", v + 1);
		r = db_exec(db, step, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load_settings(struct inventory *i, struct ferry_error *e)
{
	sqlite3_stmt *s = i->statements[ALL_SETTINGS];
	int r;

	i->settings = json_object();
	while ((r = db_step(s, e)) == 1)
		json_object_set_new(i->settings, db_text(s, 0), json_string(db_text(s, 1)));
	return r;
}

struct inventory *inventory_open(const char *path, struct ferry_error *e)
{
	struct inventory *i = calloc(1, sizeof *i);
	int r = i ? db_open(path, &i->db, e) : ferry_fail(e, ENOMEM, "no-memory", "no memory");

	if (r == 0)
		r = upgrade(i->db, e);
	for (int n = 0; n < N_STATEMENTS && r == 0; n++)
		r = db_prepare(i->db, sql[n], &i->statements[n], e);
	if (r == 0)
		r = load_settings(i, e);
	return r == 0 ? i : inventory_close(i);
}

struct inventory *inventory_close(struct inventory *i)
{
	if (!i)
		return NULL;
	for (int n = 0; n < N_STATEMENTS; n++)
		sqlite3_finalize(i->statements[n]);
	sqlite3_close(i->db);
	json_decref(i->settings);
	free(i);
	return NULL;
}

static int run(sqlite3_stmt *s, int r, struct ferry_error *e)
{
	if (r == 0)
		r = db_step(s, e);
	return r < 0 ? r : 0;
}

int inventory_save_vm(struct inventory *i, const struct inventory_vm *vm, struct ferry_error *e)
{
	sqlite3_stmt *s = i->statements[SAVE_VM];
	_cleanup_free_ char *config = json_dumps(vm->config, JSON_COMPACT);
	_cleanup_free_ char *processes = json_dumps(vm->processes, JSON_COMPACT);

	return run(s,
		db_bind(s, e, "ssssis", vm->name, config, vm->state, vm->owner, vm->epoch,
			processes),
		e);
}

int inventory_remove_vm(struct inventory *i, const char *name, struct ferry_error *e)
{
	sqlite3_stmt *s = i->statements[REMOVE_VM];

	return run(s, db_bind(s, e, "s", name), e);
}

static int give_vm(sqlite3_stmt *s, inventory_vm_fn fn, void *arg, struct ferry_error *e)
{
	_cleanup_json_ json_t *config =
		json_parse(db_text(s, 1), strlen(db_text(s, 1)), "config", e);
	_cleanup_json_ json_t *processes =
		json_parse(db_text(s, 5), strlen(db_text(s, 5)), "processes", e);
	struct inventory_vm vm = { .name = db_text(s, 0),
		.config = config,
		.state = db_text(s, 2),
		.owner = db_text(s, 3),
		.epoch = sqlite3_column_int64(s, 4),
		.processes = processes };

	return config && processes ? fn(arg, &vm, e) : -EPROTO;
}

int inventory_each_vm(struct inventory *i, inventory_vm_fn fn, void *arg, struct ferry_error *e)
{
	sqlite3_stmt *s = i->statements[EACH_VM];
	int r = db_bind(s, e, "");

	while (r == 0 && (r = db_step(s, e)) == 1)
		r = give_vm(s, fn, arg, e);
	sqlite3_reset(s);
	return r;
}

const json_t *inventory_settings(const struct inventory *i)
{
	return i->settings;
}

int inventory_set(struct inventory *i, const char *key, const char *value, struct ferry_error *e)
{
	sqlite3_stmt *s = i->statements[value ? SET : UNSET];
	int r = run(s, value ? db_bind(s, e, "ss", key, value) : db_bind(s, e, "s", key), e);

	if (r < 0)
		return r;
	if (value)
		json_object_set_new(i->settings, key, json_string(value));
	else
		json_object_del(i->settings, key);
	return 0;
}

// Adds a document and drops those that are more than `keep` older.
static int add(struct inventory *i, enum statement insert, enum statement trim, const json_t *doc,
	int64_t keep, int64_t *ret_number, struct ferry_error *e)
{
	_cleanup_free_ char *text = json_dumps(doc, JSON_COMPACT);
	sqlite3_stmt *s = i->statements[insert];
	int r = run(s, db_bind(s, e, "s", text), e);
	int64_t number = sqlite3_last_insert_rowid(i->db);

	if (r == 0 && number > keep) {
		s = i->statements[trim];
		r = run(s, db_bind(s, e, "i", number - keep), e);
	}
	if (r == 0 && ret_number)
		*ret_number = number;
	return r;
}

static json_t *list(
	struct inventory *i, enum statement which, int64_t after, int limit, struct ferry_error *e)
{
	sqlite3_stmt *s = i->statements[which];
	json_t *all = json_array();
	int r = db_bind(s, e, "ii", after, (int64_t)limit);

	while (r == 0 && (r = db_step(s, e)) == 1) {
		const char *text = db_text(s, 1);
		json_t *doc = json_parse(text, strlen(text), "a row", e);
		json_object_set_new(doc, "n", json_integer(sqlite3_column_int64(s, 0)));
		r = doc ? json_array_append_new(all, doc) : -EPROTO;
	}
	sqlite3_reset(s);
	if (r == 0)
		return all;
	json_decref(all);
	return NULL;
}

int inventory_add_event(
	struct inventory *i, const json_t *event, int64_t *ret_number, struct ferry_error *e)
{
	return add(i, ADD_EVENT, TRIM_EVENTS, event, INVENTORY_MAX_EVENTS, ret_number, e);
}

json_t *inventory_events(struct inventory *i, int64_t after, int limit, struct ferry_error *e)
{
	return list(i, EVENTS, after, limit, e);
}

int inventory_add_history(struct inventory *i, const json_t *result, struct ferry_error *e)
{
	return add(i, ADD_HISTORY, TRIM_HISTORY, result, INVENTORY_MAX_HISTORY, NULL, e);
}

json_t *inventory_history(struct inventory *i, int limit, struct ferry_error *e)
{
	return list(i, HISTORY, 0, limit, e);
}
