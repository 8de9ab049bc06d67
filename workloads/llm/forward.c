// SPDX-License-Identifier: Apache-2.0
#include "forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SWIGLU_NUMBERS 32 // that one work-item of kernels/swiglu.cl makes
#define LAYER_LAUNCHES 7
#define END_LAUNCHES   4

_Static_assert(sizeof(struct pass_record) == 4 * (4 + 3 * PASS_ROWS + MAX_SEQUENCES),
	"kernels/common.cl counts ints");

static int make_buffers(struct forward *fw, struct failure *f)
{
	const struct shape *s = &fw->weights->shape;
	uint64_t rows = PASS_ROWS * 4ull, tables = MAX_SEQUENCES * 4ull * (s->context / SHAPE_PAGE);
	const struct {
		cl_mem *buffer;
		uint64_t bytes;
		const char *what;
	} wanted[] = {
		{ &fw->x, s->dim * rows, "residual stream" },
		{ &fw->normed, s->dim * rows, "normed stream" },
		{ &fw->q, shape_q_dim(s) * rows, "queries" },
		{ &fw->heads, shape_q_dim(s) * rows, "attention's output" },
		{ &fw->hidden, s->hidden * rows, "feed-forward" },
		{ &fw->logit, shape_vocab_rows(s) * 4ull * MAX_SEQUENCES, "logits" },
		{ &fw->rotation, s->head_dim * rows, "rotations" },
		{ &fw->record, sizeof(struct pass_record), "record" },
		{ &fw->tables, tables, "page tables" },
		{ &fw->sampled, MAX_SEQUENCES * 4ull, "tokens" },
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof wanted / sizeof *wanted; i++)
		r = gpu_buffer(fw->gpu, wanted[i].bytes, wanted[i].what, wanted[i].buffer, f);
	for (uint32_t i = 0; !r && i < s->layers; i++)
		r = gpu_buffer(
			fw->gpu, shape_kv_bytes(s) / s->layers, "KV cache", &fw->layers[i].kv, f);
	return r;
}

// The norm before a matrix of type `type`.
static int make_norm(struct forward *fw, const struct programs *programs, enum weight_type type,
	uint64_t gain, cl_kernel *ret, struct failure *f)
{
	cl_uint packed = weight_is_quantised(type);
	struct arg norm[] = { ARG(fw->weights->vectors), ARG(gain), ARG(fw->x), ARG(packed),
		ARG(fw->normed) };

	return program_kernel(programs->of[type], "norm", norm, 5, ret, f);
}

// rows of `in`, `cols` wide, times the matrix, added to the stream
static int make_project(struct forward *fw, const struct programs *programs, const struct matrix *m,
	cl_mem in, cl_kernel *ret, struct failure *f)
{
	cl_uint cols = m->cols;
	struct arg project[] = { ARG(fw->weights->arenas[m->arena]), ARG(m->at), ARG(cols),
		ARG(fw->record), ARG(in), ARG(fw->x) };

	return program_kernel(programs->of[m->type], "project", project, 6, ret, f);
}

static int make_attention(
	struct forward *fw, const struct programs *programs, uint32_t i, struct failure *f)
{
	const struct layer_weights *p = &fw->weights->layers[i];
	cl_program program = programs->of[p->qkv.type];
	cl_uint packed = weight_is_quantised(p->output.type);
	struct layer_kernels *k = &fw->layers[i];
	struct arg qkv[] = { ARG(fw->weights->arenas[p->qkv.arena]), ARG(p->qkv.at),
		ARG(fw->record), ARG(fw->tables), ARG(fw->rotation), ARG(fw->normed), ARG(fw->q),
		ARG(k->kv) };
	struct arg attention[] = { ARG(fw->record), ARG(fw->tables), ARG(fw->q), ARG(k->kv),
		ARG(packed), ARG(fw->heads) };
	int r = make_norm(fw, programs, p->qkv.type, p->attention_gain, &k->attention_norm, f);

