// SPDX-License-Identifier: Apache-2.0
#include "tokenizer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "merge.h"
#include "split.h"
#include "utf8.h"
#include "vocabulary.h"

#define MAX_ENDS 8
#define SPACE    "\xe2\x96\x81" // U+2581, which SentencePiece writes for a space

enum kind { SYNTHETIC, BYTE_PAIR, SENTENCE_PIECE };

// "tokenizer.ggml.token_type"
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };

// A byte-pair merge: the tokens of two neighbours, their rank, and the token that they become.
struct merge {
	int32_t left, right, id; // id -1: an empty place of the table
	uint32_t rank;
};

struct tokenizer {
	enum kind kind;
	enum split_style style;
	bool whole_words;  // a word that is a token is not taken apart (Llama 3)
	bool space_prefix; // SentencePiece sets a space before the text
	uint32_t n;
	struct gguf_string *texts;
	uint8_t *types;
	float *scores;
	int32_t *table; // open addressing by the hash of a token's text; -1: empty
	struct merge *merges;
	uint32_t table_mask, merge_mask;
	int32_t bytes[256]; // a byte's own token, or -1
	int32_t begin, unknown, ends[MAX_ENDS];
	unsigned n_ends;
	int32_t *specials; // control and user-defined tokens
	uint32_t n_specials;
	bool special_first[256]; // bytes that a special token's name begins with
	struct gguf_string chat_template;
};

static uint32_t hash_text(const char *s, size_t len)
{
	uint32_t h = 2166136261u; // FNV-1a

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h ^ h >> 15;
}

static int32_t find(const struct tokenizer *t, const char *s, size_t len)
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

static struct merge *find_merge(const struct tokenizer *t, int32_t left, int32_t right)
{
	for (uint32_t i = hash_pair(left, right);; i++) {
		struct merge *m = &t->merges[i & t->merge_mask];

		if (m->id < 0 || (m->left == left && m->right == right))
			return m;
	}
}

// The character that byte-pair vocabularies write for a byte (GPT-2's encoder.py): printable ones of
// Latin-1 for themselves, the others from U+0100 on.
static uint32_t byte_to_code(unsigned byte)
{
	unsigned n = 0;

	if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173))
		return byte;
	for (unsigned b = 0; b < byte; b++)
		n += !((b >= 33 && b <= 126) || (b >= 161 && b != 173));
	return 256 + n;
}

static int code_to_byte(uint32_t code)
{
	static const unsigned char others[] = { 127, 128, 129, 130, 131, 132, 133, 134, 135, 136,
		137, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147, 148, 149, 150, 151, 152, 153,
		154, 155, 156, 157, 158, 159, 160, 173 };

	if (code < 256)
		return (int)code;
	if (code < 256 + 33)
		return (int)code - 256;
	return code < 256 + 33 + sizeof others ? others[code - 256 - 33] : -1;
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

		if (find(t, t->texts[i].at, t->texts[i].len) >= 0)
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
	for (uint32_t i = 0; t->merges && i < size; i++)
		t->merges[i].id = -1;
	if (all)
		gguf_strings(v, all);
	for (uint32_t i = 0; t->merges && all && i < v->array.count; i++) {
		const char *s = all[i].at;
		// The space between the two; one may begin with a space only in foreign files.
		const char *space = all[i].len > 2 ? memchr(s + 1, ' ', all[i].len - 1) : NULL;
		char joined[512];
		size_t left = space ? (size_t)(space - s) : 0, right = all[i].len - left - 1;
		struct merge m = { .rank = i };
		struct merge *place;

		if (!space || !right || left + right > sizeof joined)
			continue;
		memcpy(joined, s, left);
		memcpy(joined + left, space + 1, right);
		m.left = find(t, s, left);
		m.right = find(t, space + 1, right);
		m.id = find(t, joined, left + right);
		if (m.left < 0 || m.right < 0 || m.id < 0)
			continue;
		place = find_merge(t, m.left, m.right);
		if (place->id < 0)
			*place = m;
	}
	r = t->merges && all ? 0 : fail(f, ENOMEM, "out of host memory");
	free(all);
	return r;
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
	return fail(f, ENOTSUP, "key \"tokenizer.ggml.pre\": \"%.*s\" is not supported",
		pre.len < 32 ? (int)pre.len : 32, pre.at);
}

