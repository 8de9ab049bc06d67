// SPDX-License-Identifier: Apache-2.0
#include "llama_tensors.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"

static int fail_gguf(struct failure *f, int err, const struct gguf_error *e)
{
	return fail(f, err, "%s", e->text);
}

static int read_numbers(struct llama_file *l, uint32_t *context, struct failure *f)
{
	struct shape *s = &l->shape;
	const struct gguf_file *g = l->gguf;
	struct gguf_error e = { "" };
	const struct {
		const char *key;
		uint32_t *value;
		uint32_t min, max;
	} keys[] = {
		{ "llama.embedding_length", &s->dim, 1, SHAPE_MAX_DIM },
		{ "llama.block_count", &s->layers, 1, SHAPE_MAX_LAYERS },
		{ "llama.feed_forward_length", &l->hidden, 1, SHAPE_MAX_HIDDEN },
		{ "llama.attention.head_count", &s->heads, 1, SHAPE_MAX_HEADS },
		{ "llama.context_length", context, SHAPE_PAGE, UINT32_MAX },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		r = gguf_u32(g, keys[i].key, true, keys[i].value, &e);
		if (r)
			return fail_gguf(f, r, &e);
		if (*keys[i].value < keys[i].min || *keys[i].value > keys[i].max)
			return fail(f, EINVAL, "key \"%s\": %u is not %u to %u", keys[i].key,
				*keys[i].value, keys[i].min, keys[i].max);
	}
	s->kv_heads = s->heads;
	r = gguf_u32(g, "llama.attention.head_count_kv", false, &s->kv_heads, &e);
	s->head_dim = s->dim / s->heads;
	if (!r)
		r = gguf_u32(g, "llama.attention.key_length", false, &s->head_dim, &e);
	if (!r)
		r = gguf_float(g, "llama.attention.layer_norm_rms_epsilon", true, &s->norm_eps, &e);
	if (r)
		return fail_gguf(f, r, &e);
	if (!s->kv_heads || s->heads % s->kv_heads)
		return fail(f, EINVAL,
			"key \"llama.attention.head_count_kv\": %u heads cannot share %u evenly",
			s->heads, s->kv_heads);
	return 0;
}

// What the kernels do not do, by the key that asks for it.
static int refuse_foreign(const struct gguf_file *g, const struct shape *s, struct failure *f)
{
	const struct {
		const char *key;
		uint32_t only;
	} keys[] = {
		{ "llama.expert_count", 0 },
		{ "llama.attention.value_length", s->head_dim },
		{ "llama.rope.dimension_count", s->head_dim },
		{ "llama.attention.sliding_window", 0 },
	};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		uint32_t value = keys[i].only;
		struct gguf_error e;

		if (gguf_u32(g, keys[i].key, false, &value, &e))
			return fail_gguf(f, EINVAL, &e);
		if (value != keys[i].only)
			return fail(f, ENOTSUP, "key \"%s\": %u is not supported, only %u",
				keys[i].key, value, keys[i].only);
	}
	return 0;
}

static int refuse_parts(const struct gguf_file *g, struct failure *f)
{
	uint32_t parts = 1;
	struct gguf_error e;

	if (gguf_u32(g, "split.count", false, &parts, &e))
		return fail_gguf(f, EINVAL, &e);
	return parts <= 1
		       ? 0
		       : fail(f, ENOTSUP,
				 "key \"split.count\": this is one of a file's %u parts: join them "
				 "with llama.cpp's llama-gguf-split --merge",
				 parts);
}

static int find_tensor(const struct gguf_file *g, const char *name, uint64_t cols, uint64_t rows,
	const struct gguf_tensor **ret, struct failure *f)
{
	const struct gguf_tensor *t = gguf_find_tensor(g, name);

	if (!t)
		return fail(f, EINVAL, "tensor \"%s\" is missing", name);
	if (t->dims[0] != cols || t->dims[1] != rows || t->dims[2] != 1 || t->dims[3] != 1)
		return fail(f, EINVAL,
			"tensor \"%s\" is %llu x %llu; the other parts of the file want "
			"%llu x %llu",
			name, (unsigned long long)t->dims[0], (unsigned long long)t->dims[1],
			(unsigned long long)cols, (unsigned long long)rows);
	*ret = t;
	return 0;
}

