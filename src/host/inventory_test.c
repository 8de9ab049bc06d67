// SPDX-License-Identifier: Apache-2.0
#include "host/inventory.h"
#include "base/test.h"
#include "host/db.h"
#include "host/test_folder.h"

#include <errno.h>

static int look(void *arg, const struct inventory_vm *vm, struct ferry_error *e)
{
	char *seen = arg;

	CHECK_STR(vm->owner, "b");
	CHECK_EQ(vm->epoch, 1ll << 40);
	CHECK_EQ(json_int_or(vm->config, "vcpus", 0), 2);
	CHECK_EQ(json_int_or(json_object_get(vm->processes, "qemu"), "pid", 0), 42);
	sprintf(seen + strlen(seen), "%s:%s ", vm->name, vm->state);
	return 0;
}

static void save(struct inventory *i, const char *name, const char *state)
{
	json_t *config = json_pack("{s:s, s:i}", "name", name, "vcpus", 2);
	json_t *processes = json_pack("{s:{s:i}}", "qemu", "pid", 42);
	struct inventory_vm vm = { .name = name,
		.config = config,
		.state = state,
		.owner = "b",
		.epoch = 1ll << 40,
		.processes = processes };

	CHECK_EQ(inventory_save_vm(i, &vm, NULL), 0);
	json_decref(config);
	json_decref(processes);
}

static void test_state_survives_reopening(void)
{
	struct inventory *i = inventory_open("one.db", NULL);
	char seen[200] = "";

	CHECK(i);
	save(i, "vm2", "stopped");
	save(i, "vm1", "running");
	save(i, "gone", "stopped");
	save(i, "vm1", "sealed"); // replaces
	CHECK_EQ(inventory_remove_vm(i, "gone", NULL), 0);
	CHECK_EQ(inventory_set(i, "migration.channels", "2", NULL), 0);
	CHECK_EQ(inventory_set(i, "migration.tracker", "wp", NULL), 0);
	CHECK_EQ(inventory_set(i, "migration.tracker", NULL, NULL), 0);
	inventory_close(i);

	i = inventory_open("one.db", NULL);
	CHECK_EQ(inventory_each_vm(i, look, seen, NULL), 0);
	CHECK_STR(seen, "vm1:sealed vm2:stopped ");
	CHECK_EQ(json_object_size(inventory_settings(i)), 1);
	CHECK_STR(json_string_or(inventory_settings(i), "migration.channels", ""), "2");
	inventory_close(i);
}

static void test_names_are_data(void)
{
	struct inventory *i = inventory_open("names.db", NULL);
	char seen[200] = "";

	save(i, "x'); DROP TABLE vm; --", "stopped");
	CHECK_EQ(inventory_each_vm(i, look, seen, NULL), 0);
	CHECK_STR(seen, "x'); DROP TABLE vm; --:stopped ");
	inventory_close(i);
}

static void test_events_are_numbered_and_trimmed(void)
{
	struct inventory *i = inventory_open("events.db", NULL);
	int64_t n = 0;

	for (int k = 0; k < 5; k++) {
		json_t *doc = json_pack("{s:i}", "k", k);
		CHECK_EQ(inventory_add_event(i, doc, &n, NULL), 0);
		json_decref(doc);
	}
	CHECK_EQ(n, 5);
	json_t *list = inventory_events(i, 2, 2, NULL);
	CHECK_EQ(json_array_size(list), 2); // the newest, oldest first
	CHECK_EQ(json_int_or(json_array_get(list, 0), "n", 0), 4);
	CHECK_EQ(json_int_or(json_array_get(list, 1), "k", 0), 4);
	json_decref(list);
	list = inventory_history(i, 10, NULL);
	CHECK_EQ(json_array_size(list), 0);
	json_decref(list);
	inventory_close(i);
}

static void test_old_history_goes(void)
{
	struct inventory *i = inventory_open(":memory:", NULL);
	json_t *doc = json_pack("{s:s}", "vm", "x");

	for (int k = 0; k < INVENTORY_MAX_HISTORY + 3; k++)
		CHECK_EQ(inventory_add_history(i, doc, NULL), 0);
	json_t *list = inventory_history(i, 2 * INVENTORY_MAX_HISTORY, NULL);
	CHECK_EQ(json_array_size(list), INVENTORY_MAX_HISTORY);
	CHECK_EQ(json_int_or(json_array_get(list, 0), "n", 0), 4);
	json_decref(list);
	json_decref(doc);
	inventory_close(i);
}

static void sql(const char *path, const char *text)
{
	sqlite3 *db;

	CHECK_EQ(db_open(path, &db, NULL), 0);
	CHECK_EQ(db_exec(db, text, NULL), 0);
	sqlite3_close(db);
}

static void test_a_newer_schema_is_refused(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	inventory_close(inventory_open("newer.db", NULL));
	sql("newer.db", "PRAGMA user_version=99");
	CHECK(!inventory_open("newer.db", &e));
	CHECK(strstr(e.message, "99"));
}

static void test_damage_is_an_error(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	char seen[200] = "";
	FILE *f = fopen("noise.db", "w");

	fputs("this is no database, and it is longer than a header of SQLite would be, by far", f);
	fclose(f);
	CHECK(!inventory_open("noise.db", &e));
	CHECK_STR(e.code, "inventory");

	struct inventory *i = inventory_open("row.db", NULL);
	save(i, "vm1", "running");
	sql("row.db", "UPDATE vm SET config='{'; INSERT INTO history(doc) VALUES('[');");
	CHECK(inventory_each_vm(i, look, seen, NULL) < 0);
	CHECK(!inventory_history(i, 10, NULL));
	inventory_close(i);
}

int main(void)
{
	test_folder_enter();
	RUN(test_state_survives_reopening);
	RUN(test_names_are_data);
	RUN(test_events_are_numbered_and_trimmed);
	RUN(test_old_history_goes);
	RUN(test_a_newer_schema_is_refused);
	RUN(test_damage_is_an_error);
	return 0;
}
