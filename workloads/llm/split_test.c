// SPDX-License-Identifier: Apache-2.0
// Words as the published regular expressions give them.
#include <string.h>

#include "check.h"
#include "split.h"

// `want` has the words with "|" between them.
static void expect(enum split_style style, const char *text, const char *want)
{
	size_t len = strlen(text);
	char got[512];
	size_t n = 0;

	while (len) {
		size_t word = split_word(style, text, len);

		CHECK(word && word <= len);
		memcpy(got + n, text, word);
		n += word;
		text += word;
		len -= word;
		got[n++] = len ? '|' : 0;
	}
	if (strcmp(got, want))
		fprintf(stderr, "wanted \"%s\", got \"%s\"\n", want, got);
	CHECK(!strcmp(got, want));
}

static void test_gpt2(void)
{
	expect(SPLIT_GPT2, "Hello world, it's 2024!", "Hello| world|,| it|'s| 2024|!");
	expect(SPLIT_GPT2, "a  b   ", "a| | b|   ");
	expect(SPLIT_GPT2, "IT'S x\n\n y", "IT|'|S| x|\n\n| y");
	expect(SPLIT_GPT2, "  \n", "  \n");
	expect(SPLIT_GPT2, "(a)..b", "(|a|)..|b");
}

static void test_llama3(void)
{
	expect(SPLIT_LLAMA3, "Hello world, IT'S 20245!", "Hello| world|,| IT|'S| |202|45|!");
	expect(SPLIT_LLAMA3, "a\n\n  b", "a|\n\n| | b");
	expect(SPLIT_LLAMA3, "x = (y);\r\n\tz", "x| =| (|y|);\r\n|\tz");
	expect(SPLIT_LLAMA3, "\xc3\xa9t\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd \xd9\xa1\xd9\xa2",
		"\xc3\xa9t\xc3\xa9| \xe4\xbd\xa0\xe5\xa5\xbd| |\xd9\xa1\xd9\xa2");
	expect(SPLIT_LLAMA3, "'re 'll'd", "'re| '|ll|'d");
	expect(SPLIT_LLAMA3, "   ", "   ");
	expect(SPLIT_LLAMA3, "a \n \n  b", "a| \n \n| | b");
}

static void test_single_digits(void)
{
	expect(SPLIT_QWEN2, "in 123", "in| |1|2|3");
	expect(SPLIT_DIGITS, "in  123 x", "in|  |1|2|3| x");
}

static void test_classes(void)
{
	CHECK(unicode_class_of('a') == UNICODE_LETTER &&
		unicode_class_of(0x1f600) == UNICODE_OTHER);
	CHECK(unicode_class_of(0x3000) == UNICODE_SPACE && unicode_class_of(0) == UNICODE_OTHER);
	CHECK(unicode_class_of(0xb2) == UNICODE_NUMBER && unicode_class_of(0x301) == UNICODE_OTHER);
	CHECK(unicode_class_of(0x10ffff) == UNICODE_OTHER);
}

int main(void)
{
	RUN(test_gpt2);
	RUN(test_llama3);
	RUN(test_single_digits);
	RUN(test_classes);
	return 0;
}
