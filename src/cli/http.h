// SPDX-License-Identifier: Apache-2.0
// Requests to ferryd over its unix socket, with libcurl.
#pragma once

#include "cli/cli.h"

// One request, one document. `body` (may be NULL) is consumed. 0 and *ret_doc (the caller's), or an
// exit status after having told the error.
int http_call(
	const struct cli *c, const char *method, const char *path, json_t *body, json_t **ret_doc);

// The same for application/x-ndjson: fn gets each line as it comes, the last one too. 0, or an exit
// status after having told the error. `tick` (may be NULL) is called about ten times a second.
struct http_stream {
	void (*line)(void *arg, json_t *doc); // borrowed
	void (*tick)(void *arg);
	void *arg;
};
int http_stream(const struct cli *c, const char *method, const char *path, json_t *body,
	const struct http_stream *s);

// An answer {"error":...,"exit":N}: told, and its exit status; 0 for any other document.
int http_told_error(const struct cli *c, const json_t *doc);

// "vms/NAME/what", the name percent-encoded; at most 255 bytes.
void vm_url(const char *name, const char *what, char ret[256]);
