// SPDX-License-Identifier: Apache-2.0
// A GGUF file's "tokenizer.*".
#include "tokenizer_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "byte_code.h"
#include "utf8.h"

static uint32_t hash_text(const char *s, size_t len)
{
	uint32_t h = 2166136261u; // FNV-1a

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h ^ h >> 15;
}

int32_t tokenizer_find(const struct tokenizer *t, const char *s, size_t len)
{
	for (uint32_t i = hash_text(s, len);; i++) {
		int32_t id = t->table[i & t->table_mask];

		if (id < 0 || (t->texts[id].len == len && !memcmp(t->texts[id].at, s, len)))
			return id;
	}
}

static uint32_t hash_pair(int32_t left, int32_t right)
{
	uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> 32);
}

struct merge_entry *tokenizer_find_merge(const struct tokenizer *t, int32_t left, int32_t right)
{
	for (uint32_t i = hash_pair(left, right);; i++) {
		struct merge_entry *m = &t->merges[i & t->merge_mask];

		if (m->id < 0 || (m->left == left && m->right == right))
			return m;
	}
}

static uint32_t table_size(uint64_t n)
{
	uint32_t size = 16;

	while (size < n * 2)
		size *= 2;
	return size;
}

static int read_texts(
	struct tokenizer *t, const struct gguf_file *g, uint32_t vocab, struct failure *f)
{
	const struct gguf_value *v;
	struct gguf_error e;
	uint32_t size;
	int r = gguf_array(g, "tokenizer.ggml.tokens", true, GGUF_STRING, &v, &e);

	if (r)
		return fail(f, r, "%s", e.text);
	if (v->array.count != vocab)
		return fail(f, EINVAL,
			"key \"tokenizer.ggml.tokens\" has %llu tokens, the embedding %u",
			(unsigned long long)v->array.count, vocab);
	t->n = vocab;
	size = table_size(vocab);
	t->table_mask = size - 1;
	t->texts = calloc(vocab, sizeof *t->texts);
	t->types = calloc(vocab, sizeof *t->types);
	t->scores = calloc(vocab, sizeof *t->scores);
	t->specials = calloc(vocab, sizeof *t->specials);
	t->table = malloc(size * sizeof *t->table);
	if (!t->texts || !t->types || !t->scores || !t->specials || !t->table)
		return fail(f, ENOMEM, "out of host memory");
	gguf_strings(v, t->texts);
	memset(t->table, 0xff, size * sizeof *t->table);
	for (uint32_t i = 0; i < vocab; i++) {
		uint32_t at = hash_text(t->texts[i].at, t->texts[i].len);

		if (tokenizer_find(t, t->texts[i].at, t->texts[i].len) >= 0)
			continue; // of twins the first
		while (t->table[at & t->table_mask] >= 0)
			at++;
		t->table[at & t->table_mask] = (int32_t)i;
	}
	return 0;
}

// Types and scores, each as long as the vocabulary where there are any.
static int read_numbers(struct tokenizer *t, const struct gguf_file *g, struct failure *f)
{
	const struct gguf_value *types = NULL, *scores = NULL;
	struct gguf_error e;
	int r = gguf_array(g, "tokenizer.ggml.token_type", false, GGUF_I32, &types, &e);

	if (!r)
		r = gguf_array(g, "tokenizer.ggml.scores", t->kind == SENTENCE_PIECE, GGUF_F32,
			&scores, &e);
	if (r)
		return fail(f, r, "%s", e.text);
	if (types && types->array.count != t->n)
		return fail(f, EINVAL,
			"key \"tokenizer.ggml.token_type\" is not as long as the "
			"vocabulary");
	if (scores && scores->array.count != t->n)
		return fail(f, EINVAL,
			"key \"tokenizer.ggml.scores\" is not as long as the "
			"vocabulary");
	for (uint32_t i = 0; i < t->n; i++) {
		int32_t type = types ? gguf_array_i32(types, i) : TYPE_NORMAL;
		bool special = type == TYPE_CONTROL || type == TYPE_USER;

		t->types[i] = (uint8_t)(type > 0 && type <= TYPE_BYTE ? type : TYPE_NORMAL);
		t->scores[i] = scores ? gguf_array_f32(scores, i) : 0;
		if (!special || !t->texts[i].len)
			continue;
		t->specials[t->n_specials++] = (int32_t)i;
		t->special_first[(unsigned char)t->texts[i].at[0]] = true;
	}
	return 0;
}

