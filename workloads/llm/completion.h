// SPDX-License-Identifier: Apache-2.0
// The completion interface in OpenAI's shape: reads a request's JSON, writes responses' JSON.
// Knows no sockets and no device.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "failure.h"
#include "sampler.h"

#define COMPLETION_MAX_TOKENS     1000000
#define COMPLETION_DEFAULT_TOKENS 16

struct completion {
	int32_t *prompt; // owned
	uint32_t n_prompt;
	uint32_t max_tokens;
	bool stream;
	struct sampling sampling;
};

// Reads a request body. `max_prompt` is the longest prompt in tokens. -EINVAL has a message for the
// client.
int completion_parse(const char *body, size_t len, uint32_t vocab, uint32_t max_prompt,
	struct completion *ret, struct failure *f);
void completion_free(struct completion *c);

// What a response says of its request.
struct completion_head {
	const char *id, *model;
	long long created; // seconds since 1970
};

// Appends one event of a stream: "data: {...}\n\n". `index` counts the tokens from 0.
void completion_event(struct bytes *out, const struct completion_head *h, int32_t token,
	uint32_t index, bool last);

// Appends a whole response body.
void completion_body(struct bytes *out, const struct completion_head *h, const int32_t *tokens,
	uint32_t n, uint32_t n_prompt);

// Appends {"error": {...}} for an HTTP status.
void completion_error(struct bytes *out, int status, const char *message);
