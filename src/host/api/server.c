// SPDX-License-Identifier: Apache-2.0
#include "host/api/api.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/socket.h"
#include "host/host.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#define MAX_SEGMENTS 5
#define MAX_PATH     200
#define MAX_CLIENTS  64

struct api {
	struct host *host;
	struct MHD_Daemon *daemon;
	struct watch *watch, *timer;
	struct request *requests;
	bool closing;
};

// Two owners: the connection, until it is completed; the handler, until it has answered.
struct request {
	struct api *api;
	struct request *next;
	struct MHD_Connection *connection; // NULL once it is gone
	char path[MAX_PATH + 1];
	char *segments[MAX_SEGMENTS];
	unsigned n_segments;
	struct buf body;
	bool dispatched;
	bool suspended;
	bool streaming; // at least one line
	bool queued;    // the response is MHD's
	bool answered;  // the handler is done
	int status;
	struct watch *hang_up; // of the connection's socket, while somebody wants to know
	void (*gone)(void *arg);
	void *gone_arg;
	struct buf out; // the answer, or lines that the client has not read
};

static void drop_if_done(struct request *r)
{
	if (r->connection || (r->dispatched && !r->answered))
		return;
	struct request **at = &r->api->requests;
	while (*at && *at != r)
		at = &(*at)->next;
	if (*at)
		*at = r->next;
	watch_remove(r->hang_up);
	buf_free(&r->body);
	buf_free(&r->out);
	free(r);
}

static void kick(struct api *a)
{
	watch_set_timer(a->timer, clock_now_ns());
}

static void resume(struct request *r)
{
	if (!r->connection || !r->suspended)
		return;
	r->suspended = false;
	MHD_resume_connection(r->connection);
	kick(r->api);
}

struct host *request_host(const struct request *r)
{
	return r->api->host;
}

const char *request_segment(const struct request *r, unsigned i)
{
	return i < r->n_segments ? r->segments[i] : "";
}

const char *request_query(const struct request *r, const char *key)
{
	return r->connection
		       ? MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, key)
		       : NULL;
}

bool request_gone(const struct request *r)
{
	return !r->connection || r->out.failed;
}

static void tell_gone(struct request *r)
{
	void (*fn)(void *) = r->answered ? NULL : r->gone;

	r->hang_up = watch_remove(r->hang_up);
	r->gone = NULL;
	if (fn)
		fn(r->gone_arg);
}

static void on_hang_up(void *arg, int fd, uint32_t events)
{
	tell_gone(arg);
}

void request_on_gone(struct request *r, void (*fn)(void *arg), void *arg)
{
	const union MHD_ConnectionInfo *info =
		r->connection
			? MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
			: NULL;

	r->gone = fn;
	r->gone_arg = arg;
	if (info) // MHD looks at no connection that is suspended
		r->hang_up =
			loop_fd(r->api->host->loop, info->connect_fd, EPOLLRDHUP, on_hang_up, r);
}

json_t *request_body(struct request *r)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (!r->body.len)
		return json_object();
	json_t *doc = json_parse((const char *)r->body.data, r->body.len, "the request's body", &e);
	if (doc && json_is_object(doc))
		return doc;
	if (doc)
		ferry_fail(&e, EPROTO, "bad-json", "the request's body is not a JSON object");
	json_decref(doc);
	request_fail(r, &e);
	return NULL;
}

static void put_line(struct request *r, json_t *doc)
{
	json_round(doc);
	_cleanup_free_ char *text = json_dumps(doc, JSON_ONE_LINE);

	json_decref(doc);
	if (!r->connection || !text)
		return;
	buf_put(&r->out, text, strlen(text));
	buf_put_u8(&r->out, '\n');
}

void request_answer(struct request *r, int status, json_t *doc)
{
	r->status = status;
	put_line(r, doc);
	r->answered = true;
	resume(r);
	if (!r->connection)
		drop_if_done(r);
}

void request_line(struct request *r, json_t *doc)
{
	r->status = 200;
	r->streaming = true;
	put_line(r, doc);
	resume(r);
}

void request_end(struct request *r, json_t *last)
{
	request_answer(r, 200, last);
}

void request_fail(struct request *r, const struct ferry_error *e)
{
	int exit = error_exit_status(e);
	int status = exit == 2 ? 400 : exit == 3 ? 409 : 500;

	if (!strcmp(e->code, "no-vm") || !strcmp(e->code, "no-path"))
		status = 404;
	else if (!strcmp(e->code, "no-method"))
		status = 405;
	request_answer(
		r, status, json_pack("{s:o, s:i}", "error", ferry_error_to_json(e), "exit", exit));
}

// MHD asks for the next bytes of a stream. None yet: the connection sleeps until there are.
static ssize_t read_stream(void *arg, uint64_t pos, char *to, size_t max)
{
	struct request *r = arg;

	if (r->out.failed)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (r->out.len) {
		size_t n = r->out.len < max ? r->out.len : max;
		memcpy(to, r->out.data, n);
		buf_consume(&r->out, n);
		return (ssize_t)n;
	}
	if (r->answered || r->api->closing)
		return MHD_CONTENT_READER_END_OF_STREAM;
	r->suspended = true;
	MHD_suspend_connection(r->connection);
	return 0;
}

static enum MHD_Result queue(struct request *r)
{
	struct MHD_Response *response;

	if (r->streaming)
		response = MHD_create_response_from_callback(
			MHD_SIZE_UNKNOWN, 32768, read_stream, r, NULL);
	else
		response = MHD_create_response_from_buffer(
			r->out.len, r->out.data, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type",
		r->streaming ? "application/x-ndjson" : "application/json");
	enum MHD_Result ok = MHD_queue_response(r->connection, (unsigned)r->status, response);
	MHD_destroy_response(response);
	r->queued = true;
	return ok;
}

