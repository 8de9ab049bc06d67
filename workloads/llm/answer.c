// SPDX-License-Identifier: Apache-2.0
#include "answer.h"

#include <string.h>

// The first place at which a stop string stands, or could stand if the text went on; held.len if there
// is none. *ret_whole tells which.
static size_t find_stop(const struct answer *a, bool *ret_whole)
{
	*ret_whole = false;
	for (size_t at = 0; at < a->held.len; at++) {
		size_t left = a->held.len - at;
		bool partly = false;

		for (unsigned i = 0; i < a->stops->n; i++) {
			size_t len = strlen(a->stops->text[i]);

			if (memcmp(a->held.data + at, a->stops->text[i], len < left ? len : left))
				continue;
			if (len <= left) {
				*ret_whole = true;
				return at;
			}
			partly = true;
		}
		if (partly)
			return at;
	}
	return a->held.len;
}

static void release(struct answer *a, size_t len, struct bytes *out)
{
	bytes_add(out, a->held.data, len);
	bytes_drop(&a->held, len);
}

static void release_certain(struct answer *a, struct bytes *out)
{
	bool whole;
	size_t at = find_stop(a, &whole);

	release(a, at, out);
	if (whole) {
		a->stopped = true;
		bytes_drop(&a->held, a->held.len);
	}
}

void answer_token(struct answer *a, int32_t token, struct bytes *out)
{
	struct bytes text = { 0 };

	if (a->stopped)
		return;
	tokenizer_text(a->tokenizer, token, &text);
	utf8_feed(&a->utf8, text.data, text.len, &a->held);
	bytes_free(&text);
	release_certain(a, out);
}

void answer_end(struct answer *a, struct bytes *out)
{
	if (a->stopped)
		return;
	utf8_end(&a->utf8, &a->held);
	release_certain(a, out);
	release(a, a->held.len, out);
}

void answer_free(struct answer *a)
{
	bytes_free(&a->held);
}
