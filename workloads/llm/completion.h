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
	bool special; // a prompt of text begins with the tokenizer's first token, as a model expects
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

// What a response says of its cost, in tokens.
struct completion_usage {
	uint32_t prompt;
	uint32_t cached; // of the prompt: found in the KV cache, so not computed
	uint32_t completion;
};

// Appends one event of a stream: "data: {...}\n\n". `index` counts the tokens from 0. `finish` is
// "length" or "stop" with the last token, else NULL.
void completion_event(struct bytes *out, const struct completion_head *h, int32_t token,
	uint32_t index, const struct bytes *text, const char *finish);

// Appends the event that tells the usage, which ends a stream that asked for it.
void completion_usage_event(
	struct bytes *out, const struct completion_head *h, const struct completion_usage *u);

// Appends a whole response body; `tokens` has u->completion ids.
void completion_body(struct bytes *out, const struct completion_head *h, const int32_t *tokens,
	const struct completion_usage *u, const struct bytes *text, const char *finish);

// Appends what /tokenize answers: the tokens of the prompt in `c`.
void completion_tokens(struct bytes *out, const struct completion *c, uint32_t max_prompt);

// Appends {"error": {...}} for an HTTP status.
void completion_error(struct bytes *out, int status, const char *message);
