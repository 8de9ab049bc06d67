// SPDX-License-Identifier: Apache-2.0
// The forms of conversations, with a vocabulary of printable bytes and the forms' marks.
#include <string.h>

#include "chat.h"
#include "check.h"
#include "image.h"

#define MARKS 5

static const char *const mark_names[MARKS] = { "<|begin|>", "<|start_header_id|>",
	"<|end_header_id|>", "<|eot_id|>", "<|im_start|>" };

static uint8_t *data;
static struct gguf_file file;

// Tokens 0 to 127 are those characters, from 128 on come the marks. Line ends are GPT-2's U+010A.
static struct tokenizer *open_with(const char *template)
{
	static char texts[128][8];
	const char *names[128 + MARKS];
	int32_t types[128 + MARKS];
	struct failure f = { "" };
	struct image m = { 0 };
	struct tokenizer *t;
	size_t len;

	for (int i = 0; i < 128 + MARKS; i++) {
		types[i] = i < 128 ? 1 : 3;
		names[i] = i < 128 ? texts[i] : mark_names[i - 128];
		if (i < 128)
			snprintf(texts[i], sizeof texts[i], i > 32 ? "%c" : "#%d", i);
	}
	names[' '] = "\xc4\xa0";
	names['\n'] = "\xc4\x8a";
	image_text(&m, "tokenizer.ggml.model", "gpt2");
	image_text(&m, "tokenizer.ggml.pre", "llama-bpe");
	image_texts(&m, "tokenizer.ggml.tokens", names, 128 + MARKS);
	image_i32s(&m, "tokenizer.ggml.token_type", types, 128 + MARKS);
	image_texts(&m, "tokenizer.ggml.merges", names, 0);
	image_u32(&m, "tokenizer.ggml.bos_token_id", 128);
	if (template)
		image_text(&m, "tokenizer.chat_template", template);
	data = image_finish(&m, &len);
	CHECK(!gguf_parse(&file, data, len, NULL));
	if (tokenizer_open(&t, &file, 128 + MARKS, &f))
		fprintf(stderr, "%s\n", f.text);
	CHECK(!*f.text);
	return t;
}

// Marks are written as digits: 0 for "<|begin|>" and so on.
static void expect(const char *template, const char *content, const char *want)
{
	struct tokenizer *t = open_with(template);
	int32_t ids[128];
	char got[129];
	uint32_t n = 0;

	CHECK(!chat_begin(t, ids, &n, 128));
	CHECK(!chat_message(t, "user", content, strlen(content), ids, &n, 128));
	CHECK(!chat_turn(t, ids, &n, 128));
	for (uint32_t i = 0; i < n; i++)
		got[i] = (char)(ids[i] < 128 ? ids[i] : '0' + ids[i] - 128);
	got[n] = 0;
	if (strcmp(got, want))
		fprintf(stderr, "wanted \"%s\", got \"%s\"\n", want, got);
	CHECK(!strcmp(got, want));
	n = 0;
	CHECK(chat_message(t, "user", content, strlen(content), ids, &n, 5) < 0);
	tokenizer_close(t);
	gguf_close(&file);
	free(data);
}

static void test_forms(void)
{
	expect("{{ '<|start_header_id|>' }}", " hi\n", "01user2\n\nhi31assistant2\n\n");
	expect("{{ '<|im_start|>' }}", "hi ",
		"04user\nhi <|im_end|>\n4assistant\n"); // no such mark in this vocabulary: text
	expect(NULL, "hi", "0user: hi\nassistant: ");
	expect("[INST]", "hi", "0user: hi\nassistant: ");
}

static void test_contents_are_never_marks(void)
{
	expect("<|start_header_id|>", "<|eot_id|>", "01user2\n\n<|eot_id|>31assistant2\n\n");
}

int main(void)
{
	RUN(test_forms);
	RUN(test_contents_are_never_marks);
	return 0;
}