static int find_vector(const struct gguf_file *g, const char *name, uint32_t count,
	const struct gguf_tensor **ret, struct failure *f)
{
	int r = find_tensor(g, name, count, 1, ret, f);

	if (!r && (*ret)->type != GGUF_TENSOR_F32)
		return fail(f, ENOTSUP, "tensor \"%s\": only F32 is supported here", name);
	return r;
}

static int find_matrix(const struct gguf_file *g, const char *name, uint64_t cols, uint64_t rows,
	const struct gguf_tensor **ret, enum weight_type *type, struct failure *f)
{
	struct gguf_layout layout = { "?", 1, 1 };
	int r = find_tensor(g, name, cols, rows, ret, f);

	if (r)
		return r;
	gguf_tensor_layout((*ret)->type, &layout);
	if (!convert_target((*ret)->type, type))
		return fail(f, ENOTSUP,
			"tensor \"%s\": type %s is not supported; F32, F16, BF16, Q4_0 to Q8_0, "
			"Q2_K to Q6_K, IQ4_NL and IQ4_XS are: take the model's file of such a "
			"type, or make one with llama.cpp's llama-quantize",
			name, layout.name);
	return 0;
}

struct llama_padding llama_stream_padding(const struct llama_file *l)
{
	return (struct llama_padding){ l->shape.dim - l->shape.dim_padding, l->shape.dim };
}

struct llama_source llama_source_of(const struct llama_file *l, unsigned matrix)
{
	const struct shape *s = &l->shape;
	struct llama_padding stream = llama_stream_padding(l);
	struct llama_padding hidden = { l->hidden, s->hidden };
	struct llama_padding head = { s->head_dim - s->head_padding, s->head_dim };
	uint32_t q = s->heads * head.file, kv = s->kv_heads * head.file;

	switch (matrix) {
	case LAYER_QKV:
		return (struct llama_source){ { "attn_q", "attn_k", "attn_v" }, 3, false,
			{ q, kv, kv }, stream.file, head, stream };
	case LAYER_OUTPUT:
		return (struct llama_source){ { "attn_output" }, 1, false, { stream.file }, q,
			stream, head };
	case LAYER_GATE_UP:
		return (struct llama_source){ { "ffn_gate", "ffn_up" }, 2, true,
			{ l->hidden, l->hidden }, stream.file, hidden, stream };
	default:
		return (struct llama_source){ { "ffn_down" }, 1, false, { stream.file }, l->hidden,
			stream, hidden };
	}
}

const char *const llama_layer_vectors[2] = { "attn_norm", "ffn_norm" };

void llama_layer_name(char out[64], uint32_t layer, const char *name)
{
	snprintf(out, 64, "blk.%u.%s.weight", layer, name);
}

// Columns that move inside their blocks have to be quantised again.
static enum weight_type for_columns(const struct llama_source *s, enum weight_type t)
{
	bool padded = s->col_padding.file != s->col_padding.device;

	return padded && t == WEIGHT_Q4_0 ? WEIGHT_Q8_0 : t;
}

// Tensors of different types that make one matrix meet in a wider one.
static enum weight_type wider(enum weight_type a, enum weight_type b)
{
	if (a == b)
		return a;
	return a == WEIGHT_F32 || b == WEIGHT_F32 ? WEIGHT_F32 : WEIGHT_F16;
}

static int plan_layer(struct llama_file *l, uint32_t layer, struct failure *f)
{
	const struct gguf_tensor *t;
	enum weight_type type;
	char name[64];
	int r = 0;

	for (unsigned m = 0; !r && m < LAYER_MATRICES; m++) {
		struct llama_source s = llama_source_of(l, m);

		for (unsigned i = 0; !r && i < s.count; i++) {
			llama_layer_name(name, layer, s.names[i]);
			r = find_matrix(l->gguf, name, s.cols, s.rows[i], &t, &type, f);
			if (!r)
				l->plan.layers[layer][m] = i ? wider(l->plan.layers[layer][m], type)
							     : for_columns(&s, type);
		}
	}
	for (unsigned i = 0; !r && i < 2; i++) {
		llama_layer_name(name, layer, llama_layer_vectors[i]);
		r = find_vector(l->gguf, name, llama_stream_padding(l).file, &t, f);
	}
	return r;
}

