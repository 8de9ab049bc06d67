// SPDX-License-Identifier: Apache-2.0
// Text to tokens and back, by what a GGUF file says: byte-pair ("gpt2") and SentencePiece ("llama")
// vocabularies. Without a file: the made-up words of synthetic models. Knows no model.
#pragma once

#include <stdbool.h>

#include "bytes.h"
#include "failure.h"
#include "gguf/read.h"

struct tokenizer;

// Reads "tokenizer.*". `g` must outlive it. Errors name the key.
int tokenizer_open(
	struct tokenizer **ret, const struct gguf_file *g, uint32_t vocab, struct failure *f);

// For a model without a file.
int tokenizer_open_synthetic(struct tokenizer **ret, struct failure *f);

// NULL-safe.
void tokenizer_close(struct tokenizer *t);

// Appends the tokens of `text` to ids[*n] on, at most up to `max` of them in all. With `special` the
// names of control tokens in the text are those tokens; without, they are plain text. -E2BIG if
// there are too many, -ENOMEM.
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, bool special,
	int32_t *ids, uint32_t *n, uint32_t max);

// The token that a prompt begins with, or -1.
int32_t tokenizer_begin(const struct tokenizer *t);

// Appends a token's bytes, which may end inside a character. Control tokens have none.
void tokenizer_text(const struct tokenizer *t, int32_t token, struct bytes *out);

// True for a token that ends an answer.
bool tokenizer_ends(const struct tokenizer *t, int32_t token);

// The file's chat template ("tokenizer.chat_template"); empty if there is none.
struct gguf_string tokenizer_template(const struct tokenizer *t);
