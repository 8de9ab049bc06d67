// SPDX-License-Identifier: Apache-2.0
// Requests. Responses are in completion_reply.c.
#include "completion.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "chat.h"

static int fail_prompt(int r, uint32_t max, struct failure *f)
{
	if (r == -E2BIG)
		return fail(f, EINVAL, "the prompt has more than %u tokens", max);
	return r ? fail(f, r, "out of memory") : 0;
}

static int prompt_from_text(const char *text, size_t len, const struct completion_limits *l,
	struct completion *c, struct failure *f)
{
	int r = 0;

	if (c->special)
		r = chat_begin(l->tokenizer, c->prompt, &c->n_prompt, l->max_prompt);
	if (!r)
		r = tokenizer_encode(
			l->tokenizer, text, len, true, c->prompt, &c->n_prompt, l->max_prompt);
	return fail_prompt(r, l->max_prompt, f);
}

static int prompt_from_ids(const json_t *ids, const struct completion_limits *l,
	struct completion *c, struct failure *f)
{
	size_t i;
	json_t *v;

	if (json_array_size(ids) > l->max_prompt)
		return fail_prompt(-E2BIG, l->max_prompt, f);
	json_array_foreach(ids, i, v)
	{
		json_int_t id = json_is_integer(v) ? json_integer_value(v) : -1;

		if (id < 0 || id >= l->vocab)
			return fail(f, EINVAL,
				"prompt[%zu] is not a token id (an integer from 0 to %u)", i,
				l->vocab - 1);
		c->prompt[i] = (int32_t)id;
	}
	c->n_prompt = (uint32_t)json_array_size(ids);
	return 0;
}

static int read_prompt(const json_t *doc, const struct completion_limits *l, struct completion *c,
	struct failure *f)
{
	const json_t *p = json_object_get(doc, "prompt");

	if (json_is_array(p) && json_array_size(p) == 1 && json_is_string(json_array_get(p, 0)))
		p = json_array_get(p, 0);
	if (json_is_string(p))
		return prompt_from_text(json_string_value(p), json_string_length(p), l, c, f);
	if (json_is_array(p))
		return prompt_from_ids(p, l, c, f);
	return fail(f, EINVAL, "\"prompt\" must be a string or an array of token ids");
}

// A message's content: a string, or an array of parts of type "text".
static int add_content(const json_t *content, struct bytes *out)
{
	size_t i;
	json_t *part;

	if (json_is_string(content)) {
		bytes_add(out, json_string_value(content), json_string_length(content));
		return 0;
	}
	if (!json_is_array(content))
		return -EINVAL;
	json_array_foreach(content, i, part)
	{
		const json_t *text = json_object_get(part, "text");
		const char *type = json_string_value(json_object_get(part, "type"));

		if (!type || strcmp(type, "text") || !json_is_string(text))
			return -EINVAL;
		bytes_add(out, json_string_value(text), json_string_length(text));
	}
	return 0;
}

static int read_message(const json_t *message, size_t i, const struct completion_limits *l,
	struct completion *c, struct failure *f)
{
	const char *role = json_string_value(json_object_get(message, "role"));
	struct bytes content = { 0 };
	int r;

	if (!role || add_content(json_object_get(message, "content"), &content)) {
		bytes_free(&content);
		return fail(
			f, EINVAL, "messages[%zu] needs a \"role\" and a \"content\" of text", i);
	}
	r = content.failed ? -ENOMEM
			   : chat_message(l->tokenizer, role, content.data ? content.data : "",
				     content.len, c->prompt, &c->n_prompt, l->max_prompt);
	bytes_free(&content);
	return fail_prompt(r, l->max_prompt, f);
}

static int read_messages(const json_t *doc, const struct completion_limits *l, struct completion *c,
	struct failure *f)
{
	const json_t *messages = json_object_get(doc, "messages");
	size_t i;
	json_t *m;
	int r;

	if (!json_is_array(messages) || !json_array_size(messages))
		return fail(f, EINVAL, "\"messages\" must be an array of messages");
	r = fail_prompt(
		chat_begin(l->tokenizer, c->prompt, &c->n_prompt, l->max_prompt), l->max_prompt, f);
	json_array_foreach(messages, i, m)
	{
		if (!r)
			r = read_message(m, i, l, c, f);
	}
	if (r)
		return r;
	return fail_prompt(
		chat_turn(l->tokenizer, c->prompt, &c->n_prompt, l->max_prompt), l->max_prompt, f);
}

// A field that may be absent or null.
static const json_t *given(const json_t *doc, const char *name)
{
	const json_t *v = json_object_get(doc, name);

	return json_is_null(v) ? NULL : v;
}

// Absent: *ret stays.
static int read_bool(const json_t *doc, const char *name, bool *ret, struct failure *f)
{
	const json_t *v = given(doc, name);

	if (v && !json_is_boolean(v))
		return fail(f, EINVAL, "\"%s\" must be true or false", name);
	if (v)
		*ret = json_is_true(v);
	return 0;
}

