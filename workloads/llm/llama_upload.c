// SPDX-License-Identifier: Apache-2.0
// From a file's tensors to tiles in device memory, a piece at a time.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "llama_tensors.h"

#define PIECE_BYTES (4u << 20) // uploaded at once, about

// The rows of one matrix, wherever they come from.
struct rows {
	const struct matrix *m;
	const struct gguf_tensor *parts[3];
	struct llama_source source;
	uint8_t *converted; // a strip of rows, where the file has another type or fewer columns
	float *floats;      // one row
};

// Row `row` of the matrix in the file; NULL for one that pads it.
static const uint8_t *row_in_file(
	const struct rows *r, uint32_t row, const struct gguf_tensor **ret_tensor)
{
	const struct llama_source *s = &r->source;
	const struct llama_padding *p = &s->row_padding;
	unsigned part = 0;
	uint64_t at = row;

	if (s->in_turn) {
		part = row % s->count;
		at = row / s->count;
	}
	if (at % p->device >= p->file)
		return NULL;
	at = at / p->device * p->file + at % p->device;
	while (!s->in_turn && part < s->count && at >= r->parts[part]->dims[1])
		at -= r->parts[part++]->dims[1];
	if (part == s->count)
		return NULL;
	*ret_tensor = r->parts[part];
	return r->parts[part]->data + at * convert_row_bytes(r->parts[part]->type, s->cols);
}

// Makes room for the padding between the columns of a row, from the last on.
static void spread(const struct llama_padding *p, float *row, uint32_t device_cols)
{
	for (uint32_t i = device_cols; i-- > 0;) {
		bool zero = i % p->device >= p->file;

		row[i] = zero ? 0 : row[i / p->device * p->file + i % p->device];
	}
}

// The row in the device's type, but not yet in tiles.
static const uint8_t *row_in_type(const struct rows *r, uint32_t row)
{
	const struct llama_source *s = &r->source;
	uint32_t same = convert_same(r->m->type), cols = r->m->cols;
	uint64_t bytes = convert_row_bytes(same, cols);
	uint8_t *own = r->converted + row % TILE_ROWS * bytes;
	const struct gguf_tensor *t = NULL;
	const uint8_t *p = row_in_file(r, row, &t);

	if (!p)
		return memset(own, 0, bytes);
	if (t->type == same && s->cols == cols)
		return p;
	convert_to_floats(t->type, p, s->cols, r->floats);
	spread(&s->col_padding, r->floats, cols);
	convert_from_floats(r->m->type, r->floats, cols, own);
	return own;
}

static int upload_rows(
	const struct rows *s, struct weights *w, struct gpu *g, uint8_t *piece, struct failure *f)
{
	uint64_t stride = (uint64_t)(s->m->cols / TILE_COLS) * weight_tile_bytes(s->m->type);
	uint64_t at = s->m->at, fill = 0;
	int r = 0;

	for (uint32_t row = 0; !r && row < s->m->rows; row += TILE_ROWS) {
		const uint8_t *rows[TILE_ROWS];

		for (uint32_t i = 0; i < TILE_ROWS; i++)
			rows[i] = row_in_type(s, row + i);
		convert_pack(s->m->type, rows, s->m->cols, piece + fill);
		fill += stride;
		if (fill + stride <= PIECE_BYTES && row + TILE_ROWS < s->m->rows)
			continue;
		r = gpu_write(g, w->arenas[s->m->arena], at, piece, fill, f);
		at += fill;
		fill = 0;
	}
	return r;
}

static int upload_matrix(struct rows s, struct weights *w, struct gpu *g, struct failure *f)
{
	uint64_t stride = (uint64_t)(s.m->cols / TILE_COLS) * weight_tile_bytes(s.m->type);
	uint8_t *piece = malloc(stride > PIECE_BYTES ? stride : PIECE_BYTES);
	int r;

	s.converted = malloc(stride);
	s.floats = malloc(s.m->cols * sizeof *s.floats);
	if (piece && s.converted && s.floats)
		r = upload_rows(&s, w, g, piece, f);
	else
		r = fail(f, ENOMEM, "out of host memory");
	free(piece);
	free(s.converted);
	free(s.floats);
	return r;
}

static int upload_vector(const struct gguf_file *g, const char *name, uint64_t at,
	struct weights *w, struct gpu *gpu, struct failure *f)
{
	const struct gguf_tensor *t = gguf_find_tensor(g, name);
	float gains[SHAPE_MAX_DIM] = { 0 };

	memcpy(gains, t->data, t->bytes);
	return gpu_write(
		gpu, w->vectors, at * sizeof(float), gains, w->shape.dim * sizeof(float), f);
}

static int upload_layer(const struct llama_file *l, struct weights *w, struct gpu *g,
	uint32_t layer, struct failure *f)
{
	struct layer_weights *p = &w->layers[layer];
	const struct matrix *const matrices[LAYER_MATRICES] = { &p->qkv, &p->output, &p->gate_up,
		&p->down };
	char name[64];
	int r = 0;

	for (unsigned m = 0; !r && m < LAYER_MATRICES; m++) {
		struct rows rows = { .m = matrices[m], .source = llama_source_of(l, m) };

		for (unsigned i = 0; i < rows.source.count; i++) {
			llama_layer_name(name, layer, rows.source.names[i]);
			rows.parts[i] = gguf_find_tensor(l->gguf, name);
		}
		r = upload_matrix(rows, w, g, f);
	}
	llama_layer_name(name, layer, llama_layer_vectors[0]);
	if (!r)
		r = upload_vector(l->gguf, name, p->attention_gain, w, g, f);
	llama_layer_name(name, layer, llama_layer_vectors[1]);
	return r ? r : upload_vector(l->gguf, name, p->feed_gain, w, g, f);
}

int llama_file_upload(const struct llama_file *l, struct weights *w, struct gpu *g, unsigned part,
	struct failure *f)
{
	struct rows ends = { .m = &w->embedding,
		.source = { .count = 1,
			.cols = llama_stream_padding(l).file,
			.row_padding = { 1, 1 },
			.col_padding = llama_stream_padding(l) } };
	int r;

	if (part >= 2)
		return upload_layer(l, w, g, part - 2, f);
	if (part == 0) {
		ends.parts[0] = gguf_find_tensor(l->gguf, "token_embd.weight");
		return upload_matrix(ends, w, g, f);
	}
	ends.m = &w->logits;
	ends.parts[0] = gguf_find_tensor(l->gguf, "output.weight");
	r = l->plan.tied ? 0 : upload_matrix(ends, w, g, f);
	return r ? r : upload_vector(l->gguf, "output_norm.weight", w->final_gain, w, g, f);
}
