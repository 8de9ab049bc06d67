// SPDX-License-Identifier: Apache-2.0
// Conversations as prompts, in the form that the model was trained with. Knows the tokenizer, no JSON.
#pragma once

#include "tokenizer.h"

enum chat_form {
	CHAT_PLAIN,  // "role: content" lines
	CHAT_LLAMA3, // <|start_header_id|>role<|end_header_id|>
	CHAT_CHATML, // <|im_start|>role
};

// The form that a file's chat template (a Jinja program, which is not run) is recognised as.
enum chat_form chat_form_of(const struct tokenizer *t);

// Append to ids[*n] on, as tokenizer_encode() does. Only the form's own marks become control
// tokens, never what a role or content says.
int chat_begin(const struct tokenizer *t, int32_t *ids, uint32_t *n, uint32_t max);
int chat_message(const struct tokenizer *t, const char *role, const char *content, size_t len,
	int32_t *ids, uint32_t *n, uint32_t max);

// After the last message: it is the assistant's turn.
int chat_turn(const struct tokenizer *t, int32_t *ids, uint32_t *n, uint32_t max);
