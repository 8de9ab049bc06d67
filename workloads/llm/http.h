// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 requests from bytes, and response heads to bytes. Knows no sockets and no model.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HTTP_MAX_HEAD 16384
#define HTTP_MAX_BODY (1u << 20)

struct http_request {
	char method[8];
	char path[128];   // without the query
	const char *body; // inside the caller's buffer
	size_t body_len;
	bool keep_alive;
	bool chunks; // the client understands chunked responses (HTTP/1.1)
};

// Reads one request from the start of a buffer. Returns the bytes that it takes up, 0 if more are
// needed, or minus the status to answer with before closing: 400, 413, 431, 501, 505.
long http_parse(const char *buf, size_t len, struct http_request *ret);

const char *http_reason(int status);
