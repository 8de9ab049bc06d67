// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/include.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest/cl/include_options.h"

#define DEPTH_MAX 64 // files inside files

// A file that is being put in place, and those that it is inside of.
struct level {
	const struct level *outer;
	const char *path; // NULL: the program's own source
	unsigned depth;
};

struct expander {
	const struct include_options *options;
	struct buf *out;
	int err;
};

// The operand of an #include line, or NULL when this line is none.
static const char *operand_of(const char *line, const char *end)
{
	const char *p = line;

	while (p < end && isblank((unsigned char)*p))
		p++;
	if (p == end || *p++ != '#')
		return NULL;
	while (p < end && isblank((unsigned char)*p))
		p++;
	if ((size_t)(end - p) < 8 || memcmp(p, "include", 7) || isalnum((unsigned char)p[7]) ||
		p[7] == '_')
		return NULL;
	for (p += 7; p < end && isblank((unsigned char)*p); p++)
		;
	return p;
}

static const char *end_of_line(const char *p)
{
	const char *end = strchr(p, '\n');

	return end ? end : p + strlen(p);
}

bool include_present(const char *source)
{
	for (const char *p = source; *p;) {
		const char *end = end_of_line(p);
		if (operand_of(p, end))
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}

static bool copy(char *ret, const char *from, size_t n)
{
	if (!n || n >= INCLUDE_PATH_MAX)
		return false;
	memcpy(ret, from, n);
	ret[n] = 0;
	return true;
}

// "NAME(path)" with -D names in the path: what the macro's stringizing makes of it.
static bool from_macro(const struct include_options *o, const char *p, const char *end, char *ret)
{
	const char *open = memchr(p, '(', (size_t)(end - p)), *close = end;
	size_t n = 0;

	while (close > p && close[-1] != ')')
		close--;
	if (!open || close <= open)
		return false;
	for (p = open + 1, close--; p < close;) {
		const char *word = p;
		while (p < close && (isalnum((unsigned char)*p) || *p == '_'))
			p++;
		const char *value =
			p > word ? include_options_value(o, word, (size_t)(p - word)) : NULL;
		if (p == word)
			p++;
		size_t length = value ? strlen(value) : (size_t)(p - word);
		if (n + length >= INCLUDE_PATH_MAX)
			return false;
		if (value || !isspace((unsigned char)*word)) {
			memcpy(ret + n, value ? value : word, length);
			n += length;
		}
	}
	ret[n] = 0;
	return n > 0;
}

static bool name_of(const struct include_options *o, const char *p, const char *end, char *ret,
	bool *ret_quoted)
{
	char closing = *p == '"' ? '"' : *p == '<' ? '>' : 0;
	const char *last;

	*ret_quoted = closing != '>';
	if (!closing)
		return from_macro(o, p, end, ret);
	last = memchr(p + 1, closing, (size_t)(end - p - 1));
	return last && copy(ret, p + 1, (size_t)(last - p - 1));
}

static char *read_all(const char *path)
{
	struct buf b = { .limit = INCLUDE_TEXT_MAX };
	FILE *f = fopen(path, "re");
	char piece[16384];
	size_t n;

	if (!f)
		return NULL;
	while ((n = fread(piece, 1, sizeof piece, f)) > 0)
		buf_put(&b, piece, n);
	if (ferror(f)) // a folder, for one
		b.failed = true;
	fclose(f);
	buf_put_u8(&b, 0);
	if (b.failed)
		buf_free(&b);
	return (char *)b.data;
}

static char *try_folder(const char *folder, size_t n, const char *name, char *ret_path)
{
	int length = snprintf(
		ret_path, INCLUDE_PATH_MAX, "%.*s%s%s", (int)n, folder, n ? "/" : "", name);

	return length < INCLUDE_PATH_MAX ? read_all(ret_path) : NULL;
}

// The file's text, to be freed, and its path; NULL when there is none of that name.
static char *find(const struct expander *x, const struct level *l, const char *name, bool quoted,
	char *ret_path)
{
	const char *slash = l->path ? strrchr(l->path, '/') : NULL;
	char *text = NULL;

	if (name[0] == '/')
		return try_folder("", 0, name, ret_path);
	if (quoted && slash)
		text = try_folder(l->path, (size_t)(slash - l->path), name, ret_path);
	for (size_t i = 0; !text && i < x->options->n_folders; i++)
		text = try_folder(
			x->options->folders[i], strlen(x->options->folders[i]), name, ret_path);
	return text;
}

static bool inside(const struct level *l, const char *path)
{
	for (; l; l = l->outer)
		if (l->path && !strcmp(l->path, path))
			return true;
	return false;
}

static void expand(struct expander *x, const struct level *l, const char *text);

// Puts a file in place. false: the line has to stay.
static bool put_file(struct expander *x, const struct level *l, const char *p, const char *end)
{
	char name[INCLUDE_PATH_MAX], path[INCLUDE_PATH_MAX];
	bool quoted;
	char *text;

	if (l->depth >= DEPTH_MAX || !name_of(x->options, p, end, name, &quoted))
		return false;
	text = find(x, l, name, quoted, path);
	if (!text)
		return false;
	// A file inside itself is one whose guard makes it empty the second time.
	if (!inside(l, path)) {
		struct level inner = { l, path, l->depth + 1 };
		expand(x, &inner, text);
	}
	free(text);
	return true;
}

static void expand(struct expander *x, const struct level *l, const char *text)
{
	for (const char *p = text; *p && !x->err;) {
		const char *end = end_of_line(p), *operand = operand_of(p, end);
		if (!operand || operand == end || !put_file(x, l, operand, end))
			buf_put(x->out, p, (size_t)(end - p));
		buf_put_u8(x->out, '\n');
		if (x->out->failed)
			x->err = x->out->len >= INCLUDE_TEXT_MAX / 2 ? -E2BIG : -ENOMEM;
		p = *end ? end + 1 : end;
	}
}

int include_expand(const char *source, const char *options, struct buf *out)
{
	struct include_options o;
	struct expander x = { &o, out, 0 };
	struct level top = { NULL, NULL, 0 };
	int r = include_options_parse(&o, options ? options : "");

	if (r < 0)
		return r;
	if (!out->limit)
		out->limit = INCLUDE_TEXT_MAX;
	expand(&x, &top, source);
	include_options_free(&o);
	return x.err;
}
