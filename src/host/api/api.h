// SPDX-License-Identifier: Apache-2.0
// The daemon's API: HTTP/1.1 over a unix socket, by libmicrohttpd inside our loop
// (docs/interfaces.md, section 7). This header is HTTP and routing; what a route does is in api_*.c.
#pragma once

#include <stdbool.h>
#include "base/error.h"
#include "base/json.h"

struct api;
struct host;

#define API_MAX_BODY   (1u << 20) // bytes of a request's body
#define API_MAX_STREAM (8u << 20) // unread bytes after which a client that stalls is cut off

struct api *api_new(struct host *h, const char *path, struct ferry_error *e);
struct api *api_free(struct api *a); // ends open requests; NULL-safe; returns NULL

// ---- inside src/host/api ----

// One request. A handler answers at once, or keeps it and answers later; it is freed after the
// answer, whether or not the client is still there.
struct request;

struct host *request_host(const struct request *r);
const char *request_segment(const struct request *r, unsigned i);    // of the path, after /v1
const char *request_query(const struct request *r, const char *key); // NULL when absent
// The body as a JSON object, {} for an empty one; NULL after having answered with the error.
json_t *request_body(struct request *r);

// Whether the client has hung up; it is noticed when a line cannot be written, and when somebody asked
// to be told.
bool request_gone(const struct request *r);
// Calls fn when the client hangs up before the request was ended; fn ends it. Once, and never inside
// this call. A client that closes only its sending half counts as gone.
void request_on_gone(struct request *r, void (*fn)(void *arg), void *arg);

// Exactly one of these ends the request:
void request_answer(struct request *r, int status, json_t *doc); // steals doc
void request_fail(struct request *r, const struct ferry_error *e);
void request_end(struct request *r, json_t *last); // after lines; steals the last one
// A line of application/x-ndjson before the end; steals doc. Never blocks.
void request_line(struct request *r, json_t *doc);
// The error as the last line, or as the answer where there were no lines.
static inline void request_end_failed(struct request *r, const struct ferry_error *e)
{
	request_fail(r, e);
}

// The CLI's exit status for an error's code: 1 to 4.
int error_exit_status(const struct ferry_error *e);

typedef void (*route_fn)(struct request *r);
struct route {
	const char *method;
	const char *path; // below /v1/; '*' is any one segment
	route_fn fn;
};
extern const struct route host_routes[], vm_routes[], show_routes[], migrate_routes[],
	exec_routes[];
// ends with a route without method

// The VM that the path's second segment names; NULL after having answered 404.
struct vm *request_vm(struct request *r);