// A number from `min`, or above it if `above`, to `max`.
static int read_number(const json_t *doc, const char *name, double min, bool above, double max,
	float *value, struct failure *f)
{
	const json_t *v = given(doc, name);
	double d = v ? json_number_value(v) : (double)*value;

	if ((v && !json_is_number(v)) || !(above ? d > min : d >= min) || !(d <= max))
		return fail(f, EINVAL, "\"%s\" must be a number %s %g, up to %g", name,
			above ? "above" : "from", min, max);
	*value = (float)d;
	return 0;
}

static int read_sampling(const json_t *doc, struct sampling *s, struct failure *f)
{
	const json_t *seed = given(doc, "seed");
	int r;

	*s = (struct sampling){ .temperature = 0, .top_p = 1 };
	r = read_number(doc, "temperature", 0, false, 2, &s->temperature, f);
	if (!r)
		r = read_number(doc, "top_p", 0, true, 1, &s->top_p, f);
	if (r)
		return r;
	if (seed && !json_is_integer(seed))
		return fail(f, EINVAL, "\"seed\" must be an integer");
	s->seed = (uint64_t)json_integer_value(seed);
	if (!seed && getrandom(&s->seed, sizeof s->seed, 0) != sizeof s->seed)
		return fail(f, EIO, "no random numbers");
	return 0;
}

static int add_stop(const json_t *v, struct answer_stops *s, struct failure *f)
{
	size_t len = json_string_length(v);

	if (s->n == ANSWER_STOPS || !json_is_string(v) || !len || len >= ANSWER_STOP_SIZE ||
		strlen(json_string_value(v)) != len)
		return fail(f, EINVAL, "\"stop\" must be up to %d strings of 1 to %d bytes",
			ANSWER_STOPS, ANSWER_STOP_SIZE - 1);
	memcpy(s->text[s->n++], json_string_value(v), len + 1);
	return 0;
}

static int read_stops(const json_t *doc, struct answer_stops *s, struct failure *f)
{
	const json_t *stop = given(doc, "stop");
	size_t i;
	json_t *v;
	int r = 0;

	if (!stop || !json_is_array(stop))
		return stop ? add_stop(stop, s, f) : 0;
	json_array_foreach(stop, i, v)
	{
		if (!r)
			r = add_stop(v, s, f);
	}
	return r;
}

static int read_length(const json_t *doc, struct completion *c, struct failure *f)
{
	const json_t *max = given(doc, "max_tokens");
	json_int_t tokens = c->chat ? COMPLETION_MAX_TOKENS : COMPLETION_DEFAULT_TOKENS;

	if (!max && c->chat)
		max = given(doc, "max_completion_tokens");
	if (max)
		tokens = json_is_integer(max) ? json_integer_value(max) : 0;
	if (tokens < 1 || tokens > COMPLETION_MAX_TOKENS)
		return fail(f, EINVAL, "\"max_tokens\" must be an integer from 1 to %d",
			COMPLETION_MAX_TOKENS);
	c->max_tokens = (uint32_t)tokens;
	return 0;
}

static int read_options(const json_t *doc, struct completion *c, struct failure *f)
{
	const json_t *n = given(doc, "n"), *options = given(doc, "stream_options");
	int r = read_length(doc, c, f);

	if (!r)
		r = read_bool(doc, "stream", &c->stream, f);
	if (!r)
		r = read_bool(doc, "add_special_tokens", &c->special, f);
	if (!r && options)
		r = read_bool(options, "include_usage", &c->usage, f);
	if (!r)
		r = read_sampling(doc, &c->sampling, f);
	if (!r)
		r = read_stops(doc, &c->stops, f);
	if (!r && n && !(json_is_integer(n) && json_integer_value(n) == 1))
		r = fail(f, EINVAL, "\"n\" must be 1");
	return r;
}

static int read_all(const json_t *doc, const struct completion_limits *l, struct completion *c,
	struct failure *f)
{
	int r = read_options(doc, c, f);

	if (r)
		return r;
	c->prompt = calloc(l->max_prompt, sizeof *c->prompt);
	if (!c->prompt)
		return fail(f, ENOMEM, "out of memory");
	r = c->chat ? read_messages(doc, l, c, f) : read_prompt(doc, l, c, f);
	if (!c->n_prompt)
		c->n_prompt = 1; // an empty prompt is token 0
	// Without a limit of its own a chat goes on for as long as the model remembers its beginning.
	if (c->chat && c->max_tokens == COMPLETION_MAX_TOKENS && l->max_prompt > c->n_prompt)
		c->max_tokens = l->max_prompt - c->n_prompt;
	return r;
}

int completion_parse(const char *body, size_t len, bool chat,
	const struct completion_limits *limits, struct completion *ret, struct failure *f)
{
	struct completion c = { .chat = chat, .special = true };
	json_error_t e;
	json_t *doc = json_loadb(body, len, JSON_REJECT_DUPLICATES, &e);
	int r;

	if (!doc)
		return fail(f, EINVAL, "the body is not JSON: %s at byte %d", e.text, e.position);
	if (!json_is_object(doc))
		r = fail(f, EINVAL, "the body is not a JSON object");
	else
		r = read_all(doc, limits, &c, f);
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
