// SPDX-License-Identifier: Apache-2.0
#include "host/config.h"
#include "base/test.h"

#include <arpa/inet.h>
#include <unistd.h>

static json_t *sample(void)
{
	return json_pack(
		"{s:s, s:s, s:s, s:{s:s}, s:{s:s, s:s, s:s}, s:s, s:s, s:b, s:s, s:s, s:{s:s},"
		" s:{s:s}, s:{s:s}}",
		"host", "a", "state", "state", "listen", "10.98.0.1:7700", "peers", "b",
		"10.98.0.2:7700", "guest", "bridge", "br0", "subnet", "10.77.0.0/16", "first",
		"10.77.1.1", "image", "/image", "programs", "/programs", "faults", 1, "bandwidth",
		"1gbit", "memory", "24G", "vgpu", "tracker", "wp", "env", "POCL_MAX", "2",
		"settings", "migration.channels", "2");
}

static void test_a_whole_file(void)
{
	json_t *doc = sample();
	struct config c;
	char state[4200], cwd[4096];

	CHECK_EQ(config_parse(doc, &c, NULL), 0);
	snprintf(state, sizeof state, "%s/state", getcwd(cwd, sizeof cwd));
	CHECK_STR(c.state, state);
	CHECK_STR(c.image, "/image");
	CHECK_STR(config_peer_address(&c, "b"), "10.98.0.2:7700");
	CHECK(!config_peer_address(&c, "c"));
	CHECK_EQ(c.guest.network, ntohl(inet_addr("10.77.0.0")));
	CHECK_EQ(c.guest.first, ntohl(inet_addr("10.77.1.1")));
	CHECK_STR(c.guest.gateway, "10.77.0.1");
	CHECK_EQ(c.bandwidth_bytes_per_s, 125000000);
	CHECK_EQ(c.memory_bytes, 24ull << 30);
	CHECK_STR(c.tracker, "wp");
	CHECK_STR(c.env[0], "POCL_MAX=2");
	CHECK(!c.env[1] && c.faults && c.settings);
	config_free(&c);
	json_decref(doc);
}

static void test_host_and_state_are_enough(void)
{
	json_t *doc = json_pack("{s:s, s:s, s:n}", "host", "a", "state", "/s", "bandwidth");
	struct config c;

	CHECK_EQ(config_parse(doc, &c, NULL), 0);
	CHECK(!c.listen[0] && !c.n_peers && !c.guest.bridge[0] && !c.faults);
	CHECK_EQ(c.bandwidth_bytes_per_s, 0);
	CHECK_EQ(c.memory_bytes, 0);
	CHECK_STR(c.tracker, "auto");
	config_free(&c);
	json_decref(doc);
}

// The file with one field changed (NULL: without it); steals the value.
static int parse_with(const char *key, json_t *value, struct ferry_error *e)
{
	json_t *doc = sample();
	struct config c = { .n_peers = 77 };

	if (value)
		json_object_set_new(doc, key, value);
	else
		json_object_del(doc, key);
	int r = config_parse(doc, &c, e);
	json_decref(doc);
	if (r == 0)
		config_free(&c);
	else
		CHECK_EQ(c.n_peers, 77); // untouched
	return r;
}

static void test_every_field_has_a_type(void)
{
	static const char *const keys[] = { "host", "state", "listen", "peers", "guest", "image",
		"programs", "faults", "bandwidth", "memory", "vgpu", "env", "settings", NULL };

	for (const char *const *k = keys; *k; k++) {
		struct ferry_error e = FERRY_ERROR_INIT;
		CHECK(parse_with(*k, json_integer(7), &e) < 0);
		CHECK(e.message[0]);
		CHECK(parse_with(*k, json_pack("[s]", "x"), NULL) < 0);
	}
	CHECK(parse_with("host", NULL, NULL) < 0);
	CHECK(parse_with("state", NULL, NULL) < 0);
}

static void test_values_are_checked(void)
{
	static const struct {
		const char *key, *text;
	} bad[] = { { "host", "" }, { "host", "a/b" },
		{ "host", "a name that is longer than they may be" }, { "state", "" },
		{ "bandwidth", "fast" }, { "memory", "0" }, { "memory", "much" },
		{ "memory", "-1G" }, { NULL, NULL } };
	static const char *const subnets[] = { "10.77.0.0", "10.77.0.0/7", "10.77.0.0/30", "x/16",
		"10.77.0.300/16", NULL };

	for (int i = 0; bad[i].key; i++)
		CHECK(parse_with(bad[i].key, json_string(bad[i].text), NULL) < 0);
	for (const char *const *s = subnets; *s; s++)
		CHECK(parse_with("guest",
			      json_pack("{s:s, s:s, s:s}", "bridge", "br0", "subnet", *s, "first",
				      "10.77.1.1"),
			      NULL) < 0);
	CHECK(parse_with("guest",
		      json_pack("{s:s, s:s, s:s}", "bridge", "br0", "subnet", "10.77.0.0/16",
			      "first", "10.78.1.1"),
		      NULL) < 0);
	CHECK(parse_with("vgpu", json_pack("{s:s}", "tracker", "magic"), NULL) < 0);
	CHECK(parse_with("vgpu", json_pack("{s:i}", "tracker", 1), NULL) < 0);
	CHECK(parse_with("peers", json_pack("{s:i}", "b", 1), NULL) < 0);
	CHECK(parse_with("peers", json_pack("{s:s}", "../b", "1.2.3.4:5"), NULL) < 0);
	CHECK(parse_with("env", json_pack("{s:s}", "A=B", "c"), NULL) < 0);
	CHECK(parse_with("settings", json_pack("{s:s}", "migration.channels", "0"), NULL) < 0);
	CHECK(parse_with("settings", json_pack("{s:s}", "no.such", "0"), NULL) < 0);
	CHECK(parse_with("listenn", json_string("a typing error"), NULL) < 0);
}

static void test_a_missing_file_is_named(void)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct config c;

	CHECK(config_load("/nonexistent/ferryd.json", &c, &e) < 0);
	CHECK(strstr(e.message, "/nonexistent/ferryd.json"));
}

int main(void)
{
	RUN(test_a_whole_file);
	RUN(test_host_and_state_are_enough);
	RUN(test_every_field_has_a_type);
	RUN(test_values_are_checked);
	RUN(test_a_missing_file_is_named);
	return 0;
}
