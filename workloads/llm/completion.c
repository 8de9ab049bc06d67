// SPDX-License-Identifier: Apache-2.0
#include "completion.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vocabulary.h"

static int prompt_from_text(
	const char *text, size_t len, uint32_t max, struct completion *c, struct failure *f)
{
	int n = vocabulary_encode(text, len, c->prompt, (int)max);

	if (n < 0)
		return fail(f, EINVAL, "the prompt has more than %u tokens", max);
	c->n_prompt = (uint32_t)n;
	return 0;
}

static int prompt_from_ids(
	const json_t *ids, uint32_t vocab, uint32_t max, struct completion *c, struct failure *f)
{
	size_t i;
	json_t *v;

	if (json_array_size(ids) > max)
		return fail(f, EINVAL, "the prompt has more than %u tokens", max);
	json_array_foreach(ids, i, v)
	{
		json_int_t id = json_is_integer(v) ? json_integer_value(v) : -1;

		if (id < 0 || id >= vocab)
			return fail(f, EINVAL,
				"prompt[%zu] is not a token id (an integer from 0 to %u)", i,
				vocab - 1);
		c->prompt[i] = (int32_t)id;
	}
	c->n_prompt = (uint32_t)json_array_size(ids);
	return 0;
}

static int read_prompt(
	const json_t *doc, uint32_t vocab, uint32_t max, struct completion *c, struct failure *f)
{
	const json_t *p = json_object_get(doc, "prompt");
	int r;

	c->prompt = calloc(max, sizeof *c->prompt);
	if (!c->prompt)
		return fail(f, ENOMEM, "out of memory");
	if (json_is_string(p))
		r = prompt_from_text(json_string_value(p), json_string_length(p), max, c, f);
	else if (json_is_array(p))
		r = prompt_from_ids(p, vocab, max, c, f);
	else
		r = fail(f, EINVAL, "\"prompt\" must be a string or an array of token ids");
	if (!r && !c->n_prompt)
		c->n_prompt = 1; // an empty prompt is token 0
	return r;
}

static int read_options(const json_t *doc, struct completion *c, struct failure *f)
{
	const json_t *max = json_object_get(doc, "max_tokens");
	const json_t *stream = json_object_get(doc, "stream");
	const json_t *temperature = json_object_get(doc, "temperature");
	const json_t *n = json_object_get(doc, "n");
	json_int_t tokens = COMPLETION_DEFAULT_TOKENS;

	if (max && !json_is_null(max))
		tokens = json_is_integer(max) ? json_integer_value(max) : 0;
	if (tokens < 1 || tokens > COMPLETION_MAX_TOKENS)
		return fail(f, EINVAL, "\"max_tokens\" must be an integer from 1 to %d",
			COMPLETION_MAX_TOKENS);
	if (stream && !json_is_boolean(stream) && !json_is_null(stream))
		return fail(f, EINVAL, "\"stream\" must be true or false");
	if (temperature && !json_is_null(temperature) &&
		(!json_is_number(temperature) || json_number_value(temperature) != 0))
		return fail(
			f, EINVAL, "\"temperature\" must be 0: only greedy sampling is offered");
	if (n && !json_is_null(n) && !(json_is_integer(n) && json_integer_value(n) == 1))
		return fail(f, EINVAL, "\"n\" must be 1");
	c->max_tokens = (uint32_t)tokens;
	c->stream = json_is_true(stream);
	return 0;
}

int completion_parse(const char *body, size_t len, uint32_t vocab, uint32_t max_prompt,
	struct completion *ret, struct failure *f)
{
	struct completion c = { 0 };
	json_error_t e;
	json_t *doc = json_loadb(body, len, JSON_REJECT_DUPLICATES, &e);
	int r;

	if (!doc)
		return fail(f, EINVAL, "the body is not JSON: %s at byte %d", e.text, e.position);
	if (!json_is_object(doc))
		r = fail(f, EINVAL, "the body is not a JSON object");
	else
		r = read_options(doc, &c, f);
	if (!r)
		r = read_prompt(doc, vocab, max_prompt, &c, f);
	json_decref(doc);
	if (r)
		completion_free(&c);
	else
		*ret = c;
	return r;
}

void completion_free(struct completion *c)
{
	free(c->prompt);
	memset(c, 0, sizeof *c);
}

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

void completion_event(struct bytes *out, const struct completion_head *h, int32_t token,
	uint32_t index, bool last)
{
	char word[WORD_MAX];

	vocabulary_word(token, word);
	bytes_add(out, "data: ", 6);
	add_json(out,
		json_pack("{s:s, s:s, s:I, s:s, s:i, s:I, s:[{s:i, s:s, s:i, s:n, s:s?}]}", "id",
			h->id, "object", "text_completion", "created", (json_int_t)h->created,
			"model", h->model, "token_id", (int)token, "index", (json_int_t)index,
			"choices", "index", 0, "text", word, "token_id", (int)token, "logprobs",
			"finish_reason", last ? "length" : NULL));
	bytes_add(out, "\n\n", 2);
}

void completion_body(struct bytes *out, const struct completion_head *h, const int32_t *tokens,
	uint32_t n, uint32_t n_prompt)
{
	struct bytes text = { 0 };
	json_t *ids = json_array();

	for (uint32_t i = 0; i < n; i++) {
		char word[WORD_MAX];

		bytes_add(&text, word, vocabulary_word(tokens[i], word));
		json_array_append_new(ids, json_integer(tokens[i]));
	}
	add_json(out,
		json_pack("{s:s, s:s, s:I, s:s, s:[{s:i, s:s%, s:o, s:n, s:s}], s:{s:I, s:I, s:I}}",
			"id", h->id, "object", "text_completion", "created", (json_int_t)h->created,
			"model", h->model, "choices", "index", 0, "text",
			text.data ? text.data : "", text.len, "token_ids", ids, "logprobs",
			"finish_reason", "length", "usage", "prompt_tokens", (json_int_t)n_prompt,
			"completion_tokens", (json_int_t)n, "total_tokens",
			(json_int_t)n_prompt + n));
	bytes_free(&text);
}

void completion_error(struct bytes *out, int status, const char *message)
{
	add_json(out,
		json_pack("{s:{s:s, s:s, s:i}}", "error", "message", message, "type",
			status < 500 ? "invalid_request_error" : "server_error", "code", status));
}
