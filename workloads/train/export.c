// SPDX-License-Identifier: Apache-2.0
#include "export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf/write.h"

#define MAX_PIECE 256

// tokenizer.py's file: "TYPE SCORE PIECE" a line.
struct vocabulary {
	char **pieces;
	float *scores;
	int32_t *types;
	uint32_t n;
};

static void vocabulary_free(struct vocabulary *v)
{
	for (uint32_t i = 0; v->pieces && i < v->n; i++)
		free(v->pieces[i]);
	free(v->pieces);
	free(v->scores);
	free(v->types);
}

static int read_line(
	struct vocabulary *v, uint32_t i, FILE *in, const char *path, struct failure *f)
{
	char line[MAX_PIECE + 64], piece[MAX_PIECE];

	if (!fgets(line, sizeof line, in) ||
		sscanf(line, "%d %f %255s", &v->types[i], &v->scores[i], piece) != 3)
		return fail(f, EINVAL, "%s:%u: no \"TYPE SCORE PIECE\"", path, i + 1);
	v->pieces[i] = strdup(piece);
	return v->pieces[i] ? 0 : fail(f, ENOMEM, "out of host memory");
}

static int vocabulary_read(struct vocabulary *v, const char *path, uint32_t n, struct failure *f)
{
	FILE *in = fopen(path, "re");
	int r = 0;

	if (!in)
		return fail(f, errno, "%s: %s", path, strerror(errno));
	v->n = n;
	v->pieces = calloc(n, sizeof *v->pieces);
	v->scores = calloc(n, sizeof *v->scores);
	v->types = calloc(n, sizeof *v->types);
	if (!v->pieces || !v->scores || !v->types)
		r = fail(f, ENOMEM, "out of host memory");
	for (uint32_t i = 0; i < n && !r; i++)
		r = read_line(v, i, in, path, f);
	if (!r && fgetc(in) != EOF)
		r = fail(f, EINVAL, "%s: more than the %u tokens of the network", path, n);
	fclose(in);
	return r;
}

static void write_hyper_parameters(struct gguf_writer *w, const struct shape *s, const char *name)
{
	gguf_write_text(w, "general.architecture", "llama");
	gguf_write_text(w, "general.name", name);
	gguf_write_u32(w, "llama.context_length", s->context);
	gguf_write_u32(w, "llama.embedding_length", s->dim);
	gguf_write_u32(w, "llama.block_count", s->layers);
	gguf_write_u32(w, "llama.feed_forward_length", s->hidden);
	gguf_write_u32(w, "llama.attention.head_count", s->heads);
	gguf_write_u32(w, "llama.attention.head_count_kv", s->kv_heads);
	gguf_write_u32(w, "llama.rope.dimension_count", shape_head_dim(s));
	gguf_write_f32(w, "llama.rope.freq_base", NETWORK_ROPE_THETA);
	gguf_write_f32(w, "llama.attention.layer_norm_rms_epsilon", NETWORK_NORM_EPS);
	gguf_write_u32(w, "llama.vocab_size", s->vocab);
}

static void write_tokenizer(struct gguf_writer *w, const struct vocabulary *v)
{
	gguf_write_text(w, "tokenizer.ggml.model", "llama");
	gguf_write_strings(w, "tokenizer.ggml.tokens", (const char *const *)v->pieces, v->n);
	gguf_write_floats(w, "tokenizer.ggml.scores", v->scores, v->n);
	gguf_write_ints(w, "tokenizer.ggml.token_type", v->types, v->n);
	gguf_write_u32(w, "tokenizer.ggml.unknown_token_id", 0);
	gguf_write_u32(w, "tokenizer.ggml.bos_token_id", 1);
	// A sequence ends where the next chapter would begin: with <s>, the only one that was learned.
	gguf_write_u32(w, "tokenizer.ggml.eos_token_id", 1);
	gguf_write_bool(w, "tokenizer.ggml.add_bos_token", true);
	gguf_write_bool(w, "tokenizer.ggml.add_eos_token", false);
	gguf_write_bool(w, "tokenizer.ggml.add_space_prefix", true);
}