	if (!r)
		r = program_kernel(program, "qkv", qkv, 8, &k->qkv, f);
	if (!r)
		r = program_kernel(program, "attention", attention, 6, &k->attention, f);
	return r ? r : make_project(fw, programs, &p->output, fw->heads, &k->output, f);
}

static int make_feed(
	struct forward *fw, const struct programs *programs, uint32_t i, struct failure *f)
{
	const struct layer_weights *p = &fw->weights->layers[i];
	cl_uint packed = weight_is_quantised(p->down.type);
	struct layer_kernels *k = &fw->layers[i];
	struct arg swiglu[] = { ARG(fw->weights->arenas[p->gate_up.arena]), ARG(p->gate_up.at),
		ARG(fw->record), ARG(fw->normed), ARG(packed), ARG(fw->hidden) };
	int r = make_norm(fw, programs, p->gate_up.type, p->feed_gain, &k->feed_norm, f);

	if (!r)
		r = program_kernel(
			programs->of[p->gate_up.type], "swiglu", swiglu, 6, &k->swiglu, f);
	return r ? r : make_project(fw, programs, &p->down, fw->hidden, &k->down, f);
}

static int make_ends(struct forward *fw, const struct programs *programs, struct failure *f)
{
	const struct weights *w = fw->weights;
	cl_program program = programs->of[w->logits.type];
	cl_uint packed = weight_is_quantised(w->logits.type);
	struct arg embed[] = { ARG(w->arenas[w->embedding.arena]), ARG(w->embedding.at),
		ARG(w->vectors), ARG(w->rope_frequencies), ARG(fw->record), ARG(fw->sampled),
		ARG(fw->x), ARG(fw->rotation) };
	struct arg norm[] = { ARG(w->vectors), ARG(w->final_gain), ARG(fw->record), ARG(fw->x),
		ARG(packed), ARG(fw->normed) };
	struct arg logits[] = { ARG(w->arenas[w->logits.arena]), ARG(w->logits.at), ARG(fw->record),
		ARG(fw->normed), ARG(fw->logit) };
	struct arg argmax[] = { ARG(fw->logit), ARG(fw->record), ARG(fw->sampled) };
	int r = program_kernel(programs->of[w->embedding.type], "embed", embed, 8, &fw->embed, f);

	if (!r)
		r = program_kernel(program, "norm_outputs", norm, 6, &fw->final_norm, f);
	if (!r)
		r = program_kernel(program, "logits", logits, 5, &fw->logits, f);
	if (!r)
		r = program_kernel(program, "argmax", argmax, 3, &fw->argmax, f);
	return r;
}

int forward_init(struct forward *fw, struct gpu *g, const struct weights *w,
	const struct programs *programs, struct failure *f)
{
	int r;

	memset(fw, 0, sizeof *fw);
	fw->gpu = g;
	fw->weights = w;
	fw->layers = calloc(w->shape.layers, sizeof *fw->layers);
	if (!fw->layers)
		return fail(f, ENOMEM, "out of host memory");
	r = make_buffers(fw, f);
	for (uint32_t i = 0; !r && i < w->shape.layers; i++) {
		r = make_attention(fw, programs, i, f);
		if (!r)
			r = make_feed(fw, programs, i, f);
	}
	return r ? r : make_ends(fw, programs, f);
}

static void release(cl_kernel k)
{
	if (k)
		clReleaseKernel(k);
}

void forward_free(struct forward *fw)
{
	cl_mem *buffers[] = { &fw->x, &fw->normed, &fw->q, &fw->heads, &fw->hidden, &fw->logit,
		&fw->rotation, &fw->record, &fw->tables, &fw->sampled };

	for (uint32_t i = 0; fw->layers && i < fw->weights->shape.layers; i++) {
		struct layer_kernels *k = &fw->layers[i];

		release(k->attention_norm);
		release(k->qkv);
		release(k->attention);
		release(k->output);
		release(k->feed_norm);
		release(k->swiglu);
		release(k->down);
		gpu_buffer_free(&k->kv);
	}
	release(fw->embed);
	release(fw->final_norm);
	release(fw->logits);
	release(fw->argmax);
	for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
		gpu_buffer_free(buffers[i]);
	free(fw->layers);
	memset(fw, 0, sizeof *fw);
}

