// SPDX-License-Identifier: Apache-2.0
#include "forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROWS           4 // as in kernels/common.cl
#define STEP_SAMPLED   2
#define LAYER_LAUNCHES 5

static int make_buffers(struct forward *fw, struct failure *f)
{
	const struct shape *s = &fw->weights->shape;
	const struct {
		cl_mem *buffer;
		uint64_t bytes;
		const char *what;
	} wanted[] = {
		{ &fw->x, s->dim * 4ull, "residual stream" },
		{ &fw->q, s->dim * 4ull, "queries" },
		{ &fw->heads, s->dim * 4ull, "attention's output" },
		{ &fw->hidden, s->hidden * 4ull, "feed-forward" },
		{ &fw->logit, s->vocab * 4ull, "logits" },
		{ &fw->rotation, s->head_dim * 4ull, "rotations" },
		{ &fw->step, sizeof fw->start, "step" },
		{ &fw->prompt, s->context * 4ull, "prompt" },
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof wanted / sizeof *wanted; i++)
		r = gpu_buffer(fw->gpu, wanted[i].bytes, wanted[i].what, wanted[i].buffer, f);
	for (uint32_t i = 0; !r && i < s->layers; i++)
		r = gpu_buffer(
			fw->gpu, shape_kv_bytes(s) / s->layers, "KV cache", &fw->layers[i].kv, f);
	return r;
}

static int make_attention(struct forward *fw, cl_program program, uint32_t i, struct failure *f)
{
	const struct weights *w = fw->weights;
	const struct layer_weights *p = &w->layers[i];
	struct layer_kernels *k = &fw->layers[i];
	cl_uint dim = w->shape.dim;
	struct arg qkv[] = { ARG(w->arenas[p->qkv.arena]), ARG(p->qkv.at), ARG(w->vectors),
		ARG(p->qkv.scale_at), ARG(p->attention_gain), ARG(fw->step), ARG(fw->rotation),
		ARG(fw->x), ARG(fw->q), ARG(k->kv) };
	struct arg attention[] = { ARG(fw->step), ARG(fw->q), ARG(k->kv), ARG(fw->heads) };
	struct arg output[] = { ARG(w->arenas[p->output.arena]), ARG(p->output.at), ARG(w->vectors),
		ARG(p->output.scale_at), ARG(dim), ARG(fw->heads), ARG(fw->x) };
	int r = program_kernel(program, "qkv", qkv, 10, &k->qkv, f);

	if (!r)
		r = program_kernel(program, "attention", attention, 4, &k->attention, f);
	if (!r)
		r = program_kernel(program, "project", output, 7, &k->output, f);
	return r;
}

static int make_feed(struct forward *fw, cl_program program, uint32_t i, struct failure *f)
{
	const struct weights *w = fw->weights;
	const struct layer_weights *p = &w->layers[i];
	struct layer_kernels *k = &fw->layers[i];
	cl_uint hidden = w->shape.hidden;
	struct arg swiglu[] = { ARG(w->arenas[p->gate_up.arena]), ARG(p->gate_up.at),
		ARG(w->vectors), ARG(p->gate_up.scale_at), ARG(p->feed_gain), ARG(fw->x),
		ARG(fw->hidden) };
	struct arg down[] = { ARG(w->arenas[p->down.arena]), ARG(p->down.at), ARG(w->vectors),
		ARG(p->down.scale_at), ARG(hidden), ARG(fw->hidden), ARG(fw->x) };
	int r = program_kernel(program, "swiglu", swiglu, 7, &k->swiglu, f);

	return r ? r : program_kernel(program, "project", down, 7, &k->down, f);
}

static int make_ends(struct forward *fw, cl_program program, struct failure *f)
{
	const struct weights *w = fw->weights;
	struct arg embed[] = { ARG(w->arenas[w->embedding.arena]), ARG(w->embedding.at),
		ARG(w->vectors), ARG(w->embedding.scale_at), ARG(w->rope_frequencies),
		ARG(fw->step), ARG(fw->prompt), ARG(fw->x), ARG(fw->rotation) };
	struct arg logits[] = { ARG(w->arenas[w->logits.arena]), ARG(w->logits.at), ARG(w->vectors),
		ARG(w->logits.scale_at), ARG(w->final_gain), ARG(fw->x), ARG(fw->logit) };
	struct arg argmax[] = { ARG(fw->logit), ARG(fw->step) };
	int r = program_kernel(program, "embed", embed, 9, &fw->embed, f);

	if (!r)
		r = program_kernel(program, "logits", logits, 7, &fw->logits, f);
	if (!r)
		r = program_kernel(program, "argmax", argmax, 2, &fw->argmax, f);
	return r;
}

