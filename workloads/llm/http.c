// SPDX-License-Identifier: Apache-2.0
#include "http.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

struct text {
	const char *at;
	size_t len;
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 400, "Bad Request" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 413, "Content Too Large" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

const char *http_reason(int status)
{
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

// Takes text up to `stop` off the front of `t`; false if `stop` is not there.
static bool cut(struct text *t, char stop, struct text *ret)
{
	const char *p = memchr(t->at, stop, t->len);

	if (!p)
		return false;
	*ret = (struct text){ t->at, (size_t)(p - t->at) };
	t->len -= ret->len + 1;
	t->at = p + 1;
	return true;
}

static bool is(struct text t, const char *word)
{
	return t.len == strlen(word) && !strncasecmp(t.at, word, t.len);
}

static struct text trim(struct text t)
{
	while (t.len && (*t.at == ' ' || *t.at == '\t'))
		t.at++, t.len--;
	while (t.len && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
		t.len--;
	return t;
}

static bool copy(struct text t, char *out, size_t size)
{
	if (!t.len || t.len >= size || memchr(t.at, 0, t.len))
		return false;
	memcpy(out, t.at, t.len);
	out[t.len] = 0;
	return true;
}

static int parse_request_line(struct text line, struct http_request *r)
{
	struct text method, target, query;

	if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target))
		return 400;
	if (line.len != 8 || strncmp(line.at, "HTTP/", 5))
		return 400;
	if (strncmp(line.at, "HTTP/1.1", 8) && strncmp(line.at, "HTTP/1.0", 8))
		return 505;
	r->chunks = r->keep_alive = line.at[7] == '1';
	query = target;
	cut(&query, '?', &target);
	if (!copy(method, r->method, sizeof r->method) || !copy(target, r->path, sizeof r->path))
		return 400;
	return r->path[0] == '/' ? 0 : 400;
}

static int parse_length(struct text v, size_t *ret)
{
	size_t n = 0;

	if (!v.len)
		return 400;
	for (size_t i = 0; i < v.len; i++) {
		if (v.at[i] < '0' || v.at[i] > '9')
			return 400;
		n = n * 10 + (size_t)(v.at[i] - '0');
		if (n > HTTP_MAX_BODY)
			return 413;
	}
	*ret = n;
	return 0;
}

static int parse_header(struct text line, struct http_request *r, bool *has_length)
{
	struct text name, value;

	if (!cut(&line, ':', &name) || !name.len || memchr(name.at, ' ', name.len))
		return 400;
	value = trim(line);
	if (is(name, "content-length")) {
		size_t before = r->body_len;
		int status = parse_length(value, &r->body_len);

		if (!status && *has_length && before != r->body_len)
			return 400;
		*has_length = true;
		return status;
	}
	if (is(name, "transfer-encoding"))
		return 501;
	if (is(name, "connection") && is(value, "close"))
		r->keep_alive = false;
	if (is(name, "connection") && is(value, "keep-alive"))
		r->keep_alive = true;
	return 0;
}

static int parse_head(struct text head, struct http_request *r)
{
	bool first = true, has_length = false;
	struct text line;

	while (cut(&head, '\n', &line)) {
		int status;

		if (line.len && line.at[line.len - 1] == '\r')
			line.len--;
		if (!line.len)
			break;
		status = first ? parse_request_line(line, r) : parse_header(line, r, &has_length);
		if (status)
			return status;
		first = false;
	}
	return first ? 400 : 0;
}

// Length of the head with its empty line; 0 if it is not complete.
static size_t head_length(const char *buf, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (buf[i] != '\n')
			continue;
		if (buf[i + 1] == '\n')
			return i + 2;
		if (i + 2 < len && buf[i + 1] == '\r' && buf[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

long http_parse(const char *buf, size_t len, struct http_request *ret)
{
	struct http_request r = { 0 };
	size_t head = head_length(buf, len < HTTP_MAX_HEAD ? len : HTTP_MAX_HEAD);
	int status;

	if (!head)
		return len >= HTTP_MAX_HEAD ? -431 : 0;
	status = parse_head((struct text){ buf, head }, &r);
	if (status)
		return -status;
	if (len - head < r.body_len)
		return 0;
	r.body = buf + head;
	*ret = r;
	return (long)(head + r.body_len);
}
