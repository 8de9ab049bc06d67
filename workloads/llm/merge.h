// SPDX-License-Identifier: Apache-2.0
// Joins neighbouring symbols, the best pair first, until no pair can be joined: byte-pair encoding
// (Sennrich et al. 2016), and SentencePiece's with scores. Knows no vocabulary.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct symbol {
	int32_t id;            // of a token, or -1
	uint32_t at, len;      // in the text
	int32_t before, after; // neighbours, -1 at the ends; internal
};

// Can these two be joined? 0 for no; else 1 with how good that is (lower is better) and the token.
typedef int merge_rule(const void *context, const struct symbol *a, const struct symbol *b,
	double *ret_rank, int32_t *ret_id);

// Joins within `n` symbols (their `before` and `after` need not be set). What remains is found from
// symbols[0] on by `after`. O(n log n). -ENOMEM.
int merge_symbols(struct symbol *symbols, uint32_t n, merge_rule *rule, const void *context);
