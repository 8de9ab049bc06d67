// SPDX-License-Identifier: Apache-2.0
#include "chat.h"

#include <errno.h>
#include <string.h>

// What stands around a role and a content.
static const struct {
	const char *mark; // in the template
	const char *before_role, *after_role, *after_content;
	bool trims; // the template trims the content
} forms[] = {
	[CHAT_PLAIN] = { NULL, "", ": ", "\n", false },
	[CHAT_LLAMA3] = { "<|start_header_id|>", "<|start_header_id|>", "<|end_header_id|>\n\n",
		"<|eot_id|>", true },
	[CHAT_CHATML] = { "<|im_start|>", "<|im_start|>", "\n", "<|im_end|>\n", false },
};

enum chat_form chat_form_of(const struct tokenizer *t)
{
	struct gguf_string s = tokenizer_template(t);

	for (enum chat_form f = CHAT_LLAMA3; f <= CHAT_CHATML; f++)
		if (s.len && memmem(s.at, s.len, forms[f].mark, strlen(forms[f].mark)))
			return f;
	return CHAT_PLAIN;
}

static int marks(
	const struct tokenizer *t, const char *text, int32_t *ids, uint32_t *n, uint32_t max)
{
	return tokenizer_encode(t, text, strlen(text), true, ids, n, max);
}

int chat_begin(const struct tokenizer *t, int32_t *ids, uint32_t *n, uint32_t max)
{
	if (tokenizer_begin(t) < 0)
		return 0;
	if (*n == max)
		return -E2BIG;
	ids[(*n)++] = tokenizer_begin(t);
	return 0;
}

static int header(
	const struct tokenizer *t, const char *role, int32_t *ids, uint32_t *n, uint32_t max)
{
	enum chat_form f = chat_form_of(t);
	int r = marks(t, forms[f].before_role, ids, n, max);

	if (!r)
		r = tokenizer_encode(t, role, strlen(role), false, ids, n, max);
	return r ? r : marks(t, forms[f].after_role, ids, n, max);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

int chat_message(const struct tokenizer *t, const char *role, const char *content, size_t len,
	int32_t *ids, uint32_t *n, uint32_t max)
{
	enum chat_form f = chat_form_of(t);
	int r = header(t, role, ids, n, max);

	while (forms[f].trims && len && is_space(content[len - 1]))
		len--;
	while (forms[f].trims && len && is_space(*content)) {
		content++;
		len--;
	}
	if (!r)
		r = tokenizer_encode(t, content, len, false, ids, n, max);
	return r ? r : marks(t, forms[f].after_content, ids, n, max);
}

int chat_turn(const struct tokenizer *t, int32_t *ids, uint32_t *n, uint32_t max)
{
	return header(t, "assistant", ids, n, max);
}