int forward_set_pages(
	struct forward *fw, unsigned sequence, const int32_t *pages, uint32_t n, struct failure *f)
{
	uint64_t table = fw->weights->shape.context / SHAPE_PAGE;

	return gpu_write(
		fw->gpu, fw->tables, sequence * table * sizeof *pages, pages, n * sizeof *pages, f);
}

static int enqueue_layer(
	struct forward *fw, const struct layer_kernels *k, uint32_t rows, struct failure *f)
{
	const struct shape *s = &fw->weights->shape;
	uint32_t heads_each = s->head_dim % 32 ? 2 : 1; // as in kernels/attention.cl
	const struct {
		cl_kernel kernel;
		uint32_t items;
	} launches[LAYER_LAUNCHES] = {
		{ k->attention_norm, rows },
		{ k->qkv, (shape_q_dim(s) + 2 * shape_kv_dim(s)) / TILE_ROWS },
		{ k->attention, s->heads / heads_each * rows },
		{ k->output, s->dim / TILE_ROWS },
		{ k->feed_norm, rows },
		{ k->swiglu, s->hidden / SWIGLU_NUMBERS },
		{ k->down, s->dim / TILE_ROWS },
	};
	int r = 0;

	for (unsigned i = 0; !r && i < LAYER_LAUNCHES; i++)
		r = gpu_launch(fw->gpu, launches[i].kernel, launches[i].items, f);
	return r;
}

static int enqueue_outputs(struct forward *fw, uint32_t outputs, struct failure *f)
{
	int r = gpu_launch(fw->gpu, fw->final_norm, outputs, f);

	if (!r)
		r = gpu_launch(
			fw->gpu, fw->logits, shape_vocab_rows(&fw->weights->shape) / TILE_ROWS, f);
	return r ? r : gpu_launch(fw->gpu, fw->argmax, outputs, f);
}

int forward_pass(struct forward *fw, const struct pass_record *record, struct failure *f)
{
	uint32_t rows = (uint32_t)record->rows;
	cl_int st = clEnqueueWriteBuffer(
		fw->gpu->queue, fw->record, CL_FALSE, 0, sizeof *record, record, 0, NULL, NULL);
	int r = st ? fail_cl(f, st, "clEnqueueWriteBuffer") : 0;

	if (!r)
		r = gpu_launch(fw->gpu, fw->embed, rows, f);
	for (uint32_t i = 0; !r && i < fw->weights->shape.layers; i++)
		r = enqueue_layer(fw, &fw->layers[i], rows, f);
	if (!r && record->outputs)
		r = enqueue_outputs(fw, (uint32_t)record->outputs, f);
	return r;
}

int forward_read_tokens(struct forward *fw, int32_t *ret, cl_event *ret_done, struct failure *f)
{
	cl_int st = clEnqueueReadBuffer(fw->gpu->queue, fw->sampled, CL_FALSE, 0,
		MAX_SEQUENCES * sizeof *ret, ret, 0, NULL, ret_done);

	if (!st)
		st = clFlush(fw->gpu->queue);
	return st ? fail_cl(f, st, "clEnqueueReadBuffer") : 0;
}

int forward_read_logits(struct forward *fw, unsigned output, float *ret, struct failure *f)
{
	const struct shape *s = &fw->weights->shape;
	uint64_t at = (uint64_t)output * shape_vocab_rows(s) * sizeof *ret;
	cl_int st = clEnqueueReadBuffer(fw->gpu->queue, fw->logit, CL_FALSE, at,
		s->vocab * sizeof *ret, ret, 0, NULL, NULL);

	return st ? fail_cl(f, st, "clEnqueueReadBuffer") : 0;
}

unsigned forward_launches(const struct forward *fw)
{
	return fw->weights->shape.layers * LAYER_LAUNCHES + END_LAUNCHES;
}
