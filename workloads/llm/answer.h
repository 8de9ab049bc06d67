// SPDX-License-Identifier: Apache-2.0
// The text of an answer as its tokens come: whole characters only, and nothing that belongs to a stop
// string. Knows the tokenizer, no JSON.
#pragma once

#include "tokenizer.h"
#include "utf8.h"

#define ANSWER_STOPS     4 // as in OpenAI's interface
#define ANSWER_STOP_SIZE 256

struct answer_stops {
	char text[ANSWER_STOPS][ANSWER_STOP_SIZE]; // without the final zero at most 255 bytes
	unsigned n;
};

struct answer {
	const struct tokenizer *tokenizer;
	const struct answer_stops *stops; // must outlive it
	struct utf8_stream utf8;
	struct bytes held; // text that may be the beginning of a stop string
	bool stopped;      // a stop string has come: nothing follows
};

// Appends to `out` what a token adds for certain.
void answer_token(struct answer *a, int32_t token, struct bytes *out);

// Appends what was held back. The answer is over.
void answer_end(struct answer *a, struct bytes *out);

void answer_free(struct answer *a);
