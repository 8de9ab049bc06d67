// SPDX-License-Identifier: Apache-2.0
// Routes about the host itself.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "host/api/api.h"
#include "host/host.h"
#include "host/inventory.h"
#include "host/placement.h"
#include "host/turns.h"
#include "host/precheck/precheck.h"
#include "vgpu/profile.h"
#include "host/settings.h"

// The table, and how many more of each can be placed now.
static json_t *profiles_json(const struct host *h)
{
	json_t *all = json_array();

	for (size_t i = 0; i < profile_count; i++) {
		struct ferry_error why = FERRY_ERROR_INIT;
		json_t *p = profile_to_json(&profiles[i]);
		unsigned n = placement_count(h, &profiles[i], &why);
		json_object_set_new(p, "placeable", json_integer(n));
		if (!n)
			json_object_set_new(p, "placeable_reason", json_string(why.message));
		json_array_append_new(all, p);
	}
	return all;
}

static void get_host(struct request *r)
{
	struct host *h = request_host(r);
	json_t *peers = json_object();

	for (size_t i = 0; i < h->config.n_peers; i++)
		json_object_set_new(
			peers, h->config.peers[i].name, json_string(h->config.peers[i].address));
	json_t *doc = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o}",
		"host", h->config.host, "version", FERRY_VERSION_TEXT, "protocol", PEER_PROTOCOL,
		"accelerator", vm_accel_name(h->accel.accel), "accelerator_reason", h->accel.reason,
		"qemu_version", h->facts.qemu_version, "machine", h->facts.default_machine,
		"tracker", h->config.tracker, "available_bytes",
		(json_int_t)host_available_memory(), "memory_bytes",
		(json_int_t)h->config.memory_bytes, "given_bytes", (json_int_t)host_given_memory(h),
		"peers", peers, "profiles", profiles_json(h));
	request_answer(r, 200, doc);
}

static void get_profiles(struct request *r)
{
	request_answer(r, 200, profiles_json(request_host(r)));
}

// A number of the query, or the default; out of range is the nearest bound.
static int64_t query_number(struct request *r, const char *key, int64_t max, int64_t fallback)
{
	const char *text = request_query(r, key);
	long long n = text ? strtoll(text, NULL, 10) : fallback;

	return n < 0 ? 0 : n > max ? max : n;
}

static void answer_list(struct request *r, json_t *list, const struct ferry_error *e)
{
	if (list)
		request_answer(r, 200, list);
	else
		request_fail(r, e);
}

static void get_history(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int limit = (int)query_number(r, "limit", INVENTORY_MAX_HISTORY, 100);

	answer_list(r, inventory_history(request_host(r)->inventory, limit, &e), &e);
}

static void get_events(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int limit = (int)query_number(r, "limit", INVENTORY_MAX_EVENTS, 1000);
	int64_t after = query_number(r, "after", INT64_MAX, 0);

	answer_list(r, inventory_events(request_host(r)->inventory, after, limit, &e), &e);
}

static void get_faults(struct request *r)
{
	request_answer(r, 200, faults_list(request_host(r)->faults));
}

static void post_fault(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_json_ json_t *body = request_body(r);
	char text[80];

	if (!body)
		return;
	int n = json_get_string(body, "fault", text, sizeof text, &e);
	if (n == 0)
		n = faults_set(request_host(r)->faults, text, &e);
	if (n < 0)
		request_fail(r, &e);
	else
		request_answer(r, 200, faults_list(request_host(r)->faults));
}

static void delete_faults(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (faults_clear(request_host(r)->faults, request_query(r, "name"), &e) < 0)
		request_fail(r, &e);
	else
		request_answer(r, 200, faults_list(request_host(r)->faults));
}

static void get_settings(struct request *r)
{
	request_answer(r, 200, settings_json(request_host(r), NULL));
}

// All or nothing: checked first, then set.
static int set_all(struct host *h, json_t *body, struct ferry_error *e)
{
	const char *key;
	json_t *value;
	int r = settings_check_all(body, e);

	json_object_foreach(body, key, value)
	{
		if (r == 0)
			r = inventory_set(h->inventory, key, json_string_value(value), e);
	}
	return r;
}

static void put_settings(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	_cleanup_json_ json_t *body = request_body(r);

	if (!body)
		return;
	if (set_all(request_host(r), body, &e) < 0)
		request_fail(r, &e);
	else {
		host_turns_set_policy(request_host(r));
		get_settings(r);
	}
}

const struct route host_routes[] = {
	{ "GET", "host", get_host },
	{ "GET", "profiles", get_profiles },
	{ "GET", "history", get_history },
	{ "GET", "events", get_events },
	{ "GET", "settings", get_settings },
	{ "PUT", "settings", put_settings },
	{ "GET", "faults", get_faults },
	{ "POST", "faults", post_fault },
	{ "DELETE", "faults", delete_faults },
	{ 0 },
};
