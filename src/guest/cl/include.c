// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/include.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && isblank((unsigned char)*p))
		p++;
	return p;
}

// What follows a word, or NULL where another stands there.
static const char *after_word(const char *p, const char *end, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(end - p) < n || memcmp(p, word, n))
		return NULL;
	p += n;
	return p < end && (isalnum((unsigned char)*p) || *p == '_') ? NULL : skip_blanks(p, end);
}

// What follows the name of this directive, or NULL when the line is another or none.
static const char *directive(const char *line, const char *end, const char *name)
{
	const char *p = skip_blanks(line, end);

	return p < end && *p == '#' ? after_word(skip_blanks(p + 1, end), end, name) : NULL;
}

// The operand of an #include line, or NULL when this line is none.
static const char *operand_of(const char *line, const char *end)
{
	const char *p = directive(line, end, "include");

	return p && p < end ? p : NULL;
}

static bool is_once(const char *line, const char *end)
{
	const char *p = directive(line, end, "pragma");

	return p && after_word(p, end, "once");
}

// Whether the next line begins inside of a comment, when this one does or does not.
static bool ends_in_comment(const char *p, const char *end, bool inside)
{
	for (char quote = 0; p < end; p++) {
		char next = p + 1 < end ? p[1] : 0;
		if (inside) {
			inside = *p != '*' || next != '/';
			p += !inside;
		} else if (quote) {
			if (*p == quote)
				quote = 0;
			p += *p == '\\';
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
		} else if (*p == '/' && next == '/') {
			return false;
		} else if (*p == '/' && next == '*') {
			inside = true;
			p++;
		}
	}
	return inside;
}

static const char *end_of_line(const char *p)
{
	const char *end = strchr(p, '\n');

	return end ? end : p + strlen(p);
}

// A line of that kind outside of comments.
static bool has_line(const char *text, bool (*is_one)(const char *line, const char *end))
{
	bool comment = false;

	for (const char *p = text; *p;) {
		const char *end = end_of_line(p);
		if (!comment && is_one(p, end))
			return true;
		comment = ends_in_comment(p, end, comment);
		p = *end ? end + 1 : end;
	}
	return false;
}

static bool is_include(const char *line, const char *end)
{
	return operand_of(line, end);
}

bool include_present(const char *source)
{
	return has_line(source, is_include);
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

// "#pragma once" means nothing in a text that is one file: a guard does then, named after the file as
// compilers know it again.
static void expand_once(
	struct expander *x, const struct level *l, const char *path, const char *text)
{
	static const char end[] = "#endif\n";
	struct stat st = { 0 };
	char guard[160];

	stat(path, &st);
	unsigned long long device = st.st_dev, inode = st.st_ino;
	snprintf(guard, sizeof guard,
		"#ifndef ferry_once_%llx_%llx\n#define ferry_once_%llx_%llx\n", device, inode,
		device, inode);
	buf_put(x->out, guard, strlen(guard));
	expand(x, l, text);
	buf_put(x->out, end, sizeof end - 1);
}

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
		if (has_line(text, is_once))
			expand_once(x, &inner, path, text);
		else
			expand(x, &inner, text);
	}
	free(text);
	return true;
}

static void expand(struct expander *x, const struct level *l, const char *text)
{
	bool comment = false;

	for (const char *p = text; *p && !x->err;) {
		const char *end = end_of_line(p), *operand = comment ? NULL : operand_of(p, end);
		bool goes = operand ? put_file(x, l, operand, end)
				    : !comment && l->path && is_once(p, end);
		if (!goes)
			buf_put(x->out, p, (size_t)(end - p));
		buf_put_u8(x->out, '\n');
		comment = ends_in_comment(p, end, comment);
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
