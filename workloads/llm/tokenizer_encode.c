// SPDX-License-Identifier: Apache-2.0
// Text to tokens.
#include "tokenizer_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "byte_code.h"
#include "merge.h"
#include "utf8.h"
#include "vocabulary.h"

// Where tokens go.
struct output {
	int32_t *ids;
	uint32_t *n, max;
};

static int emit(struct output *o, int32_t id)
{
	if (*o->n == o->max)
		return -E2BIG;
	o->ids[(*o->n)++] = id;
	return 0;
}

// A token that text may become: plain text never becomes a control token.
static int32_t find_plain(const struct tokenizer *t, const char *s, size_t len)
{
	int32_t id = tokenizer_find(t, s, len);

	return id >= 0 && (t->types[id] == TYPE_NORMAL || t->types[id] == TYPE_USER) ? id : -1;
}

static int join_by_rank(const void *context, const struct symbol *a, const struct symbol *b,
	double *ret_rank, int32_t *ret_id)
{
	const struct merge_entry *m = tokenizer_find_merge(context, a->id, b->id);

	if (a->id < 0 || b->id < 0 || m->id < 0)
		return 0;
	*ret_rank = m->rank;
	*ret_id = m->id;
	return 1;
}

// What SentencePiece's merges look at.
struct scored {
	const struct tokenizer *t;
	const char *text;
};

static int join_by_score(const void *context, const struct symbol *a, const struct symbol *b,
	double *ret_rank, int32_t *ret_id)
{
	const struct scored *s = context;
	int32_t id = find_plain(s->t, s->text + a->at, a->len + b->len);

	if (id < 0)
		return 0;
	*ret_rank = -(double)s->t->scores[id];
	*ret_id = id;
	return 1;
}

// Symbols that are no token are their bytes' tokens, or the unknown token.
static int emit_symbols(
	const struct tokenizer *t, const struct symbol *symbols, const char *text, struct output *o)
{
	int r = 0;

	for (int32_t i = 0; !r && i >= 0; i = symbols[i].after) {
		bool unknown = false;

		if (symbols[i].id >= 0) {
			r = emit(o, symbols[i].id);
			continue;
		}
		for (uint32_t j = 0; !r && t->kind == SENTENCE_PIECE && j < symbols[i].len; j++) {
			int32_t id = t->bytes[(unsigned char)text[symbols[i].at + j]];

			if (id >= 0)
				r = emit(o, id);
			else
				unknown = true;
		}
		if (!r && unknown && t->unknown >= 0)
			r = emit(o, t->unknown);
	}
	return r;
}

static int encode_word(const struct tokenizer *t, const char *word, size_t len, struct output *o)
{
	struct symbol *symbols = malloc(len * sizeof *symbols);
	char *mapped = malloc(len * 2);
	size_t n = 0;
	int32_t whole;
	int r;

	if (!symbols || !mapped) {
		free(symbols);
		free(mapped);
		return -ENOMEM;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)word[i];

		symbols[i] = (struct symbol){ .id = t->bytes[byte], .len = 1, .at = (uint32_t)i };
		n += utf8_encode(code_of_byte(byte), mapped + n);
	}
	whole = t->whole_words ? find_plain(t, mapped, n) : -1;
	if (whole >= 0)
		r = emit(o, whole);
	else
		r = merge_symbols(symbols, (uint32_t)len, join_by_rank, t);
	if (!r && whole < 0)
		r = emit_symbols(t, symbols, word, o);
	free(symbols);
	free(mapped);
	return r;
}

static int encode_words(const struct tokenizer *t, const char *text, size_t len, struct output *o)
{
	int r = 0;

	while (!r && len) {
		size_t n = split_word(t->style, text, len);

		r = encode_word(t, text, n, o);
		text += n;
		len -= n;
	}
	return r;
}

// The text with U+2581 for spaces, as SentencePiece's tokens have it.
static int encode_pieces(const struct tokenizer *t, const char *text, size_t len, struct output *o)
{
	struct symbol *symbols = malloc((len + 1) * sizeof *symbols);
	struct scored context = { .t = t };
	struct bytes spaced = { 0 };
	uint32_t n = 0;
	int r = -ENOMEM;

	if (t->space_prefix)
		bytes_add(&spaced, TOKENIZER_SPACE, 3);
	for (size_t i = 0; i < len; i++)
		bytes_add(&spaced, text[i] == ' ' ? TOKENIZER_SPACE : &text[i],
			text[i] == ' ' ? 3 : 1);
	if (symbols && !spaced.failed) {
		for (uint32_t at = 0; at < spaced.len; n++) {
			uint32_t code, took = (uint32_t)utf8_decode(
					       spaced.data + at, spaced.len - at, &code);

			symbols[n] = (struct symbol){ .at = at, .len = took };
			symbols[n].id = find_plain(t, spaced.data + at, took);
			at += took;
		}
		context.text = spaced.data;
		r = merge_symbols(symbols, n, join_by_score, &context);
	}
	if (!r && n)
		r = emit_symbols(t, symbols, spaced.data, o);
	free(symbols);
	bytes_free(&spaced);
	return r;
}

static int encode_plain(const struct tokenizer *t, const char *text, size_t len, struct output *o)
{
	if (!len)
		return 0;
	return t->kind == BYTE_PAIR ? encode_words(t, text, len, o)
				    : encode_pieces(t, text, len, o);
}

static int encode_synthetic(const char *text, size_t len, struct output *o)
{
	int n = vocabulary_encode(text, len, o->ids + *o->n, (int)(o->max - *o->n));

	if (n < 0)
		return -E2BIG;
	*o->n += (uint32_t)n;
	return 0;
}

// The longest special token that the text begins with, or -1. Those that a user defined always
// count, control tokens only where they are wanted.
static int32_t special_at(const struct tokenizer *t, const char *text, size_t len, bool control)
{
	int32_t best = -1;

	if (!t->special_first[(unsigned char)*text])
		return -1;
	for (uint32_t i = 0; i < t->n_specials; i++) {
		int32_t id = t->specials[i];
		const struct gguf_string *s = &t->texts[id];

		if ((control || t->types[id] == TYPE_USER) && s->len <= len &&
			!memcmp(s->at, text, s->len) && (best < 0 || s->len > t->texts[best].len))
			best = id;
	}
	return best;
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, bool special,
	int32_t *ids, uint32_t *n, uint32_t max)
{
	struct output o = { ids, n, max };
	size_t from = 0, at = 0;
	int r = 0;

	if (t->kind == SYNTHETIC)
		return encode_synthetic(text, len, &o);
	while (!r && at < len) {
		int32_t id = special_at(t, text + at, len - at, special);

		if (id < 0) {
			at++;
			continue;
		}
		r = encode_plain(t, text + from, at - from, &o);
		if (!r)
			r = emit(&o, id);
		at += t->texts[id].len;
		from = at;
	}
	return r ? r : encode_plain(t, text + from, len - from, &o);
}
