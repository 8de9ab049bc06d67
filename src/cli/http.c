// SPDX-License-Identifier: Apache-2.0
#include "cli/http.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/findings.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_ANSWER (64u << 20)

struct call {
	struct buf in;
	const struct http_stream *stream; // NULL: the answer is one document
	json_t *last;
	bool bad; // a line was no JSON
};

static void take_lines(struct call *k)
{
	uint8_t *end;

	while ((end = memchr(k->in.data, '\n', k->in.len))) {
		size_t n = (size_t)(end - k->in.data);
		json_t *doc = json_parse((const char *)k->in.data, n, "ferryd's answer", NULL);
		buf_consume(&k->in, n + 1);
		if (!doc) {
			k->bad = true;
			return;
		}
		json_decref(k->last);
		k->last = doc;
		if (!json_object_get(doc, "error"))
			k->stream->line(k->stream->arg, doc);
	}
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
	struct call *k = arg;

	buf_put(&k->in, bytes, size * n);
	if (k->in.failed)
		return 0;
	if (k->stream && k->in.len)
		take_lines(k);
	return k->bad ? 0 : size * n;
}

static int on_tick(void *arg, curl_off_t a, curl_off_t b, curl_off_t x, curl_off_t y)
{
	struct call *k = arg;

	if (k->stream && k->stream->tick)
		k->stream->tick(k->stream->arg);
	return 0;
}

static int unreachable(const struct cli *c, CURLcode why)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (why == CURLE_COULDNT_CONNECT) {
		ferry_fail(&e, ECONNREFUSED, "no-daemon", "no ferryd answers at %s", c->socket);
		ferry_error_remedy(
			&e, "start ferryd, or name its socket with --socket or FERRY_SOCKET");
	} else {
		ferry_fail(&e, EIO, "no-daemon", "the connection to ferryd broke: %s",
			curl_easy_strerror(why));
		ferry_error_remedy(&e, "ask again: `ferry vm list` shows what became of it");
	}
	return cli_error(c, &e, EXIT_FAILED);
}

static CURLcode perform(
	const struct cli *c, const char *method, const char *path, const char *body, struct call *k)
{
	CURL *curl = curl_easy_init();
	char url[400];

	if (!curl)
		return CURLE_OUT_OF_MEMORY;
	snprintf(url, sizeof url, "http://ferry/v1/%s", path);
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); // a VM called ".." is ferryd's to refuse
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, k);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_tick);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, k);
	if (body)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	CURLcode code = curl_easy_perform(curl);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return code;
}

int http_told_error(const struct cli *c, const json_t *doc)
{
	const json_t *error = json_object_get(doc, "error");
	struct ferry_error e;

	if (!json_is_object(error))
		return 0;
	int exit = (int)json_int_or(doc, "exit", EXIT_FAILED);
	if (c->json) {
		cli_print_json(doc);
		return exit;
	}
	if (json_array_size(json_object_get(doc, "findings"))) {
		findings_print(json_object_get(doc, "findings"), stderr);
		fputs("ferry: refused by the checks above; nothing was changed\n", stderr);
		return exit;
	}
	ferry_error_from_json(&e, error);
	return cli_error(c, &e, exit);
}

static int run(
	const struct cli *c, const char *method, const char *path, json_t *body, struct call *k)
{
	_cleanup_free_ char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	k->in.limit = MAX_ANSWER;
	CURLcode code = perform(c, method, path, text, k);
	if (code != CURLE_OK)
		return unreachable(c, k->bad ? CURLE_WEIRD_SERVER_REPLY : code);
	return 0;
}

int http_call(
	const struct cli *c, const char *method, const char *path, json_t *body, json_t **ret_doc)
{
	struct call k = { 0 };
	struct ferry_error e = FERRY_ERROR_INIT;
	int exit = run(c, method, path, body, &k);

	if (exit == 0) {
		json_t *doc = json_parse((char *)k.in.data, k.in.len, "ferryd's answer", &e);
		exit = doc ? http_told_error(c, doc) : cli_error(c, &e, EXIT_FAILED);
		if (exit == 0)
			*ret_doc = doc;
		else
			json_decref(doc);
	}
	buf_free(&k.in);
	return exit;
}

int http_stream(const struct cli *c, const char *method, const char *path, json_t *body,
	const struct http_stream *s)
{
	struct call k = { .stream = s };
	struct ferry_error e = FERRY_ERROR_INIT;
	int exit = run(c, method, path, body, &k);

	// Progress and then the end: nobody knows what became of it.
	if (exit == 0 && (!k.last || json_object_get(k.last, "progress"))) {
		ferry_fail(&e, EPROTO, "no-daemon", "ferryd ended without a result");
		ferry_error_remedy(&e, "ask again: `ferry vm list` shows what became of it");
		exit = cli_error(c, &e, EXIT_FAILED);
	} else if (exit == 0) {
		exit = http_told_error(c, k.last);
	}
	json_decref(k.last);
	buf_free(&k.in);
	return exit;
}

void vm_url(const char *name, const char *what, char ret[256])
{
	size_t n = (size_t)snprintf(ret, 256, "vms/");

	for (; *name && n < 200; name++) {
		if (isalnum((unsigned char)*name) || strchr("-_.", *name))
			ret[n++] = *name;
		else
			n += (size_t)snprintf(ret + n, 256 - n, "%%%02X", (unsigned char)*name);
	}
	snprintf(ret + n, 256 - n, "%s%s", *what ? "/" : "", what);
}
