// SPDX-License-Identifier: Apache-2.0
#include "split.h"

#include "utf8.h"

enum unicode_class unicode_class_of(uint32_t code)
{
	unsigned low = 0, high = unicode_range_count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (unicode_ranges[middle].last < code)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < unicode_range_count && unicode_ranges[low].first <= code)
		return unicode_ranges[low].kind;
	return UNICODE_OTHER;
}

// A place in the text and what stands there.
struct place {
	enum split_style style;
	const char *text;
	size_t len, at;
};

static bool at_end(const struct place *p)
{
	return p->at == p->len;
}

static uint32_t code_at(const struct place *p, size_t *ret_len)
{
	uint32_t code;

	*ret_len = utf8_decode(p->text + p->at, p->len - p->at, &code);
	return code;
}

static bool is(const struct place *p, enum unicode_class kind)
{
	size_t len;

	return !at_end(p) && unicode_class_of(code_at(p, &len)) == kind;
}

static bool is_newline(const struct place *p)
{
	return !at_end(p) && (p->text[p->at] == '\r' || p->text[p->at] == '\n');
}

static void next(struct place *p)
{
	size_t len;

	code_at(p, &len);
	p->at += len;
}

// Goes over all of a class; how many characters there were, at most `most`.
static unsigned skip(struct place *p, enum unicode_class kind, unsigned most)
{
	unsigned n = 0;

	while (n < most && is(p, kind)) {
		next(p);
		n++;
	}
	return n;
}

static bool like_llama3(enum split_style s)
{
	return s == SPLIT_LLAMA3 || s == SPLIT_QWEN2;
}

// 's|'t|'re|'ve|'m|'ll|'d
static size_t contraction(const struct place *p)
{
	static const char *const all[] = { "s", "t", "re", "ve", "m", "ll", "d" };

	if (p->text[0] != '\'')
		return 0;
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		size_t n = 0;

		while (all[i][n] && 1 + n < p->len) {
			char c = p->text[1 + n];

			if (like_llama3(p->style) && c >= 'A' && c <= 'Z')
				c = (char)(c - 'A' + 'a');
			if (c != all[i][n])
				break;
			n++;
		}
		if (!all[i][n])
			return 1 + n;
	}
	return 0;
}

// Letters with what may stand before them: a space, or in Llama 3 anything but a line's end or a number.
static size_t letters(struct place p)
{
	bool may_lead = like_llama3(p.style) ? !is_newline(&p) && !is(&p, UNICODE_NUMBER)
					     : p.text[0] == ' ';

	if (!is(&p, UNICODE_LETTER) && may_lead)
		next(&p);
	return skip(&p, UNICODE_LETTER, UINT32_MAX) ? p.at : 0;
}

static size_t numbers(struct place p)
{
	static const unsigned most[] = {
		[SPLIT_GPT2] = UINT32_MAX, [SPLIT_DIGITS] = 1, [SPLIT_LLAMA3] = 3, [SPLIT_QWEN2] = 1
	};

	if (p.style == SPLIT_GPT2 && p.text[0] == ' ')
		p.at++;
	return skip(&p, UNICODE_NUMBER, most[p.style]) ? p.at : 0;
}

static size_t others(struct place p)
{
	if (p.text[0] == ' ')
		p.at++;
	if (!skip(&p, UNICODE_OTHER, UINT32_MAX))
		return 0;
	while (like_llama3(p.style) && is_newline(&p))
		p.at++;
	return p.at;
}

// Only spaces are left. The last one belongs to the word behind it, if there is one.
static size_t spaces(struct place p)
{
	size_t before_last = 0, newline = 0;
	bool over;

	while (is(&p, UNICODE_SPACE)) {
		bool ends_line = is_newline(&p);

		before_last = p.at;
		next(&p);
		if (ends_line)
			newline = p.at;
	}
	if (like_llama3(p.style) && newline)
		return newline;
	over = at_end(&p) || (p.style == SPLIT_DIGITS && is(&p, UNICODE_NUMBER));
	return over || !before_last ? p.at : before_last;
}

size_t split_word(enum split_style style, const char *text, size_t len)
{
	struct place p = { style, text, len, 0 };
	size_t n = contraction(&p);

	if (!n)
		n = letters(p);
	if (!n)
		n = numbers(p);
	if (!n)
		n = others(p);
	return n ? n : spaces(p);
}