static void split_path(struct request *r)
{
	char *save = NULL;

	for (char *s = strtok_r(r->path, "/", &save); s && r->n_segments < MAX_SEGMENTS;
		s = strtok_r(NULL, "/", &save))
		r->segments[r->n_segments++] = s;
}

static bool matches(const struct request *r, const char *pattern)
{
	char copy[MAX_PATH + 1], *save = NULL;
	unsigned i = 0;

	snprintf(copy, sizeof copy, "%s", pattern);
	for (char *s = strtok_r(copy, "/", &save); s; s = strtok_r(NULL, "/", &save), i++)
		if (i >= r->n_segments || (strcmp(s, "*") && strcmp(s, r->segments[i])))
			return false;
	return i == r->n_segments;
}

static route_fn find_route(const struct request *r, const char *method, bool *ret_path_known)
{
	static const struct route *const tables[] = { host_routes, vm_routes, show_routes,
		migrate_routes, exec_routes };

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct route *route = tables[t]; route->method; route++) {
			if (!matches(r, route->path))
				continue;
			*ret_path_known = true;
			if (!strcmp(route->method, method))
				return route->fn;
		}
	return NULL;
}

static void dispatch(struct request *r, const char *method)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	bool path_known = false;

	r->dispatched = true;
	if (r->body.failed) {
		ferry_fail(&e, E2BIG, "too-large", "the request's body is larger than %u bytes",
			API_MAX_BODY);
		request_fail(r, &e);
		return;
	}
	split_path(r);
	bool v1 = r->n_segments && !strcmp(r->segments[0], "v1");
	memmove(r->segments, r->segments + 1, sizeof r->segments - sizeof *r->segments);
	r->n_segments -= r->n_segments ? 1 : 0;
	route_fn fn = v1 ? find_route(r, method, &path_known) : NULL;
	if (fn) {
		fn(r);
		return;
	}
	if (path_known)
		ferry_fail(&e, EINVAL, "no-method", "that path has no such method");
	else
		ferry_fail(&e, ENOENT, "no-path", "there is no such path in this API");
	request_fail(r, &e);
}

static struct request *begin(struct api *a, struct MHD_Connection *c, const char *url)
{
	struct request *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->api = a;
	r->connection = c;
	r->body.limit = API_MAX_BODY;
	r->out.limit = API_MAX_STREAM;
	snprintf(r->path, sizeof r->path, "%s", strlen(url) > MAX_PATH ? "/" : url);
	r->next = a->requests;
	a->requests = r;
	return r;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **slot)
{
	struct request *r = *slot;

	if (!r) {
		*slot = begin(arg, c, url);
		return *slot ? MHD_YES : MHD_NO;
	}
	if (*upload_size) {
		buf_put(&r->body, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	if (!r->dispatched)
		dispatch(r, method);
	if (r->queued)
		return MHD_YES;
	if (r->answered || r->streaming)
		return queue(r);
	r->suspended = true;
	MHD_suspend_connection(c);
	return MHD_YES;
}

static void on_completed(
	void *arg, struct MHD_Connection *c, void **slot, enum MHD_RequestTerminationCode why)
{
	struct request *r = *slot;

	if (!r)
		return;
	*slot = NULL;
	r->connection = NULL;
	r->suspended = false;
	if (r->gone && !r->answered && !r->api->closing) {
		tell_gone(r); // its owner ends it
		return;
	}
	r->hang_up = watch_remove(r->hang_up); // before the descriptor is another's
	drop_if_done(r);
}

// Lets MHD do all that it can, and comes back when it wants to.
static void run(struct api *a)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	for (int i = 0; i < 16; i++) {
		MHD_run(a->daemon);
		if (MHD_get_timeout(a->daemon, &ms) != MHD_YES) {
			watch_set_timer(a->timer, -1);
			return;
		}
		if (ms)
			break;
	}
	watch_set_timer(a->timer, clock_now_ns() + (int64_t)ms * NSEC_PER_MSEC);
}

static void on_ready(void *arg, int fd, uint32_t events)
{
	run(arg);
}

static void on_timer(void *arg)
{
	run(arg);
}

struct api *api_new(struct host *h, const char *path, struct ferry_error *e)
{
	_cleanup_fd_ int fd = unix_listen(path, e);
	struct api *a = fd >= 0 ? calloc(1, sizeof *a) : NULL;

	if (!a)
		return NULL;
	a->host = h;
	fd_set_nonblocking(fd, 1);
	a->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		on_request, a, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, a, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CLIENTS,
		MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
		a->daemon ? MHD_get_daemon_info(a->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		ferry_fail(e, EIO, "api", "cannot start the HTTP server on %s", path);
		return api_free(a);
	}
	(void)take_fd(fd); // MHD closes it
	a->watch = loop_fd(h->loop, info->epoll_fd, EPOLLIN, on_ready, a);
	a->timer = loop_timer(h->loop, -1, on_timer, a);
	return a;
}

struct api *api_free(struct api *a)
{
	if (!a)
		return NULL;
	a->closing = true;
	watch_remove(a->watch);
	for (struct request *r = a->requests; r; r = r->next)
		if (r->suspended) {
			r->suspended = false;
			MHD_resume_connection(r->connection);
		}
	if (a->daemon)
		MHD_stop_daemon(a->daemon);
	watch_remove(a->timer);
	// Those whose handlers have not answered: nobody will, the daemon ends.
	while (a->requests) {
		a->requests->answered = true;
		a->requests->connection = NULL;
		drop_if_done(a->requests);
	}
	free(a);
	return NULL;
}
