// SPDX-License-Identifier: Apache-2.0
#include "network.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes.h"

// Allocation with a sticky error, so that a list of buffers reads as one.
struct maker {
	struct network *n;
	struct failure *f;
	int r;
};

static cl_mem make(struct maker *m, uint64_t count, const char *what)
{
	cl_mem buffer = NULL;

	if (!m->r)
		m->r = gpu_buffer(m->n->gpu, count * sizeof(float), what, &buffer, m->f);
	return buffer;
}

static cl_mem part(struct maker *m, cl_mem of, uint64_t at, uint64_t count)
{
	cl_buffer_region region = { at * sizeof(float), count * sizeof(float) };
	cl_mem buffer;
	cl_int st;

	if (m->r)
		return NULL;
	buffer = clCreateSubBuffer(
		of, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &st);
	if (!buffer)
		m->r = fail_cl(m->f, st, "clCreateSubBuffer");
	return buffer;
}

static cl_mem matrix_part(struct maker *m, cl_mem of, const struct matrix *x)
{
	return part(m, of, x->at, (uint64_t)x->rows * x->cols);
}

static void make_parameters(struct maker *m, struct parameters *p, const char *what)
{
	const struct layout *l = &m->n->layout;
	uint32_t dim = m->n->shape.dim;

	p->all = make(m, l->total, what);
	p->embedding = matrix_part(m, p->all, &l->embedding);
	p->final_gain = part(m, p->all, l->final_gain, dim);
	for (uint32_t i = 0; i < m->n->shape.layers; i++) {
		const struct layer_layout *from = &l->layers[i];

		p->layers[i].qkv = matrix_part(m, p->all, &from->qkv);
		p->layers[i].output = matrix_part(m, p->all, &from->output);
		p->layers[i].gate_up = matrix_part(m, p->all, &from->gate_up);
		p->layers[i].down = matrix_part(m, p->all, &from->down);
		p->layers[i].attention_gain = part(m, p->all, from->attention_gain, dim);
		p->layers[i].feed_gain = part(m, p->all, from->feed_gain, dim);
	}
}

static void make_layer(struct maker *m, struct activations *a)
{
	const struct shape *s = &m->n->shape;
	uint64_t rows = shape_rows(s), kv = rows * shape_kv_dim(s);

	a->x = make(m, rows * s->dim, "x");
	a->x_middle = make(m, rows * s->dim, "x_middle");
	a->normed = make(m, rows * s->dim, "normed");
	a->feed_normed = make(m, rows * s->dim, "feed_normed");
	a->scale = make(m, rows, "scale");
	a->feed_scale = make(m, rows, "feed_scale");
	a->qkv = make(m, rows * shape_qkv_dim(s), "qkv");
	a->keys = make(m, kv, "keys");
	a->values = make(m, kv, "values");
	a->p = make(m, rows * s->heads * s->context, "p");
	a->mixed = make(m, rows * s->dim, "mixed");
	a->gate_up = make(m, rows * 2 * s->hidden, "gate_up");
	a->hidden = make(m, rows * s->hidden, "hidden");
}

static void make_shared(struct maker *m)
{
	struct network *n = m->n;
	const struct shape *s = &n->shape;
	uint64_t rows = shape_rows(s);

	n->x = make(m, rows * s->dim, "x");
	n->normed = make(m, rows * s->dim, "normed");
	n->scale = make(m, rows, "scale");
	n->dx = make(m, rows * s->dim, "dx");
	n->dnormed = make(m, rows * s->dim, "dnormed");
	n->dqkv = make(m, rows * shape_qkv_dim(s), "dqkv");
	n->dmixed = make(m, rows * s->dim, "dmixed");
	n->dscores = make(m, rows * s->heads * s->context, "dscores");
	n->dhidden = make(m, rows * s->hidden, "dhidden");
	n->dgate_up = make(m, rows * 2 * s->hidden, "dgate_up");
	n->tokens = make(m, rows, "tokens");
	n->targets = make(m, rows, "targets");
	n->logits = make(m, rows * s->vocab, "logits");
	n->losses = make(m, rows, "losses");
	n->report = make(m, 16, "report");
	n->rotation = make(m, s->context * shape_head_dim(s), "rotation");
}

static int compile(struct network *n, struct failure *f)
{
	const struct shape *s = &n->shape;
	char options[512];

	snprintf(options, sizeof options,
		"-cl-std=CL1.2 -DDIM=%u -DHEADS=%u -DKV_HEADS=%u -DHEAD_DIM=%u -DHIDDEN=%u "
		"-DVOCAB=%u -DCONTEXT=%u -DBATCH=%u -DNORM_EPS=%.9ef",
		s->dim, s->heads, s->kv_heads, shape_head_dim(s), s->hidden, s->vocab, s->context,
		s->batch, (double)NETWORK_NORM_EPS);
	return program_build(n->gpu, options, &n->program, f);
}

