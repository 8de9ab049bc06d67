// SPDX-License-Identifier: Apache-2.0
// Small vocabularies of both kinds, built here: encoding, special tokens, text back, and bad files.
#include <errno.h>
#include <string.h>

#include "check.h"
#include "image.h"
#include "tokenizer.h"
#include "utf8.h"

#define BYTES 256

static char *names[300];
static uint32_t n_names;
static int32_t types[300];
static float scores[300];
static uint8_t *data;
static struct gguf_file file;

static int32_t add(const char *name, int32_t type, float score)
{
	names[n_names] = strdup(name);
	types[n_names] = type;
	scores[n_names] = score;
	return (int32_t)n_names++;
}

static struct tokenizer *open_image(struct image *m)
{
	struct failure f = { "" };
	struct tokenizer *t;
	size_t len;

	image_texts(m, "tokenizer.ggml.tokens", (const char *const *)names, n_names);
	image_i32s(m, "tokenizer.ggml.token_type", types, n_names);
	image_f32s(m, "tokenizer.ggml.scores", scores, n_names);
	data = image_finish(m, &len);
	CHECK(!gguf_parse(&file, data, len, NULL));
	if (tokenizer_open(&t, &file, n_names, &f))
		fprintf(stderr, "%s\n", f.text);
	else
		return t;
	CHECK(!"opened");
	return NULL;
}

static void close_all(struct tokenizer *t)
{
	tokenizer_close(t);
	gguf_close(&file);
	free(data);
	while (n_names)
		free(names[--n_names]);
}

static void expect(const struct tokenizer *t, const char *text, bool special, const int32_t *want,
	uint32_t n_want)
{
	int32_t ids[64];
	uint32_t n = 0;

	CHECK(!tokenizer_encode(t, text, strlen(text), special, ids, &n, 64));
	if (n != n_want || memcmp(ids, want, n * sizeof *ids)) {
		fprintf(stderr, "\"%s\" gave", text);
		for (uint32_t i = 0; i < n; i++)
			fprintf(stderr, " %d", ids[i]);
		fprintf(stderr, "\n");
	}
	CHECK(n == n_want && !memcmp(ids, want, n * sizeof *ids));
}