static void find_bytes(struct tokenizer *t)
{
	char text[8];

	for (unsigned b = 0; b < 256; b++) {
		size_t len = t->kind == BYTE_PAIR
				     ? utf8_encode(byte_to_code(b), text)
				     : (size_t)snprintf(text, sizeof text, "<0x%02X>", b);

		t->bytes[b] = find(t, text, len);
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
	if (id >= 0 && !tokenizer_ends(t, id) && t->n_ends < MAX_ENDS)
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
		int32_t id = find(t, end_names[i], strlen(end_names[i]));

		if (id >= 0 && t->types[id] == TYPE_CONTROL)
			add_end(t, id);
	}
	return 0;
}

static int read_all(
	struct tokenizer *t, const struct gguf_file *g, uint32_t vocab, struct failure *f)
{
	struct gguf_string model;
	struct gguf_error e;
	int r = gguf_text(g, "tokenizer.ggml.model", true, &model, &e);

	if (r)
		return fail(f, r, "%s", e.text);
	if (gguf_string_is(model, "gpt2"))
		t->kind = BYTE_PAIR;
	else if (gguf_string_is(model, "llama"))
		t->kind = SENTENCE_PIECE;
	else
		return fail(f, ENOTSUP, "key \"tokenizer.ggml.model\": \"%.*s\" is not supported",
			model.len < 32 ? (int)model.len : 32, model.at);
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

static struct tokenizer *make(enum kind kind)
{
	struct tokenizer *t = calloc(1, sizeof *t);

	if (t) {
		t->kind = kind;
		t->begin = t->unknown = -1;
	}
	return t;
}

int tokenizer_open(
	struct tokenizer **ret, const struct gguf_file *g, uint32_t vocab, struct failure *f)
{
	struct tokenizer *t = make(BYTE_PAIR);
	int r = t ? read_all(t, g, vocab, f) : fail(f, ENOMEM, "out of host memory");

