// SPDX-License-Identifier: Apache-2.0
#include "routes.h"

#include <errno.h>
#include <string.h>

#define JSON "application/json"

void routes_error(struct connection *c, int status, const char *message)
{
	struct bytes body = { 0 };

	completion_error(&body, status, message);
	connection_reply(c, status, JSON, body.data, body.len);
	bytes_free(&body);
}

static void get_health(struct jobs *j, struct connection *c, const struct http_request *r)
{
	static const char ready[] = "{\"status\":\"ok\"}", loading[] = "{\"status\":\"loading\"}";

	if (j->model->ready)
		connection_reply(c, 200, JSON, ready, sizeof ready - 1);
	else
		connection_reply(c, 503, JSON, loading, sizeof loading - 1);
}

static void get_models(struct jobs *j, struct connection *c, const struct http_request *r)
{
	struct bytes body = { 0 };

	bytes_print(&body,
		"{\"object\":\"list\",\"data\":[{\"id\":\"%s\",\"object\":\"model\","
		"\"owned_by\":\"llm-server\",\"max_model_len\":%u}]}",
		j->model->name, j->model->shape.context);
	connection_reply(c, 200, JSON, body.data, body.len);
	bytes_free(&body);
}

struct metric {
	const char *name, *type, *help;
	double value;
};

// Prometheus' text format, version 0.0.4.
static void add_metrics(struct bytes *out, const struct metric *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		bytes_print(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", all[i].name, all[i].help,
			all[i].name, all[i].type, all[i].name, all[i].value);
}

static void get_metrics(struct jobs *j, struct connection *c, const struct http_request *r)
{
	const struct scheduler *s = &j->model->scheduler;
	double running = (double)scheduler_cached(s, SEQUENCE_RUNNING);
	double warm = (double)scheduler_cached(s, SEQUENCE_WARM);
	double capacity = j->model->shape.cache_slots;
	const struct metric all[] = {
		{ "llm_tokens_generated_total", "counter", "Tokens generated.",
			(double)j->tokens_generated },
		{ "llm_prompt_tokens_total", "counter", "Prompt tokens of started requests.",
			(double)j->prompt_tokens },
		{ "llm_prompt_tokens_computed_total", "counter", "Of them, those computed.",
			(double)s->prompt_tokens_computed },
		{ "llm_prompt_tokens_reused_total", "counter", "Of them, those found in the cache.",
			(double)s->prompt_tokens_reused },
		{ "llm_tokens_per_second", "gauge", "Tokens a second over the last second or more.",
			jobs_rate(j) },
		{ "llm_requests_total", "counter", "Completion requests accepted.",
			(double)j->arrived },
		{ "llm_requests_running", "gauge", "Requests that are being answered.",
			jobs_running(j) },
		{ "llm_requests_waiting", "gauge", "Requests in the queue.", jobs_waiting(j) },
		{ "llm_kv_cache_tokens", "gauge", "Tokens in the KV cache of running requests.",
			running },
		{ "llm_kv_cache_warm_tokens", "gauge",
			"Tokens in the KV cache that a later request may use.", warm },
		{ "llm_kv_cache_capacity_tokens", "gauge", "Room in the KV cache.", capacity },
		{ "llm_kv_cache_usage_ratio", "gauge", "Used by running requests, of all.",
			running / (capacity > 0 ? capacity : 1) },
	};
	struct bytes b = { 0 };

	add_metrics(&b, all, sizeof all / sizeof *all);
	bytes_print(&b,
		"# HELP llm_time_to_first_token_seconds From a request's arrival to its first "
		"token.\n"
		"# TYPE llm_time_to_first_token_seconds summary\n"
		"llm_time_to_first_token_seconds_sum %.17g\n"
		"llm_time_to_first_token_seconds_count %llu\n",
		j->first_token_seconds, (unsigned long long)j->first_tokens);
	connection_reply(c, 200, "text/plain; version=0.0.4", b.data, b.len);
	bytes_free(&b);
}

// Reads a request; false: the client has been told why it cannot be.
static bool read_request(const struct jobs *j, struct connection *c, const struct http_request *r,
	bool chat, struct completion *ret)
{
	const struct completion_limits limits = { j->model->tokenizer, j->model->shape.vocab,
		j->model->shape.context };
	struct failure f = { "out of memory" };

	if (!j->model->ready) {
		routes_error(c, 503, "the model is loading");
		return false;
	}
	if (completion_parse(r->body, r->body_len, chat, &limits, ret, &f)) {
		routes_error(c, 400, f.text);
		return false;
	}
	return true;
}

static void post(struct jobs *j, struct connection *c, const struct http_request *r, bool chat)
{
	struct completion request;

	if (!read_request(j, c, r, chat, &request))
		return;
	if (jobs_add(j, c, &request)) {
		completion_free(&request);
		routes_error(c, 503, "no room for another request");
	}
}

static void post_completions(struct jobs *j, struct connection *c, const struct http_request *r)
{
	post(j, c, r, false);
}

static void post_chat(struct jobs *j, struct connection *c, const struct http_request *r)
{
	post(j, c, r, true);
}

static void post_tokenize(struct jobs *j, struct connection *c, const struct http_request *r)
{
	struct completion request;
	struct bytes body = { 0 };

	if (!read_request(j, c, r, false, &request))
		return;
	completion_tokens(&body, &request, j->model->shape.context);
	connection_reply(c, 200, JSON, body.data, body.len);
	bytes_free(&body);
	completion_free(&request);
}

static const struct {
	const char *method, *path;
	void (*handle)(struct jobs *, struct connection *, const struct http_request *);
} routes[] = {
	{ "GET", "/health", get_health },
	{ "GET", "/v1/models", get_models },
	{ "GET", "/metrics", get_metrics },
	{ "POST", "/v1/completions", post_completions },
	{ "POST", "/v1/chat/completions", post_chat },
	{ "POST", "/tokenize", post_tokenize },
};

void routes_handle(struct jobs *j, struct connection *c, const struct http_request *r)
{
	bool known = false;

	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		if (strcmp(routes[i].path, r->path))
			continue;
		known = true;
		if (!strcmp(routes[i].method, r->method)) {
			routes[i].handle(j, c, r);
			return;
		}
	}
	if (known)
		routes_error(c, 405, "this path does not take that method");
	else
		routes_error(c, 404, "no such path");
}
