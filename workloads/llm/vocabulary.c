// SPDX-License-Identifier: Apache-2.0
#include "vocabulary.h"

#include <stdio.h>
#include <string.h>

// 16 onsets by 4 vowels make 64 syllables, two of them a word. The vowels hold no onset and the
// other way round, so a word is read back in one way only.
static const char onsets[16][3] = { "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v",
	"z", "st", "br" };
static const char vowels[4] = { 'a', 'e', 'i', 'o' };

// Neighbouring ids should not look alike: an odd factor permutes the ids modulo 4096.
#define SCATTER   2531u
#define UNSCATTER 971u // SCATTER * UNSCATTER = 1 modulo 4096

size_t vocabulary_word(int32_t id, char out[WORD_MAX])
{
	unsigned v = (unsigned)id * SCATTER % VOCABULARY_SIZE;
	unsigned a = v / 64, b = v % 64;

	return (size_t)snprintf(out, WORD_MAX, " %s%c%s%c", onsets[a / 4], vowels[a % 4],
		onsets[b / 4], vowels[b % 4]);
}

static int read_syllable(const char **p, const char *end)
{
	for (int i = 15; i >= 0; i--) { // the two-letter onsets first
		size_t n = strlen(onsets[i]);
		const char *v;

		if ((size_t)(end - *p) <= n || memcmp(*p, onsets[i], n))
			continue;
		v = memchr(vowels, (*p)[n], sizeof vowels);
		if (!v)
			continue;
		*p += n + 1;
		return i * 4 + (int)(v - vowels);
	}
	return -1;
}

static int32_t encode_word(const char *word, size_t len)
{
	const char *p = word, *end = word + len;
	int a = read_syllable(&p, end);
	int b = a < 0 ? -1 : read_syllable(&p, end);
	uint32_t hash = 2166136261u; // FNV-1a

	if (b >= 0 && p == end)
		return (int32_t)((unsigned)(a * 64 + b) * UNSCATTER % VOCABULARY_SIZE);
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)word[i]) * 16777619u;
	return (int32_t)(hash % VOCABULARY_SIZE);
}

static int is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

int vocabulary_encode(const char *text, size_t len, int32_t *ids, int max)
{
	size_t i = 0;
	int n = 0;

	for (;;) {
		size_t from;

		while (i < len && is_space(text[i]))
			i++;
		if (i == len)
			return n;
		from = i;
		while (i < len && !is_space(text[i]))
			i++;
		if (n == max)
			return -1;
		ids[n++] = encode_word(text + from, i - from);
	}
}