	if (r)
		tokenizer_close(t);
	else
		*ret = t;
	return r;
}

int tokenizer_open_synthetic(struct tokenizer **ret, struct failure *f)
{
	*ret = make(SYNTHETIC);
	return *ret ? 0 : fail(f, ENOMEM, "out of host memory");
}

void tokenizer_close(struct tokenizer *t)
{
	if (!t)
		return;
	free(t->texts);
	free(t->types);
	free(t->scores);
	free(t->specials);
	free(t->table);
	free(t->merges);
	free(t);
}

int32_t tokenizer_begin(const struct tokenizer *t)
{
	return t->begin;
}

bool tokenizer_ends(const struct tokenizer *t, int32_t token)
{
	for (unsigned i = 0; i < t->n_ends; i++)
		if (t->ends[i] == token)
			return true;
	return false;
}

struct gguf_string tokenizer_template(const struct tokenizer *t)
{
	return t->chat_template;
}

// Where tokens go.
struct output {
	int32_t *ids;
	uint32_t *n, max;
};

static int emit(struct output *o, int32_t id)
{
	if (*o->n == o->max)
		return -E2BIG;
	o->ids[(*o->n)++] = id;
	return 0;
}

// A token that text may become: plain text never becomes a control token.
static int32_t find_plain(const struct tokenizer *t, const char *s, size_t len)
{
	int32_t id = find(t, s, len);

	return id >= 0 && (t->types[id] == TYPE_NORMAL || t->types[id] == TYPE_USER) ? id : -1;
}

static int join_by_rank(const void *context, const struct symbol *a, const struct symbol *b,
	double *ret_rank, int32_t *ret_id)
{
	const struct merge *m = find_merge(context, a->id, b->id);

	if (a->id < 0 || b->id < 0 || m->id < 0)
		return 0;
	*ret_rank = m->rank;
	*ret_id = m->id;
	return 1;
}

// What SentencePiece's merges look at.
struct scored {
	const struct tokenizer *t;
	const char *text;
};

static int join_by_score(const void *context, const struct symbol *a, const struct symbol *b,
	double *ret_rank, int32_t *ret_id)
{
	const struct scored *s = context;
	int32_t id = find_plain(s->t, s->text + a->at, a->len + b->len);

	if (id < 0)
		return 0;
	*ret_rank = -(double)s->t->scores[id];
	*ret_id = id;
	return 1;
}

// Symbols that are no token are their bytes' tokens, or the unknown token.
static int emit_symbols(
	const struct tokenizer *t, const struct symbol *symbols, const char *text, struct output *o)
{
	int r = 0;

	for (int32_t i = 0; !r && i >= 0; i = symbols[i].after) {
		bool unknown = false;

		if (symbols[i].id >= 0) {
			r = emit(o, symbols[i].id);
			continue;
		}
		for (uint32_t j = 0; !r && t->kind == SENTENCE_PIECE && j < symbols[i].len; j++) {
			int32_t id = t->bytes[(unsigned char)text[symbols[i].at + j]];

			if (id >= 0)
				r = emit(o, id);
			else
				unknown = true;
		}
		if (!r && unknown && t->unknown >= 0)
			r = emit(o, t->unknown);
	}
	return r;
}

static int encode_word(const struct tokenizer *t, const char *word, size_t len, struct output *o)
{
	struct symbol *symbols = malloc(len * sizeof *symbols);
	char *mapped = malloc(len * 2);
	size_t n = 0;
	int32_t whole;
	int r;

	if (!symbols || !mapped) {
		free(symbols);
		free(mapped);
		return -ENOMEM;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)word[i];

		symbols[i] = (struct symbol){ .id = t->bytes[byte], .len = 1, .at = (uint32_t)i };
		n += utf8_encode(byte_to_code(byte), mapped + n);
	}
	whole = t->whole_words ? find_plain(t, mapped, n) : -1;
	if (whole >= 0)
		r = emit(o, whole);
	else
		r = merge_symbols(symbols, (uint32_t)len, join_by_rank, t);
	if (!r && whole < 0)
		r = emit_symbols(t, symbols, word, o);
	free(symbols);
	free(mapped);
	return r;
}

static int encode_words(const struct tokenizer *t, const char *text, size_t len, struct output *o)
{
	int r = 0;

	while (!r && len) {
		size_t n = split_word(t->style, text, len);

		r = encode_word(t, text, n, o);
		text += n;
		len -= n;
	}
	return r;
}

// The text with U+2581 for spaces, as SentencePiece's tokens have it.
static int encode_pieces(const struct tokenizer *t, const char *text, size_t len, struct output *o)
{
	struct symbol *symbols = malloc((len + 1) * sizeof *symbols);
	struct scored context = { .t = t };
	struct bytes spaced = { 0 };
	uint32_t n = 0;
	int r = -ENOMEM;

	if (t->space_prefix)
		bytes_add(&spaced, SPACE, 3);
	for (size_t i = 0; i < len; i++)
		bytes_add(&spaced, text[i] == ' ' ? SPACE : &text[i], text[i] == ' ' ? 3 : 1);
	if (symbols && !spaced.failed) {
		for (uint32_t at = 0; at < spaced.len; n++) {
			uint32_t code, took = (uint32_t)utf8_decode(
					       spaced.data + at, spaced.len - at, &code);

			symbols[n] = (struct symbol){ .at = at, .len = took };
			symbols[n].id = find_plain(t, spaced.data + at, took);
			at += took;
		}
		context.text = spaced.data;
		r = merge_symbols(symbols, n, join_by_score, &context);
	}
	if (!r && n)
		r = emit_symbols(t, symbols, spaced.data, o);
	free(symbols);
	bytes_free(&spaced);
	return r;
}

