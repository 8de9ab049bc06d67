// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "check.h"
#include "http.h"

static const char good[] =
	"POST /v1/completions?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
	"bodyGET /next";

static void test_request_is_read(void)
{
	struct http_request r;
	long n = http_parse(good, sizeof good - 1, &r);

	CHECK(n == (long)(strstr(good, "GET") - good));
	CHECK(!strcmp(r.method, "POST") && !strcmp(r.path, "/v1/completions"));
	CHECK(r.body_len == 4 && !memcmp(r.body, "body", 4));
	CHECK(r.keep_alive && r.chunks);
}

static void test_every_prefix_waits(void)
{
	size_t whole = (size_t)(strstr(good, "GET") - good);
	struct http_request r;

	for (size_t n = 0; n < whole; n++)
		CHECK(http_parse(good, n, &r) == 0);
}

static void test_bad_requests_are_refused(void)
{
	static const struct {
		const char *text;
		long status;
	} cases[] = {
		{ "\r\n\r\n", -400 },
		{ "GARBAGE\r\n\r\n", -400 },
		{ "GET  HTTP/1.1\r\n\r\n", -400 },
		{ "GET x HTTP/1.1\r\n\r\n", -400 },
		{ "GET / HTTP/2.0\r\n\r\n", -505 },
		{ "GETGETGETGET / HTTP/1.1\r\n\r\n", -400 },
		{ "GET / HTTP/1.1\r\nno colon\r\n\r\n", -400 },
		{ "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", -400 },
		{ "GET / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", -413 },
		{ "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", -413 },
		{ "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", -400 },
		{ "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", -501 },
	};
	struct http_request r;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		CHECK(http_parse(cases[i].text, strlen(cases[i].text), &r) == cases[i].status);
}

static void test_head_is_capped(void)
{
	static char big[HTTP_MAX_HEAD + 1];
	struct http_request r;

	memset(big, 'a', sizeof big);
	CHECK(http_parse(big, HTTP_MAX_HEAD - 1, &r) == 0);
	CHECK(http_parse(big, HTTP_MAX_HEAD, &r) == -431);
}

// Every single-byte change of a request gives an answer, never a crash or a length out of range.
static void test_flipped_bytes(void)
{
	char text[sizeof good];
	struct http_request r;

	for (size_t i = 0; i + 1 < sizeof good; i++)
		for (int b = 0; b < 256; b++) {
			long n;

			memcpy(text, good, sizeof good);
			text[i] = (char)b;
			n = http_parse(text, sizeof good - 1, &r);
			CHECK(n <= (long)sizeof good - 1 && n > -600);
		}
}

int main(void)
{
	RUN(test_request_is_read);
	RUN(test_every_prefix_waits);
	RUN(test_bad_requests_are_refused);
	RUN(test_head_is_capped);
	RUN(test_flipped_bytes);
	return 0;
}
