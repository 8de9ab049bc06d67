// SPDX-License-Identifier: Apache-2.0
// Stop strings that begin, end and lie across tokens. A synthetic model's tokens are words.
#include <string.h>

#include "answer.h"
#include "check.h"

#define WORDS 6

static struct tokenizer *tokenizer;
static char whole[128]; // the text of tokens 0 to 5

static void make_whole(void)
{
	struct bytes text = { 0 };

	for (int32_t i = 0; i < WORDS; i++)
		tokenizer_text(tokenizer, i, &text);
	CHECK(text.len < sizeof whole);
	memcpy(whole, text.data, text.len);
	bytes_free(&text);
}

// The text that leaves with each token must only grow towards `want`.
static void expect(const struct answer_stops *stops, const char *want, bool stopped)
{
	struct answer a = { .tokenizer = tokenizer, .stops = stops };
	struct bytes out = { 0 };

	for (int32_t i = 0; i < WORDS; i++) {
		answer_token(&a, i, &out);
		CHECK(out.len <= strlen(want) && !memcmp(out.data ? out.data : "", want, out.len));
	}
	answer_end(&a, &out);
	CHECK(out.len == strlen(want) && !memcmp(out.data ? out.data : "", want, out.len));
	CHECK(a.stopped == stopped);
	bytes_free(&out);
	answer_free(&a);
}

static void test_no_stops(void)
{
	const struct answer_stops none = { .n = 0 };

	expect(&none, whole, false);
}

// Every piece of the text as a stop string: what stands before its first place comes out.
static void test_every_stop(void)
{
	size_t len = strlen(whole);

	for (size_t at = 0; at < len; at++) {
		for (size_t n = 1; at + n <= len; n++) {
			struct answer_stops stops = { .text = { "no such words" }, .n = 2 };
			char want[128];

			memcpy(stops.text[1], whole + at, n);
			memcpy(want, whole, sizeof want);
			want[strstr(whole, stops.text[1]) - whole] = 0;
			expect(&stops, want, true);
		}
	}
}

static void test_what_only_begins_like_a_stop_comes_out(void)
{
	struct answer_stops stops = { .n = 1 };

	snprintf(stops.text[0], sizeof stops.text[0], "%s and more", whole + 3);
	expect(&stops, whole, false);
}

int main(void)
{
	CHECK(!tokenizer_open_synthetic(&tokenizer, NULL));
	make_whole();
	RUN(test_no_stops);
	RUN(test_every_stop);
	RUN(test_what_only_begins_like_a_stop_comes_out);
	tokenizer_close(tokenizer);
	return 0;
}