int forward_init(struct forward *fw, struct gpu *g, const struct weights *w, cl_program program,
	struct failure *f)
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
		r = make_attention(fw, program, i, f);
		if (!r)
			r = make_feed(fw, program, i, f);
	}
	return r ? r : make_ends(fw, program, f);
}

static void release(cl_kernel k)
{
	if (k)
		clReleaseKernel(k);
}

void forward_free(struct forward *fw)
{
	cl_mem *buffers[] = { &fw->x, &fw->q, &fw->heads, &fw->hidden, &fw->logit, &fw->rotation,
		&fw->step, &fw->prompt };

	for (uint32_t i = 0; fw->layers && i < fw->weights->shape.layers; i++) {
		struct layer_kernels *k = &fw->layers[i];

		release(k->qkv);
		release(k->attention);
		release(k->output);
		release(k->swiglu);
		release(k->down);
		gpu_buffer_free(&k->kv);
	}
	release(fw->embed);
	release(fw->logits);
	release(fw->argmax);
	for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
		gpu_buffer_free(buffers[i]);
	free(fw->layers);
	memset(fw, 0, sizeof *fw);
}

int forward_begin(struct forward *fw, const int32_t *prompt, uint32_t n, struct failure *f)
{
	cl_command_queue q = fw->gpu->queue;
	cl_int st;

	memcpy(fw->start, (int32_t[4]){ 0, (int32_t)n, 0, 0 }, sizeof fw->start);
	st = clEnqueueWriteBuffer(
		q, fw->step, CL_FALSE, 0, sizeof fw->start, fw->start, 0, NULL, NULL);
	if (!st)
		st = clEnqueueWriteBuffer(
			q, fw->prompt, CL_FALSE, 0, n * sizeof *prompt, prompt, 0, NULL, NULL);
	return st ? fail_cl(f, st, "clEnqueueWriteBuffer") : 0;
}

static int enqueue_layer(struct forward *fw, const struct layer_kernels *k, struct failure *f)
{
	const struct shape *s = &fw->weights->shape;
	const struct {
		cl_kernel kernel;
		uint32_t items;
	} launches[LAYER_LAUNCHES] = {
		{ k->qkv, (s->dim + 2 * shape_kv_dim(s)) / ROWS },
		{ k->attention, s->heads },
		{ k->output, s->dim / ROWS },
		{ k->swiglu, 2 * s->hidden / ROWS },
		{ k->down, s->dim / ROWS },
	};
	int r = 0;

	for (unsigned i = 0; !r && i < LAYER_LAUNCHES; i++)
		r = gpu_launch(fw->gpu, launches[i].kernel, launches[i].items, f);
	return r;
}

int forward_enqueue(struct forward *fw, bool sample, struct failure *f)
{
	const struct shape *s = &fw->weights->shape;
	int r = gpu_launch(fw->gpu, fw->embed, 1, f);

	for (uint32_t i = 0; !r && i < s->layers; i++)
		r = enqueue_layer(fw, &fw->layers[i], f);
	if (!r && sample)
		r = gpu_launch(fw->gpu, fw->logits, s->vocab / ROWS, f);
	if (!r && sample)
		r = gpu_launch(fw->gpu, fw->argmax, 1, f);
	return r;
}

int forward_read_token(struct forward *fw, int32_t *ret, cl_event *ret_done, struct failure *f)
{
	cl_int st = clEnqueueReadBuffer(fw->gpu->queue, fw->step, CL_FALSE,
		STEP_SAMPLED * sizeof *ret, sizeof *ret, ret, 0, NULL, ret_done);

	if (!st)
		st = clFlush(fw->gpu->queue);
	return st ? fail_cl(f, st, "clEnqueueReadBuffer") : 0;
}

unsigned forward_launches(const struct forward *fw)
{
	return fw->weights->shape.layers * LAYER_LAUNCHES + 3;
}