static int encode_plain(const struct tokenizer *t, const char *text, size_t len, struct output *o)
{
	if (!len)
		return 0;
	return t->kind == BYTE_PAIR ? encode_words(t, text, len, o)
				    : encode_pieces(t, text, len, o);
}

static int encode_synthetic(const char *text, size_t len, struct output *o)
{
	int n = vocabulary_encode(text, len, o->ids + *o->n, (int)(o->max - *o->n));

	if (n < 0)
		return -E2BIG;
	*o->n += (uint32_t)n;
	return 0;
}

// The longest special token that the text begins with, or -1. Those that a user defined always
// count, control tokens only where they are wanted.
static int32_t special_at(const struct tokenizer *t, const char *text, size_t len, bool control)
{
	int32_t best = -1;

	if (!t->special_first[(unsigned char)*text])
		return -1;
	for (uint32_t i = 0; i < t->n_specials; i++) {
		int32_t id = t->specials[i];
		const struct gguf_string *s = &t->texts[id];

		if ((control || t->types[id] == TYPE_USER) && s->len <= len &&
			!memcmp(s->at, text, s->len) && (best < 0 || s->len > t->texts[best].len))
			best = id;
	}
	return best;
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, bool special,
	int32_t *ids, uint32_t *n, uint32_t max)
{
	struct output o = { ids, n, max };
	size_t from = 0, at = 0;
	int r = 0;

	if (t->kind == SYNTHETIC)
		return encode_synthetic(text, len, &o);
	while (!r && at < len) {
		int32_t id = special_at(t, text + at, len - at, special);

		if (id < 0) {
			at++;
			continue;
		}
		r = encode_plain(t, text + from, at - from, &o);
		if (!r)
			r = emit(&o, id);
		at += t->texts[id].len;
		from = at;
	}
	return r ? r : encode_plain(t, text + from, len - from, &o);
}

static void byte_pair_text(struct gguf_string s, struct bytes *out)
{
	for (size_t i = 0; i < s.len;) {
		uint32_t code;
		size_t took = utf8_decode(s.at + i, s.len - i, &code);
		int byte = code_to_byte(code);

		if (byte >= 0)
			bytes_add(out, &(char){ (char)byte }, 1);
		else
			bytes_add(out, s.at + i, took);
		i += took;
	}
}

static void piece_text(struct gguf_string s, struct bytes *out)
{
	for (size_t i = 0; i < s.len;) {
		bool space = s.len - i >= 3 && !memcmp(s.at + i, SPACE, 3);

		bytes_add(out, space ? " " : s.at + i, 1);
		i += space ? 3 : 1;
	}
}

void tokenizer_text(const struct tokenizer *t, int32_t token, struct bytes *out)
{
	char word[WORD_MAX];
	struct gguf_string s;

	if (t->kind == SYNTHETIC) {
		bytes_add(out, word, vocabulary_word(token, word));
		return;
	}
	s = t->texts[token];
	if (t->types[token] == TYPE_CONTROL || t->types[token] == TYPE_UNUSED)
		return;
	if (t->types[token] == TYPE_BYTE && s.len == 6) {
		memcpy(word, s.at + 3, 2);
		word[2] = 0;
		bytes_add(out, &(char){ (char)strtoul(word, NULL, 16) }, 1);
	} else if (t->types[token] == TYPE_USER)
		bytes_add(out, s.at, s.len);
	else if (t->kind == BYTE_PAIR)
		byte_pair_text(s, out);
	else
		piece_text(s, out);
}