static int upload_rotation(struct network *n, struct failure *f)
{
	uint32_t pairs = shape_head_dim(&n->shape) / 2, count = n->shape.context * pairs;
	float *rotation = malloc(2 * count * sizeof *rotation);
	int r;

	if (!rotation)
		return fail(f, ENOMEM, "out of host memory");
	for (uint32_t i = 0; i < count; i++) {
		double angle =
			i / pairs * pow((double)NETWORK_ROPE_THETA, -(double)(i % pairs) / pairs);

		rotation[2 * i] = (float)cos(angle);
		rotation[2 * i + 1] = (float)sin(angle);
	}
	r = gpu_write(n->gpu, n->rotation, 0, rotation, 2 * count * sizeof *rotation, f);
	free(rotation);
	return r;
}

static int zero_gradient(struct network *n, struct failure *f)
{
	float *zeros = calloc(n->layout.total, sizeof *zeros);
	int r;

	if (!zeros)
		return fail(f, ENOMEM, "out of host memory");
	r = gpu_write(n->gpu, n->gradient.all, 0, zeros, n->layout.total * sizeof *zeros, f);
	free(zeros);
	return r;
}

int network_init(struct network *n, struct gpu *g, const struct shape *s, struct failure *f)
{
	struct maker m = { .n = n, .f = f };

	memset(n, 0, sizeof *n);
	n->gpu = g;
	n->shape = *s;
	m.r = shape_check(s, f);
	if (m.r)
		return m.r;
	shape_layout(s, &n->layout);
	m.r = compile(n, f);
	make_parameters(&m, &n->parameters, "parameters");
	make_parameters(&m, &n->gradient, "gradient");
	make_parameters(&m, &n->transposed, "transposed matrices");
	for (uint32_t i = 0; i < s->layers; i++)
		make_layer(&m, &n->layers[i]);
	make_shared(&m);
	if (!m.r)
		m.r = upload_rotation(n, f);
	if (!m.r)
		m.r = zero_gradient(n, f);
	if (!m.r)
		m.r = passes_plan(n, f);
	return m.r;
}

// A struct of nothing but buffers.
static void free_buffers(void *buffers, size_t bytes)
{
	cl_mem *b = buffers;

	for (size_t i = 0; i < bytes / sizeof *b; i++)
		gpu_buffer_free(&b[i]);
}

void network_free(struct network *n)
{
	cl_mem *first = &n->x, *last = &n->rotation;

	plan_free(&n->forward);
	plan_free(&n->loss);
	plan_free(&n->backward);
	free_buffers(&n->parameters, sizeof n->parameters);
	free_buffers(&n->gradient, sizeof n->gradient);
	free_buffers(&n->transposed, sizeof n->transposed);
	free_buffers(n->layers, sizeof n->layers);
	free_buffers(first, (size_t)(last - first + 1) * sizeof *first);
	if (n->program)
		clReleaseProgram(n->program);
	memset(n, 0, sizeof *n);
}

// Steele, Lea and Flood's SplitMix64 finaliser (2014), chained.
static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t network_hash(uint64_t a, uint64_t b, uint64_t c)
{
	return mix(mix(mix(a) ^ b) ^ c);
}

static void randomize_matrix(float *parameters, const struct matrix *m, uint64_t seed, float shrink)
{
	float reach = shrink * 0.5f * sqrtf(3.0f / (float)m->cols);

	for (uint64_t i = 0; i < (uint64_t)m->rows * m->cols; i++) {
		int32_t draw = (int32_t)(network_hash(seed, m->at, i) >> 32);

		parameters[m->at + i] = reach * ((float)draw / 2147483648.0f);
	}
}

static void set_gains(float *gains, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		gains[i] = 1.0f;
}

int network_randomize(struct network *n, uint64_t seed, struct failure *f)
{
	const struct layout *l = &n->layout;
	float *all = calloc(l->total, sizeof *all);
	float to_residual = 1.0f / sqrtf(2.0f * (float)n->shape.layers); // as GPT-2 does
	int r;

	if (!all)
		return fail(f, ENOMEM, "out of host memory");
	randomize_matrix(all, &l->embedding, seed, 1.0f);
	for (uint32_t i = 0; i < n->shape.layers; i++) {
		randomize_matrix(all, &l->layers[i].qkv, seed, 1.0f);
		randomize_matrix(all, &l->layers[i].output, seed, to_residual);
		randomize_matrix(all, &l->layers[i].gate_up, seed, 1.0f);
		randomize_matrix(all, &l->layers[i].down, seed, to_residual);
		set_gains(all + l->layers[i].attention_gain, n->shape.dim);
		set_gains(all + l->layers[i].feed_gain, n->shape.dim);
	}
	set_gains(all + l->final_gain, n->shape.dim);
	r = gpu_write(n->gpu, n->parameters.all, 0, all, l->total * sizeof *all, f);
	free(all);
	return r;
}

int network_set_tokens(
	struct network *n, const int32_t *tokens, const int32_t *targets, struct failure *f)
{
	uint64_t bytes = shape_rows(&n->shape) * sizeof *tokens;
	int r = gpu_write(n->gpu, n->tokens, 0, tokens, bytes, f);

	return r || !targets ? r : gpu_write(n->gpu, n->targets, 0, targets, bytes, f);
}
