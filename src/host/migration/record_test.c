// SPDX-License-Identifier: Apache-2.0
#include "host/migration/record.h"
#include "base/file.h"
#include "base/test.h"
#include "host/migration/aborted.h"

#include <errno.h>
#include <unistd.h>

static struct record sample(void)
{
	struct record r = { .vm = "vm1",
		.epoch = 3,
		.source = true,
		.state = RECORD_COMMITTED,
		.peer = "b",
		.resume_at_ns = 5 };

	strcpy(r.migration, "00112233445566778899aabbccddeeff");
	return r;
}

static void test_what_is_written_is_read(void)
{
	struct record r = sample(), got = { .config = NULL };

	r.config = json_pack("{ss}", "name", "vm1");
	CHECK_EQ(record_write(&r, NULL), 0);
	CHECK_EQ(record_read("vm1", &got, NULL), 0);
	CHECK_STR(got.migration, r.migration);
	CHECK_STR(got.vm, "vm1");
	CHECK_STR(got.peer, "b");
	CHECK_EQ(got.epoch, 3);
	CHECK_EQ(got.state, RECORD_COMMITTED);
	CHECK_EQ(got.resume_at_ns, 5);
	CHECK(got.source && !got.finished);
	CHECK(json_equal(got.config, r.config));
	record_free(&got);
	CHECK_EQ(record_find(r.migration, &got), 0);
	CHECK_STR(got.vm, "vm1");
	record_free(&got);
	CHECK_EQ(record_find("ffffffffffffffffffffffffffffffff", &got), -ENOENT);
	record_free(&r);
	CHECK_EQ(record_remove("vm1", NULL), 0);
	CHECK_EQ(record_read("vm1", &got, NULL), -ENOENT);
	CHECK_EQ(record_remove("vm1", NULL), 0);
}

static int parse_with(const char *key, json_t *value)
{
	struct record r = sample(), got = { .config = NULL };
	json_t *doc = record_to_json(&r);

	json_object_set_new(doc, key, value);
	int result = record_parse(doc, &got, NULL);
	record_free(&got);
	json_decref(doc);
	return result;
}

static void test_every_field_is_checked(void)
{
	CHECK_EQ(parse_with("epoch", json_integer(4)), 0);
	CHECK(parse_with("epoch", json_integer(-1)) < 0);
	CHECK(parse_with("epoch", json_integer(INT64_MAX)) < 0); // epoch + 1 must exist
	CHECK(parse_with("schema", json_integer(2)) < 0);
	CHECK(parse_with("migration", json_string("00112233445566778899aabbccddeef")) < 0);
	CHECK(parse_with("migration", json_string("00112233445566778899AABBCCDDEEFF")) < 0);
	CHECK(parse_with("migration", json_null()) < 0);
	CHECK(parse_with("state", json_string("sealed")) < 0); // no state of a source
	CHECK(parse_with("state", json_string("none")) < 0);
	CHECK(parse_with("state", json_string("commit")) < 0);
	CHECK(parse_with("role", json_string("destination")) < 0);
	CHECK(parse_with("role", json_string("nobody")) < 0);
	CHECK(parse_with("peer", json_integer(1)) < 0);
}

static void write_state(const char *id, enum record_state state)
{
	struct record r = sample();

	strcpy(r.migration, id);
	r.source = state != RECORD_INCOMING && state != RECORD_SEALED;
	r.state = state;
	CHECK_EQ(record_write(&r, NULL), 0);
}

// A destination that sealed the first and was away asks when the source has begun the third.
static void test_aborted_migrations_are_remembered(void)
{
	static const char *const ids[] = { "00000000000000000000000000000001",
		"00000000000000000000000000000002", "00000000000000000000000000000003",
		"00000000000000000000000000000004" };
	char id[ENGINE_ID_SIZE];

	write_state(ids[0], RECORD_ACTIVE);
	write_state(ids[0], RECORD_ABORTED);
	CHECK(!aborted_known(ids[0])); // its record says so
	write_state(ids[1], RECORD_ACTIVE);
	CHECK(aborted_known(ids[0]));
	write_state(ids[1], RECORD_COMMITTED); // it left, and comes back
	write_state(ids[2], RECORD_INCOMING);
	CHECK_EQ(record_remove("vm1", NULL), 0);
	CHECK(!aborted_known(ids[1])); // never: a person decides
	CHECK(!aborted_known(ids[2]));
	write_state(ids[3], RECORD_ABORTED);
	CHECK_EQ(record_remove("vm1", NULL), 0);
	CHECK(aborted_known(ids[0]) && aborted_known(ids[3]));
	CHECK(!aborted_known("") && !aborted_known("../x"));

	for (int i = 0; i < ABORTED_MAX; i++) {
		snprintf(id, sizeof id, "%032x", 100 + i);
		CHECK_EQ(aborted_keep(id, NULL), 0);
	}
	CHECK(aborted_known(id) && !aborted_known(ids[0]) && !aborted_known(ids[3]));
	CHECK_EQ(file_write_durable("aborted.json", "{\"aborted\":7", 12, NULL), 0);
	CHECK(!aborted_known(id));
	CHECK_EQ(aborted_keep(id, NULL), 0);
	CHECK(aborted_known(id));
}

static void count(void *arg, const struct record *r)
{
	(void)r;
	(*(int *)arg)++;
}

static void test_unreadable_records_are_left_alone(void)
{
	struct record r = sample();
	int n = 0;

	CHECK_EQ(record_write(&r, NULL), 0);
	CHECK_EQ(file_write_durable("records/broken.json", "{\"schema\":1", 11, NULL), 0);
	CHECK_EQ(file_write_durable("records/vm1.json.new", "x", 1, NULL), 0); // a crash left it
	record_each(count, &n);
	CHECK_EQ(n, 1);
	CHECK_EQ(access("records/broken.json", F_OK), 0);
}

static void test_names_that_leave_the_folder_are_refused(void)
{
	struct record r = sample();

	strcpy(r.vm, "../x");
	CHECK(record_write(&r, NULL) < 0);
	CHECK(record_remove("../x", NULL) < 0);
	CHECK(record_remove("", NULL) < 0);
}

static void test_new_ids_differ(void)
{
	char a[ENGINE_ID_SIZE], b[ENGINE_ID_SIZE];

	CHECK_EQ(record_new_id(a, NULL), 0);
	CHECK_EQ(record_new_id(b, NULL), 0);
	CHECK(record_id_valid(a) && record_id_valid(b) && strcmp(a, b));
}

int main(void)
{
	char folder[] = "/tmp/ferry-record-XXXXXX";

	CHECK(mkdtemp(folder) && chdir(folder) == 0);
	RUN(test_what_is_written_is_read);
	RUN(test_every_field_is_checked);
	RUN(test_aborted_migrations_are_remembered);
	RUN(test_unreadable_records_are_left_alone);
	RUN(test_names_that_leave_the_folder_are_refused);
	RUN(test_new_ids_differ);
	CHECK(chdir("/") == 0 && path_remove(folder, NULL) == 0);
	return 0;
}
