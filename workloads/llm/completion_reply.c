// SPDX-License-Identifier: Apache-2.0
// Responses in OpenAI's shape. Each choice also has the ids of its tokens.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "completion.h"

static void add_json(struct bytes *out, json_t *doc)
{
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;

	if (text)
		bytes_add(out, text, strlen(text));
	else
		out->failed = true;
	free(text);
	json_decref(doc);
}

static void add_event(struct bytes *out, json_t *doc)
{
	bytes_add(out, "data: ", 6);
	add_json(out, doc);
	bytes_add(out, "\n\n", 2);
}

static json_t *text_of(const struct bytes *text)
{
	return json_stringn(text->data ? text->data : "", text->len);
}

static json_t *usage_of(const struct completion_usage *u)
{
	return json_pack("{s:I, s:{s:I}, s:I, s:I}", "prompt_tokens", (json_int_t)u->prompt,
		"prompt_tokens_details", "cached_tokens", (json_int_t)u->cached,
		"completion_tokens", (json_int_t)u->completion, "total_tokens",
		(json_int_t)u->prompt + u->completion);
}

static json_t *ids_of(const int32_t *tokens, uint32_t n)
{
	json_t *ids = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(ids, json_integer(tokens[i]));
	return ids;
}

// {id, object, created, model, choices: [choice]}; without a choice there are none.
static json_t *reply(const struct completion_head *h, bool event, json_t *choice)
{
	const char *object = !h->chat ? "text_completion"
			     : event  ? "chat.completion.chunk"
				      : "chat.completion";
	json_t *choices = json_array();

	if (choice)
		json_array_append_new(choices, choice);
	return json_pack("{s:s, s:s, s:I, s:s, s:o}", "id", h->id, "object", object, "created",
		(json_int_t)h->created, "model", h->model, "choices", choices);
}

static json_t *delta(const struct bytes *text, bool first)
{
	json_t *d = json_object();

	if (first)
		json_object_set_new(d, "role", json_string("assistant"));
	json_object_set_new(d, "content", text_of(text));
	return d;
}

void completion_event(struct bytes *out, const struct completion_head *h, int32_t token,
	uint32_t index, const struct bytes *text, const char *finish)
{
	json_t *choice = json_pack("{s:i, s:i, s:n, s:s?}", "index", 0, "token_id", (int)token,
		"logprobs", "finish_reason", finish);
	json_t *doc = reply(h, true, choice);

	if (h->chat)
		json_object_set_new(choice, "delta", delta(text, index == 0));
	else
		json_object_set_new(choice, "text", text_of(text));
	json_object_set_new(doc, "token_id", json_integer(token));
	json_object_set_new(doc, "index", json_integer(index));
	add_event(out, doc);
}

void completion_usage_event(
	struct bytes *out, const struct completion_head *h, const struct completion_usage *u)
{
	json_t *doc = reply(h, true, NULL);

	json_object_set_new(doc, "usage", usage_of(u));
	add_event(out, doc);
}

void completion_body(struct bytes *out, const struct completion_head *h, const int32_t *tokens,
	const struct completion_usage *u, const struct bytes *text, const char *finish)
{
	json_t *choice = json_pack("{s:i, s:o, s:n, s:s}", "index", 0, "token_ids",
		ids_of(tokens, u->completion), "logprobs", "finish_reason", finish);
	json_t *doc = reply(h, false, choice);

	if (h->chat)
		json_object_set_new(choice, "message", delta(text, true));
	else
		json_object_set_new(choice, "text", text_of(text));
	json_object_set_new(doc, "usage", usage_of(u));
	add_json(out, doc);
}

void completion_tokens(struct bytes *out, const struct completion *c, uint32_t max_prompt)
{
	add_json(
		out, json_pack("{s:I, s:I, s:o}", "count", (json_int_t)c->n_prompt, "max_model_len",
			     (json_int_t)max_prompt, "tokens", ids_of(c->prompt, c->n_prompt)));
}

void completion_error(struct bytes *out, int status, const char *message)
{
	add_json(out,
		json_pack("{s:{s:s, s:s, s:i}}", "error", "message", message, "type",
			status < 500 ? "invalid_request_error" : "server_error", "code", status));
}
