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
		"\"owned_by\":\"llm-server\"}]}",
		j->model->name);
	connection_reply(c, 200, JSON, body.data, body.len);
	bytes_free(&body);
}

static void metric(
	struct bytes *out, const char *name, const char *type, const char *help, double value)
{
	bytes_print(
		out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name, value);
}

static void get_metrics(struct jobs *j, struct connection *c, const struct http_request *r)
{
	struct bytes b = { 0 };

	metric(&b, "llm_tokens_generated_total", "counter", "Tokens generated.",
		(double)j->tokens_generated);
	metric(&b, "llm_prompt_tokens_total", "counter", "Prompt tokens processed.",
		(double)j->prompt_tokens);
	metric(&b, "llm_tokens_per_second", "gauge",
		"Tokens a second over the last second or more.", jobs_rate(j));
	metric(&b, "llm_requests_total", "counter", "Completion requests accepted.",
		(double)j->arrived);
	metric(&b, "llm_requests_running", "gauge", "Requests that are being answered.",
		jobs_running(j));
	metric(&b, "llm_requests_waiting", "gauge", "Requests in the queue.", jobs_waiting(j));
	connection_reply(c, 200, "text/plain; version=0.0.4", b.data, b.len);
	bytes_free(&b);
}

static void post_completions(struct jobs *j, struct connection *c, const struct http_request *r)
{
	struct completion request;
	struct failure f = { "out of memory" };

	if (!j->model->ready) {
		routes_error(c, 503, "the model is loading");
		return;
	}
	if (completion_parse(r->body, r->body_len, j->model->shape.vocab, j->model->shape.context,
		    &request, &f)) {
		routes_error(c, 400, f.text);
		return;
	}
	if (jobs_add(j, c, &request)) {
		completion_free(&request);
		routes_error(c, 503, "no room for another request");
	}
}

static const struct {
	const char *method, *path;
	void (*handle)(struct jobs *, struct connection *, const struct http_request *);
} routes[] = {
	{ "GET", "/health", get_health },
	{ "GET", "/v1/models", get_models },
	{ "GET", "/metrics", get_metrics },
	{ "POST", "/v1/completions", post_completions },
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