#define EXPECT(t, text, special, ...)                                                              \
	expect(t, text, special, (const int32_t[]){ __VA_ARGS__ },                                 \
		sizeof((const int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t))

static void expect_text(const struct tokenizer *t, const char *text)
{
	struct bytes out = { 0 };
	int32_t ids[256];
	uint32_t n = 0;

	CHECK(!tokenizer_encode(t, text, strlen(text), false, ids, &n, 256));
	for (uint32_t i = 0; i < n; i++)
		tokenizer_text(t, ids[i], &out);
	CHECK(out.len == strlen(text) && !memcmp(out.data, text, out.len));
	bytes_free(&out);
}

// Token b is byte b's own character: '!' is 33 and so on.
static void add_bytes(void)
{
	for (uint32_t b = 0, next = 256; b < BYTES; b++) {
		bool own = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
		char text[8] = { 0 };

		utf8_encode(own ? b : next++, text);
		add(text, 1, 0);
	}
}

static struct tokenizer *open_byte_pair(const char *pre)
{
	static const char *const merges[] = { "h e", "l l", "he ll", "hell o", "\xc4\xa0 w", "a b",
		"b c", "x y" };
	struct image m = { 0 };

	add_bytes();
	CHECK(add("he", 1, 0) == 256 && add("ll", 1, 0) == 257 && add("hell", 1, 0) == 258);
	CHECK(add("hello", 1, 0) == 259 && add("\xc4\xa0w", 1, 0) == 260);
	CHECK(add("ab", 1, 0) == 261 && add("bc", 1, 0) == 262 && add("abc", 1, 0) == 263);
	CHECK(add("<|begin|>", 3, 0) == 264 && add("<|eot_id|>", 3, 0) == 265);
	CHECK(add("<user>", 4, 0) == 266);
	image_text(&m, "tokenizer.ggml.model", "gpt2");
	image_text(&m, "tokenizer.ggml.pre", pre);
	image_texts(&m, "tokenizer.ggml.merges", merges, 8);
	image_u32(&m, "tokenizer.ggml.bos_token_id", 264);
	image_text(&m, "tokenizer.chat_template", "some template");
	return open_image(&m);
}

static void test_byte_pair(void)
{
	struct tokenizer *t = open_byte_pair("gpt-2");

	EXPECT(t, "hello w", false, 259, 260);
	EXPECT(t, "hellw", false, 258, 'w');
	EXPECT(t, "xhe", false, 'x', 256);
	EXPECT(t, "abc", false, 261, 'c'); // by rank, and no merge makes the whole
	EXPECT(t, "\n", false, '\n');
	EXPECT(t, "xy", false, 'x', 'y'); // a merge without its token is ignored
	expect_text(t, "hello w\xc3\xa9 \xf0\x9f\x98\x80\n\t~\x7f\x01");
	CHECK(tokenizer_begin(t) == -1);
	close_all(t);
}

static void test_llama3(void)
{
	struct tokenizer *t = open_byte_pair("llama-bpe");

	EXPECT(t, "abc", false, 263); // a word that is a token
	CHECK(tokenizer_begin(t) == 264 && tokenizer_ends(t, 265) && !tokenizer_ends(t, 264));
	CHECK(gguf_string_is(tokenizer_template(t), "some template"));
	close_all(t);
}

static void test_special_tokens(void)
{
	struct tokenizer *t = open_byte_pair("gpt-2");
	struct bytes out = { 0 };

	EXPECT(t, "he<|eot_id|>he", true, 256, 265, 256);
	EXPECT(t, "<user><|begin|>", true, 266, 264);
	EXPECT(t, "<user>", false, 266);
	EXPECT(t, "<|e", true, '<', '|', 'e');
	expect_text(t, "<|eot_id|>");
	tokenizer_text(t, 265, &out);
	CHECK(out.len == 0);
	tokenizer_text(t, 266, &out);
	CHECK(out.len == 6);
	bytes_free(&out);
	close_all(t);
}

static void test_limits(void)
{
	struct tokenizer *t = open_byte_pair("gpt-2");
	int32_t ids[4];
	uint32_t n = 0;

	CHECK(tokenizer_encode(t, "1 2 3", 5, false, ids, &n, 4) == -E2BIG);
	n = 0;
	CHECK(!tokenizer_encode(t, "", 0, false, ids, &n, 4) && n == 0);
	close_all(t);
}

static struct tokenizer *open_sentence_piece(void)
{
	struct image m = { 0 };

	CHECK(add("<unk>", 2, 0) == 0 && add("<s>", 3, 0) == 1 && add("</s>", 3, 0) == 2);
	for (int b = 0; b < BYTES; b++) {
		char text[8];

		snprintf(text, sizeof text, "<0x%02X>", b);
		CHECK(add(text, 6, 0) == 3 + b);
	}
	CHECK(add("\xe2\x96\x81", 1, -1) == 259 && add("a", 1, -2) == 260);
	CHECK(add("b", 1, -3) == 261 && add("\xe2\x96\x81"
					    "a",
						1, -4) == 262);
	CHECK(add("ab", 1, -3.5f) == 263 && add("\xe2\x96\x81"
						"ab",
						    1, -5) == 264);
	CHECK(add("s", 1, -6) == 265);
	image_text(&m, "tokenizer.ggml.model", "llama");
	image_u32(&m, "tokenizer.ggml.bos_token_id", 1);
	image_u32(&m, "tokenizer.ggml.eos_token_id", 2);
	image_u32(&m, "tokenizer.ggml.unknown_token_id", 0);
	return open_image(&m);
}

static void test_sentence_piece(void)
{
	struct tokenizer *t = open_sentence_piece();
	struct bytes out = { 0 };

	EXPECT(t, "ab", false, 264); // "ab" scores higher than " a", then " ab"
	EXPECT(t, "aa", false, 262, 260);
	EXPECT(t, "a ab", false, 262, 264);
	EXPECT(t, "a\xc3\xa9", false, 262, 3 + 0xc3, 3 + 0xa9);
	EXPECT(t, "<s>a", true, 1, 262);
	EXPECT(t, "<s>", false, 259, 3 + '<', 265, 3 + '>');
	CHECK(tokenizer_begin(t) == 1 && tokenizer_ends(t, 2));
	tokenizer_text(t, 264, &out);
	tokenizer_text(t, 3 + 0xc3, &out);
	CHECK(out.len == 4 && !memcmp(out.data, " ab\xc3", 4));
	bytes_free(&out);
	close_all(t);
}

static void refuse(struct image *m, uint32_t vocab, const char *part)
{
	struct failure f = { "" };
	struct tokenizer *t;
	size_t len;
	uint8_t *bytes = image_finish(m, &len);

	CHECK(!gguf_parse(&file, bytes, len, NULL));
	CHECK(tokenizer_open(&t, &file, vocab, &f) < 0);
	if (!strstr(f.text, part))
		fprintf(stderr, "wanted \"%s\", got \"%s\"\n", part, f.text);
	CHECK(strstr(f.text, part));
	gguf_close(&file);
	free(bytes);
}

static void test_bad_files(void)
{
	static const char *const three[] = { "a", "b", "c" };
	struct image m = { 0 };

	refuse(&m, 3, "\"tokenizer.ggml.model\" is missing");
	image_text(&m, "tokenizer.ggml.model", "bert");
	refuse(&m, 3, "\"tokenizer.ggml.model\": \"bert\"");
	image_text(&m, "tokenizer.ggml.model", "gpt2");
	image_texts(&m, "tokenizer.ggml.tokens", three, 3);
	refuse(&m, 4, "\"tokenizer.ggml.tokens\" has 3 tokens, the embedding 4");
	image_text(&m, "tokenizer.ggml.model", "gpt2");
	image_texts(&m, "tokenizer.ggml.tokens", three, 3);
	refuse(&m, 3, "\"tokenizer.ggml.merges\" is missing");
	image_text(&m, "tokenizer.ggml.model", "llama");
	image_texts(&m, "tokenizer.ggml.tokens", three, 3);
	image_f32s(&m, "tokenizer.ggml.scores", (const float[]){ 1, 2 }, 2);
	refuse(&m, 3, "\"tokenizer.ggml.scores\"");
	image_text(&m, "tokenizer.ggml.model", "gpt2");
	image_texts(&m, "tokenizer.ggml.tokens", three, 3);
	image_texts(&m, "tokenizer.ggml.merges", three, 3);
	image_text(&m, "tokenizer.ggml.pre", "klingon");
	refuse(&m, 3, "\"tokenizer.ggml.pre\": \"klingon\"");
	image_text(&m, "tokenizer.ggml.model", "gpt2");
	image_texts(&m, "tokenizer.ggml.tokens", three, 3);
	image_texts(&m, "tokenizer.ggml.merges", three, 3);
	image_u32(&m, "tokenizer.ggml.eos_token_id", 3);
	refuse(&m, 3, "\"tokenizer.ggml.eos_token_id\": token 3");
}

int main(void)
{
	RUN(test_byte_pair);
	RUN(test_llama3);
	RUN(test_special_tokens);
	RUN(test_limits);
	RUN(test_sentence_piece);
	RUN(test_bad_files);
	return 0;
}
