// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "check.h"
#include "vocabulary.h"

static void test_every_word_is_read_back(void)
{
	for (int32_t id = 0; id < VOCABULARY_SIZE; id++) {
		char word[WORD_MAX];
		size_t n = vocabulary_word(id, word);
		int32_t back[2];

		CHECK(n < WORD_MAX && word[0] == ' ');
		CHECK(vocabulary_encode(word, n, back, 2) == 1 && back[0] == id);
	}
}

static void test_any_text_is_a_prompt(void)
{
	static const char text[] = "\xff\x80 Hello,\tworld\n";
	int32_t ids[8];

	CHECK(vocabulary_encode(text, strlen(text), ids, 8) == 3);
	for (int i = 0; i < 3; i++)
		CHECK(ids[i] >= 0 && ids[i] < VOCABULARY_SIZE);
	CHECK(vocabulary_encode(text, strlen(text), ids, 2) == -1);
	CHECK(vocabulary_encode("  ", 2, ids, 8) == 0);
}

int main(void)
{
	RUN(test_every_word_is_read_back);
	RUN(test_any_text_is_a_prompt);
	return 0;
}
