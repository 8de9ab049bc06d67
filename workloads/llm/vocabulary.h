// SPDX-License-Identifier: Apache-2.0
// The fixed vocabulary of synthetic models: 4096 made-up words of two syllables, so that a stream
// of tokens can be read and told apart. Knows no model.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define VOCABULARY_SIZE 4096
#define WORD_MAX        16 // bytes of a word with its leading space and the final zero

// Writes " word" for id (below VOCABULARY_SIZE). Returns its length.
size_t vocabulary_word(int32_t id, char out[WORD_MAX]);

// Splits text at white space into at most `max` ids. A known word gives its id; any other is hashed
// to one, so every text is a prompt. Returns the number of ids, or -1 if there are more than `max`.
int vocabulary_encode(const char *text, size_t len, int32_t *ids, int max);
