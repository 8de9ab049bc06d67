// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "check.h"
#include "utf8.h"

static void expect(const char *in, size_t len, const char *want)
{
	// In pieces of every size the same text comes out.
	for (size_t piece = 1; piece <= len; piece++) {
		struct utf8_stream s = { 0 };
		struct bytes out = { 0 };

		for (size_t i = 0; i < len; i += piece)
			utf8_feed(&s, in + i, len - i < piece ? len - i : piece, &out);
		utf8_end(&s, &out);
		CHECK(out.len == strlen(want) && !memcmp(out.data, want, out.len));
		bytes_free(&out);
	}
}

#define EXPECT(in, want) expect(in, sizeof(in) - 1, want)
#define BAD              "\xef\xbf\xbd"

static void test_streams(void)
{
	EXPECT("plain", "plain");
	EXPECT("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80!",
		"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80!");
	EXPECT("a\xff"
	       "b",
		"a" BAD "b");
	EXPECT("\xc3", BAD);
	EXPECT("\xe2\x82", BAD);
	EXPECT("\xe2\x82x", BAD "x");
	EXPECT("\xe2\xc3\xa9", BAD "\xc3\xa9");
	EXPECT("\xc0\x80", BAD BAD);         // overlong
	EXPECT("\xed\xa0\x80", BAD BAD BAD); // a surrogate
}

static void test_nothing_leaves_before_its_character_is_whole(void)
{
	struct utf8_stream s = { 0 };
	struct bytes out = { 0 };

	utf8_feed(&s, "\xf0\x9f\x98", 3, &out);
	CHECK(out.len == 0);
	utf8_feed(&s, "\x80", 1, &out);
	CHECK(out.len == 4);
	bytes_free(&out);
}

static void test_codes(void)
{
	static const uint32_t codes[] = { 0, 'a', 0x7f, 0x80, 0x7ff, 0x800, 0xfffe, 0x10000,
		0x10ffff };

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		char text[4];
		uint32_t code;
		size_t n = utf8_encode(codes[i], text);

		CHECK(utf8_decode(text, n, &code) == n && code == codes[i]);
		CHECK(n == 1 || (utf8_decode(text, n - 1, &code) == 1 && code == UTF8_INVALID));
	}
}

int main(void)
{
	RUN(test_streams);
	RUN(test_nothing_leaves_before_its_character_is_whole);
	RUN(test_codes);
	return 0;
}