// "left right", the tokens that become one; what names no tokens merges nothing.
static void add_merge(struct tokenizer *t, struct gguf_string s, uint32_t rank)
{
	// The space between the two; one may begin with a space only in foreign files.
	const char *space = s.len > 2 ? memchr(s.at + 1, ' ', s.len - 1) : NULL;
	size_t left = space ? (size_t)(space - s.at) : 0, right = s.len - left - 1;
	struct merge_entry m = { .rank = rank }, *place;
	char joined[512];

	if (!space || !right || left + right > sizeof joined)
		return;
	memcpy(joined, s.at, left);
	memcpy(joined + left, space + 1, right);
	m.left = tokenizer_find(t, s.at, left);
	m.right = tokenizer_find(t, space + 1, right);
	m.id = tokenizer_find(t, joined, left + right);
	if (m.left < 0 || m.right < 0 || m.id < 0)
		return;
	place = tokenizer_find_merge(t, m.left, m.right);
	if (place->id < 0)
		*place = m;
}

static int read_merges(struct tokenizer *t, const struct gguf_file *g, struct failure *f)
{
	const struct gguf_value *v;
	struct gguf_string *all;
	struct gguf_error e;
	uint32_t size;
	int r = gguf_array(g, "tokenizer.ggml.merges", true, GGUF_STRING, &v, &e);

	if (r)
		return fail(f, r, "%s", e.text);
	if (v->array.count > 1u << 24)
		return fail(f, EINVAL, "key \"tokenizer.ggml.merges\" has too many");
	size = table_size(v->array.count);
	t->merge_mask = size - 1;
	t->merges = malloc(size * sizeof *t->merges);
	all = calloc(v->array.count + 1, sizeof *all);
	if (!t->merges || !all) {
		free(all);
		return fail(f, ENOMEM, "out of host memory");
	}
	for (uint32_t i = 0; i < size; i++)
		t->merges[i].id = -1;
	gguf_strings(v, all);
	for (uint32_t i = 0; i < v->array.count; i++)
		add_merge(t, all[i], i);
	free(all);
	return 0;
}

static int read_style(struct tokenizer *t, const struct gguf_file *g, struct failure *f)
{
	static const struct {
		const char *name;
		enum split_style style;
		bool whole_words;
	} styles[] = {
		{ "gpt-2", SPLIT_GPT2, false },
		{ "gpt2", SPLIT_GPT2, false },
		{ "default", SPLIT_GPT2, false },
		{ "smollm", SPLIT_DIGITS, false },
		{ "llama-bpe", SPLIT_LLAMA3, true },
		{ "llama3", SPLIT_LLAMA3, true },
		{ "llama-v3", SPLIT_LLAMA3, true },
		{ "qwen2", SPLIT_QWEN2, false },
	};
	struct gguf_string pre = { "default", 7 };
	char name[GGUF_SHOWN + 1];
	struct gguf_error e;
	int r = gguf_text(g, "tokenizer.ggml.pre", false, &pre, &e);

	if (r)
		return fail(f, r, "%s", e.text);
	for (size_t i = 0; i < sizeof styles / sizeof *styles; i++) {
		if (gguf_string_is(pre, styles[i].name)) {
			t->style = styles[i].style;
			t->whole_words = styles[i].whole_words;
			return 0;
		}
	}
	return fail(f, ENOTSUP,
		"key \"tokenizer.ggml.pre\": \"%s\" is not supported, only gpt-2, llama-bpe, qwen2 "
		"and smollm",
		gguf_shown(pre, name));
}

