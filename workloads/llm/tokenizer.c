// SPDX-License-Identifier: Apache-2.0
#include "tokenizer_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "byte_code.h"
#include "utf8.h"
#include "vocabulary.h"

static struct tokenizer *make(enum kind kind)
{
	struct tokenizer *t = calloc(1, sizeof *t);

	if (t) {
		t->kind = kind;
		t->begin = t->unknown = -1;
	}
	return t;
}

int tokenizer_open(
	struct tokenizer **ret, const struct gguf_file *g, uint32_t vocab, struct failure *f)
{
	struct tokenizer *t = make(BYTE_PAIR);
	int r = t ? tokenizer_read(t, g, vocab, f) : fail(f, ENOMEM, "out of host memory");

	if (r)
		tokenizer_close(t);
	else
		*ret = t;
	return r;
}

int tokenizer_open_synthetic(struct tokenizer **ret, struct failure *f)
{
	*ret = make(SYNTHETIC);
	return *ret ? 0 : fail(f, ENOMEM, "out of host memory");
}

void tokenizer_close(struct tokenizer *t)
{
	if (!t)
		return;
	free(t->texts);
	free(t->types);
	free(t->scores);
	free(t->specials);
	free(t->table);
	free(t->merges);
	free(t);
}

int32_t tokenizer_begin(const struct tokenizer *t)
{
	return t->begin;
}

bool tokenizer_ends(const struct tokenizer *t, int32_t token)
{
	for (unsigned i = 0; i < t->n_ends; i++)
		if (t->ends[i] == token)
			return true;
	return false;
}

struct gguf_string tokenizer_template(const struct tokenizer *t)
{
	return t->chat_template;
}

static void byte_pair_text(struct gguf_string s, struct bytes *out)
{
	for (size_t i = 0; i < s.len;) {
		uint32_t code;
		size_t took = utf8_decode(s.at + i, s.len - i, &code);
		int byte = byte_of_code(code);

		if (byte >= 0)
			bytes_add(out, &(char){ (char)byte }, 1);
		else
			bytes_add(out, s.at + i, took);
		i += took;
	}
}

static void piece_text(struct gguf_string s, struct bytes *out)
{
	for (size_t i = 0; i < s.len;) {
		bool space = s.len - i >= 3 && !memcmp(s.at + i, TOKENIZER_SPACE, 3);

		bytes_add(out, space ? " " : s.at + i, 1);
		i += space ? 3 : 1;
	}
}

void tokenizer_text(const struct tokenizer *t, int32_t token, struct bytes *out)
{
	char word[WORD_MAX];
	struct gguf_string s;

	if (t->kind == SYNTHETIC) {
		bytes_add(out, word, vocabulary_word(token, word));
		return;
	}
	s = t->texts[token];
	if (t->types[token] == TYPE_CONTROL || t->types[token] == TYPE_UNUSED)
		return;
	if (t->types[token] == TYPE_BYTE && s.len == 6) {
		memcpy(word, s.at + 3, 2);
		word[2] = 0;
		bytes_add(out, &(char){ (char)strtoul(word, NULL, 16) }, 1);
	} else if (t->types[token] == TYPE_USER)
		bytes_add(out, s.at, s.len);
	else if (t->kind == BYTE_PAIR)
		byte_pair_text(s, out);
	else
		piece_text(s, out);
}
