// SPDX-License-Identifier: Apache-2.0
#include "utf8.h"

#include <stdbool.h>
#include <string.h>

// Bytes that a character takes by its first; 0 for a byte that can be none.
static unsigned length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

// Whether `len` bytes can begin a character, and whether they are all of it.
static bool begins(const char *text, size_t len, bool *ret_whole)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned n = length(p[0]);

	*ret_whole = n && len >= n;
	if (!n)
		return false;
	for (unsigned i = 1; i < n && i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return false;
	if (len < 2)
		return true;
	return !(p[0] == 0xe0 && p[1] < 0xa0) && !(p[0] == 0xed && p[1] >= 0xa0) &&
	       !(p[0] == 0xf0 && p[1] < 0x90) && !(p[0] == 0xf4 && p[1] >= 0x90);
}

size_t utf8_decode(const char *text, size_t len, uint32_t *ret)
{
	static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	unsigned n = length((unsigned char)text[0]);
	bool whole;

	*ret = UTF8_INVALID;
	if (!begins(text, len, &whole) || !whole)
		return 1;
	*ret = (unsigned char)text[0] & masks[n];
	for (unsigned i = 1; i < n; i++)
		*ret = *ret << 6 | ((unsigned char)text[i] & 0x3f);
	return n;
}

size_t utf8_encode(uint32_t code, char out[4])
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

static void add_invalid(struct bytes *out)
{
	bytes_add(out, "\xef\xbf\xbd", 3);
}

void utf8_feed(struct utf8_stream *s, const char *data, size_t len, struct bytes *out)
{
	for (size_t i = 0; i < len; i++) {
		bool whole;

		s->held[s->n++] = data[i];
		// A byte that does not go on with what is held may begin something itself.
		while (s->n && !begins(s->held, s->n, &whole)) {
			add_invalid(out);
			s->n = s->n > 1 ? 1 : 0;
			s->held[0] = data[i];
		}
		if (s->n && whole) {
			bytes_add(out, s->held, s->n);
			s->n = 0;
		}
	}
}

void utf8_end(struct utf8_stream *s, struct bytes *out)
{
	if (s->n)
		add_invalid(out);
	s->n = 0;
}