static void find_bytes(struct tokenizer *t)
{
	char text[8];

	for (unsigned b = 0; b < 256; b++) {
		size_t len = t->kind == BYTE_PAIR
				     ? utf8_encode(code_of_byte(b), text)
				     : (size_t)snprintf(text, sizeof text, "<0x%02X>", b);

		t->bytes[b] = tokenizer_find(t, text, len);
	}
}

// A token that the file names by number; -1 if it does not.
static int read_token(const struct tokenizer *t, const struct gguf_file *g, const char *key,
	int32_t *ret, struct failure *f)
{
	uint32_t id = UINT32_MAX;
	struct gguf_error e;
	int r = gguf_u32(g, key, false, &id, &e);

	*ret = -1;
	if (r)
		return fail(f, r, "%s", e.text);
	if (id == UINT32_MAX)
		return 0;
	if (id >= t->n)
		return fail(f, EINVAL, "key \"%s\": token %u is outside the vocabulary", key, id);
	*ret = (int32_t)id;
	return 0;
}

static void add_end(struct tokenizer *t, int32_t id)
{
	if (id >= 0 && !tokenizer_ends(t, id) && t->n_ends < TOKENIZER_ENDS)
		t->ends[t->n_ends++] = id;
}

static int read_special(struct tokenizer *t, const struct gguf_file *g, struct failure *f)
{
	static const char *const end_names[] = { "<|eot_id|>", "<|im_end|>", "<|end_of_text|>",
		"<|endoftext|>", "<|eom_id|>" };
	bool begins = t->kind == SENTENCE_PIECE || t->whole_words;
	struct gguf_error e = { "" };
	int32_t eos = -1, eot = -1;
	int r = read_token(t, g, "tokenizer.ggml.bos_token_id", &t->begin, f);

	if (!r)
		r = read_token(t, g, "tokenizer.ggml.unknown_token_id", &t->unknown, f);
	if (!r)
		r = read_token(t, g, "tokenizer.ggml.eos_token_id", &eos, f);
	if (!r)
		r = read_token(t, g, "tokenizer.ggml.eot_token_id", &eot, f);
	if (r)
		return r;
	if (gguf_bool(g, "tokenizer.ggml.add_bos_token", false, &begins, &e) ||
		gguf_bool(g, "tokenizer.ggml.add_space_prefix", false, &t->space_prefix, &e) ||
		gguf_text(g, "tokenizer.chat_template", false, &t->chat_template, &e))
		return fail(f, EINVAL, "%s", e.text);
	if (!begins)
		t->begin = -1;
	add_end(t, eos);
	add_end(t, eot);
	for (size_t i = 0; i < sizeof end_names / sizeof *end_names; i++) {
		int32_t id = tokenizer_find(t, end_names[i], strlen(end_names[i]));

		if (id >= 0 && t->types[id] == TYPE_CONTROL)
			add_end(t, id);
	}
	return 0;
}

int tokenizer_read(
	struct tokenizer *t, const struct gguf_file *g, uint32_t vocab, struct failure *f)
{
	struct gguf_string model;
	struct gguf_error e;
	char name[GGUF_SHOWN + 1];
	int r = gguf_text(g, "tokenizer.ggml.model", true, &model, &e);

	if (r)
		return fail(f, r, "%s", e.text);
	if (gguf_string_is(model, "gpt2"))
		t->kind = BYTE_PAIR;
	else if (gguf_string_is(model, "llama"))
		t->kind = SENTENCE_PIECE;
	else
		return fail(f, ENOTSUP,
			"key \"tokenizer.ggml.model\": \"%s\" is not supported, only gpt2 and "
			"llama",
			gguf_shown(model, name));
	t->space_prefix = t->kind == SENTENCE_PIECE;
	r = read_texts(t, g, vocab, f);
	if (!r)
		r = read_numbers(t, g, f);
	if (!r && t->kind == BYTE_PAIR)
		r = read_merges(t, g, f);
	if (!r && t->kind == BYTE_PAIR)
		r = read_style(t, g, f);
	if (r)
		return r;
	find_bytes(t);
	return read_special(t, g, f);
}
