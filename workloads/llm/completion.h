// SPDX-License-Identifier: Apache-2.0
// The completion interface in OpenAI's shape: reads a request's JSON, writes responses' JSON.
// Knows no sockets and no device.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "answer.h"
#include "bytes.h"
#include "failure.h"
#include "sampler.h"

#define COMPLETION_MAX_TOKENS     1000000
#define COMPLETION_DEFAULT_TOKENS 16

struct completion {
	int32_t *prompt; // owned
	uint32_t n_prompt;
	uint32_t max_tokens;
	bool chat;
	bool stream, usage; // a stream's last event tells the usage
	struct sampling sampling;
	struct answer_stops stops;
};

// What a request is read for.
struct completion_limits {
	const struct tokenizer *tokenizer;
	uint32_t vocab;
	uint32_t max_prompt; // tokens
};

// Reads a request body, of /v1/chat/completions if `chat`. -EINVAL has a message for the client.
int completion_parse(const char *body, size_t len, bool chat,
	const struct completion_limits *limits, struct completion *ret, struct failure *f);
void completion_free(struct completion *c);

// What a response says of its request.
struct completion_head {
	const char *id, *model;
	long long created; // seconds since 1970
	bool chat;
};

// Appends one event of a stream: "data: {...}\n\n". `index` counts the tokens from 0. `finish` is
// "length" or "stop" with the last token, else NULL.
void completion_event(struct bytes *out, const struct completion_head *h, int32_t token,
	uint32_t index, const struct bytes *text, const char *finish);

// Appends the event that tells the usage, which ends a stream that asked for it.
void completion_usage_event(
	struct bytes *out, const struct completion_head *h, uint32_t n, uint32_t n_prompt);

// Appends a whole response body.
void completion_body(struct bytes *out, const struct completion_head *h, const int32_t *tokens,
	uint32_t n, uint32_t n_prompt, const struct bytes *text, const char *finish);

// Appends {"error": {...}} for an HTTP status.
void completion_error(struct bytes *out, int status, const char *message);