static int plan_ends(struct llama_file *l, struct failure *f)
{
	uint32_t dim = llama_stream_padding(l).file, vocab = l->shape.vocab;
	const struct gguf_tensor *t;
	int r = find_matrix(l->gguf, "token_embd.weight", dim, vocab, &t, &l->plan.embedding, f);

	if (!r)
		r = find_vector(l->gguf, "output_norm.weight", dim, &t, f);
	l->plan.logits = l->plan.embedding;
	l->plan.tied = !gguf_find_tensor(l->gguf, "output.weight");
	if (!r && !l->plan.tied)
		r = find_matrix(l->gguf, "output.weight", dim, vocab, &t, &l->plan.logits, f);
	return r;
}

static bool is_known(const struct llama_file *l, struct gguf_string name)
{
	static const char *const ends[] = { "token_embd.weight", "output_norm.weight",
		"output.weight", "rope_freqs.weight" };
	char text[64], wanted[64];
	uint32_t layer;

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (gguf_string_is(name, ends[i]))
			return true;
	if (name.len >= sizeof text)
		return false;
	memcpy(text, name.at, name.len);
	text[name.len] = 0;
	if (sscanf(text, "blk.%u.", &layer) != 1 || layer >= l->shape.layers)
		return false;
	for (unsigned m = 0; m < LAYER_MATRICES; m++) {
		struct llama_source s = llama_source_of(l, m);

		for (unsigned i = 0; i < s.count; i++) {
			llama_layer_name(wanted, layer, s.names[i]);
			if (!strcmp(wanted, text))
				return true;
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		llama_layer_name(wanted, layer, llama_layer_vectors[i]);
		if (!strcmp(wanted, text))
			return true;
	}
	return false;
}

static int refuse_unknown_tensors(const struct llama_file *l, struct failure *f)
{
	char name[GGUF_SHOWN + 1];

	for (uint64_t i = 0; i < l->gguf->n_tensors; i++)
		if (!is_known(l, l->gguf->tensors[i].name))
			return fail(f, ENOTSUP,
				"tensor \"%s\" is not part of the Llama architecture as it is "
				"served here: take a model without",
				gguf_shown(l->gguf->tensors[i].name, name));
	return 0;
}

// Key "llama.rope.scaling.type": none and linear, and llama3 with Meta's own parameters beside it.
static int scale_frequencies(struct llama_file *l, uint32_t pairs, struct failure *f)
{
	struct rope_llama3 llama3 = { .factor = 8, .low = 1, .high = 4, .original = 8192 };
	struct gguf_string type = { "none", 4 };
	struct gguf_error e = { "" };
	const struct gguf_file *g = l->gguf;
	char name[GGUF_SHOWN + 1];
	uint32_t original = 8192;
	float factor = 1;
	int r = gguf_text(g, "llama.rope.scaling.type", false, &type, &e);

	if (!r)
		r = gguf_float(g, "llama.rope.scaling.factor", false, &factor, &e);
	llama3.factor = factor;
	if (!r)
		r = gguf_float(g, "llama.rope.scaling.low_freq_factor", false, &llama3.low, &e);
	if (!r)
		r = gguf_float(g, "llama.rope.scaling.high_freq_factor", false, &llama3.high, &e);
	if (!r)
		r = gguf_u32(g, "llama.rope.scaling.original_context_length", false, &original, &e);
	if (r)
		return fail_gguf(f, r, &e);
	if (!(factor >= 1) || !(llama3.high > llama3.low) || !(llama3.low > 0) || !original)
		return fail(f, EINVAL, "keys \"llama.rope.scaling.*\" have no sensible values");
	llama3.original = (float)original;
	if (gguf_string_is(type, "linear"))
		for (uint32_t i = 0; i < pairs; i++)
			l->frequencies[i] /= factor;
	else if (gguf_string_is(type, "llama3"))
		rope_scale_llama3(&llama3, pairs, l->frequencies);
	else if (!gguf_string_is(type, "none"))
		return fail(f, ENOTSUP,
			"key \"llama.rope.scaling.type\": \"%s\" is not supported, only none, "
			"linear and llama3",
			gguf_shown(type, name));
	return 0;
}

// Llama 3.1's converted files carry the scaling as a divisor for each frequency.
static int divide_frequencies(struct llama_file *l, uint32_t pairs, struct failure *f)
{
	const struct gguf_tensor *t;
	int r;

	if (!gguf_find_tensor(l->gguf, "rope_freqs.weight"))
		return 0;
	r = find_vector(l->gguf, "rope_freqs.weight", pairs, &t, f);
	for (uint32_t i = 0; !r && i < pairs; i++) {
		float divisor;

		memcpy(&divisor, t->data + 4 * i, sizeof divisor);
		if (!(divisor > 0) || isinf(divisor))
			return fail(f, EINVAL,
				"tensor \"rope_freqs.weight\": element %u is no divisor", i);
		l->frequencies[i] /= divisor;
	}
	return r;
}

static int read_frequencies(struct llama_file *l, struct failure *f)
{
	uint32_t pairs =
		(l->shape.head_dim - l->shape.head_padding) / 2; // those of the padding stay 0
	struct gguf_error e;
	float base = 10000;
	int r = gguf_float(l->gguf, "llama.rope.freq_base", false, &base, &e);

	if (r)
		return fail_gguf(f, r, &e);
	if (!(base > 1))
		return fail(
			f, EINVAL, "key \"llama.rope.freq_base\": %g is too small", (double)base);
	rope_frequencies(base, pairs, l->frequencies);
	r = scale_frequencies(l, pairs, f);
	return r ? r : divide_frequencies(l, pairs, f);
}

static uint32_t round_up(uint32_t v, uint32_t multiple)
{
	return (v + multiple - 1) / multiple * multiple;
}

// Rounded up to what the kernels' vectors divide.
static int pad_widths(struct llama_file *l, struct failure *f)
{
	struct shape *s = &l->shape;
	uint32_t dim = s->dim, head = s->head_dim;

	if (!head || head % 2 || head > 2 * ROPE_MAX_PAIRS)
		return fail(f, ENOTSUP,
			"key \"llama.attention.key_length\" (or embedding_length / head_count): "
			"heads of width %u are not supported, only even ones of 2 to %u",
			head, 2 * ROPE_MAX_PAIRS);
	s->dim = round_up(dim, 32);
	s->dim_padding = s->dim - dim;
	s->head_dim = round_up(head, s->heads % 2 ? 32 : 16);
	s->head_padding = s->head_dim - head;
	s->hidden = round_up(l->hidden, 32);
	return 0;
}

static uint32_t whole_pages(uint32_t tokens)
{
	return tokens / SHAPE_PAGE * SHAPE_PAGE;
}

static int read_shape(struct llama_file *l, uint32_t context, uint32_t cache, struct failure *f)
{
	struct gguf_string architecture;
	struct gguf_error e;
	char name[GGUF_SHOWN + 1];
	const struct gguf_tensor *t = gguf_find_tensor(l->gguf, "token_embd.weight");
	uint32_t longest = 0;
	int r = gguf_text(l->gguf, "general.architecture", true, &architecture, &e);

	if (r)
		return fail_gguf(f, r, &e);
	if (!gguf_string_is(architecture, "llama"))
		return fail(f, ENOTSUP,
			"key \"general.architecture\": \"%s\" is not supported: take a model of "
			"the architecture \"llama\"",
			gguf_shown(architecture, name));
	r = refuse_parts(l->gguf, f);
	if (r)
		return r;
	r = read_numbers(l, &longest, f);
	if (!r && !t)
		r = fail(f, EINVAL, "tensor \"token_embd.weight\" is missing");
	if (!r)
		r = refuse_foreign(l->gguf, &l->shape, f);
	if (r)
		return r;
	r = pad_widths(l, f);
	if (r)
		return r;
	l->shape.vocab = t->dims[1] <= UINT32_MAX ? (uint32_t)t->dims[1] : 0;
	l->shape.context = whole_pages(longest < context ? longest : context);
	l->shape.cache_slots = cache ? cache : 2 * l->shape.context;
	return shape_check(&l->shape, f);
}

int llama_file_read(struct llama_file *ret, const struct gguf_file *g, uint32_t context,
	uint32_t cache, struct failure *f)
{
	struct llama_file l = { .gguf = g };
	int r = read_shape(&l, context, cache, f);

	if (r)
		return r;
	l.plan.layers = calloc(l.shape.layers, sizeof *l.plan.layers);
	if (!l.plan.layers)
		return fail(f, ENOMEM, "out of host memory");
	r = plan_ends(&l, f);
	for (uint32_t i = 0; !r && i < l.shape.layers; i++)
		r = plan_layer(&l, i, f);
	if (!r)
		r = refuse_unknown_tensors(&l, f);
	if (!r)
		r = read_frequencies(&l, f);
	if (r)
		llama_file_free(&l);
	else
		*ret = l;
	return r;
}

void llama_file_free(struct llama_file *l)
{
	free(l->plan.layers);
	memset(l, 0, sizeof *l);
}
