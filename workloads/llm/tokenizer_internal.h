// SPDX-License-Identifier: Apache-2.0
// What the tokenizer's files share: tokenizer_read.c fills it from a GGUF file, tokenizer_encode.c turns
// text into tokens, tokenizer.c the rest.
#pragma once

#include "split.h"
#include "tokenizer.h"

#define TOKENIZER_ENDS  8
#define TOKENIZER_SPACE "\xe2\x96\x81" // U+2581, which SentencePiece writes for a space

enum kind { SYNTHETIC, BYTE_PAIR, SENTENCE_PIECE };

// "tokenizer.ggml.token_type"
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };

// A byte-pair merge: the tokens of two neighbours, their rank, and the token that they become.
struct merge_entry {
	int32_t left, right, id; // id -1: an empty place of the table
	uint32_t rank;
};

struct tokenizer {
	enum kind kind;
	enum split_style style;
	bool whole_words;  // a word that is a token is not taken apart (Llama 3)
	bool space_prefix; // SentencePiece sets a space before the text
	uint32_t n;
	struct gguf_string *texts;
	uint8_t *types;
	float *scores;
	int32_t *table; // open addressing by the hash of a token's text; -1: empty
	struct merge_entry *merges;
	uint32_t table_mask, merge_mask;
	int32_t bytes[256]; // a byte's own token, or -1
	int32_t begin, unknown, ends[TOKENIZER_ENDS];
	unsigned n_ends;
	int32_t *specials; // control and user-defined tokens
	uint32_t n_specials;
	bool special_first[256]; // bytes that a special token's name begins with
	struct gguf_string chat_template;
};

// -errno with the key that is wrong.
int tokenizer_read(
	struct tokenizer *t, const struct gguf_file *g, uint32_t vocab, struct failure *f);

// The token with exactly this text, or -1.
int32_t tokenizer_find(const struct tokenizer *t, const char *s, size_t len);
// Of two neighbours: its place in the table, which is empty (id -1) if they do not merge.
struct merge_entry *tokenizer_find_merge(const struct tokenizer *t, int32_t left, int32_t right);
