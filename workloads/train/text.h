// SPDX-License-Identifier: Apache-2.0
// A text as tokens: a file of little-endian 16-bit ids, as tokenizer.py writes it. Knows no device.
#pragma once

#include <stdint.h>

#include "failure.h"

struct text {
	uint16_t *ids;
	uint64_t n;
};

// Reads a file of more than `least` tokens, each below `vocab`.
int text_read(struct text *t, const char *path, uint32_t vocab, uint64_t least, struct failure *f);

// A made-up text of `n` tokens, for tests: three times in four a token depends on the one before, so
// that there is something to learn.
int text_make_up(struct text *t, uint32_t vocab, uint64_t n, struct failure *f);

// NULL-safe on a zeroed object.
void text_free(struct text *t);

// `n` tokens from `at`, and the token after each. at + n < t->n.
void text_copy(const struct text *t, uint64_t at, uint32_t n, int32_t *tokens, int32_t *targets);