// Rows [from, from + rows) of a matrix as tensor "blk.LAYER.NAME.weight".
static void write_rows(struct gguf_writer *w, const float *all, const struct matrix *m,
	uint32_t layer, const char *name, uint32_t from, uint32_t rows, enum gguf_tensor_type type)
{
	char full[64];

	snprintf(full, sizeof full, "blk.%u.%s.weight", layer, name);
	gguf_write_tensor(w, full, type, rows, m->cols, all + m->at + (uint64_t)from * m->cols);
}

static void write_gain(
	struct gguf_writer *w, const float *gain, uint32_t layer, const char *name, uint32_t dim)
{
	char full[64];

	snprintf(full, sizeof full, "blk.%u.%s.weight", layer, name);
	gguf_write_tensor(w, full, GGUF_TENSOR_F32, 0, dim, gain);
}

static void write_layer(struct gguf_writer *w, const struct network *n, const float *all,
	uint32_t i, enum gguf_tensor_type type)
{
	const struct layer_layout *l = &n->layout.layers[i];
	uint32_t dim = n->shape.dim, kv = shape_kv_dim(&n->shape), hidden = n->shape.hidden;

	write_gain(w, all + l->attention_gain, i, "attn_norm", dim);
	write_rows(w, all, &l->qkv, i, "attn_q", 0, dim, type);
	write_rows(w, all, &l->qkv, i, "attn_k", dim, kv, type);
	write_rows(w, all, &l->qkv, i, "attn_v", dim + kv, kv, type);
	write_rows(w, all, &l->output, i, "attn_output", 0, dim, type);
	write_gain(w, all + l->feed_gain, i, "ffn_norm", dim);
	write_rows(w, all, &l->gate_up, i, "ffn_gate", 0, hidden, type);
	write_rows(w, all, &l->gate_up, i, "ffn_up", hidden, hidden, type);
	write_rows(w, all, &l->down, i, "ffn_down", 0, dim, type);
}

static enum gguf_tensor_type tensor_type(const char *type)
{
	if (!strcmp(type, "f32"))
		return GGUF_TENSOR_F32;
	return strcmp(type, "f16") ? GGUF_TENSOR_Q8_0 : GGUF_TENSOR_F16;
}

static int write_file(const struct network *n, const float *all, const struct vocabulary *v,
	const char *path, const char *name, enum gguf_tensor_type type, struct failure *f)
{
	const struct layout *l = &n->layout;
	struct gguf_writer w = { 0 };
	struct gguf_error e = { "" };
	int r;

	write_hyper_parameters(&w, &n->shape, name);
	write_tokenizer(&w, v);
	gguf_write_tensor(&w, "token_embd.weight", type, l->embedding.rows, l->embedding.cols,
		all + l->embedding.at);
	for (uint32_t i = 0; i < n->shape.layers; i++)
		write_layer(&w, n, all, i, type);
	gguf_write_tensor(
		&w, "output_norm.weight", GGUF_TENSOR_F32, 0, n->shape.dim, all + l->final_gain);
	r = gguf_write_file(&w, path, &e);
	gguf_writer_free(&w);
	return r ? fail(f, r, "%s", e.text) : 0;
}

int export_gguf(struct trainer *t, const char *path, const char *name, const char *vocabulary,
	const char *type, struct failure *f)
{
	struct network *n = &t->network;
	uint64_t bytes = n->layout.total * sizeof(float);
	struct vocabulary v = { 0 };
	float *all = malloc(bytes);
	int r = all ? 0 : fail(f, ENOMEM, "out of host memory");

	if (!r)
		r = vocabulary_read(&v, vocabulary, n->shape.vocab, f);
	if (!r)
		r = gpu_read(n->gpu, n->parameters.all, 0, all, bytes, f);
	if (!r)
		r = write_file(n, all, &v, path, name, tensor_type(type), f);
	vocabulary_free(&v);
	free(all);
	return r;
}
