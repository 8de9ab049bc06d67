// SPDX-License-Identifier: Apache-2.0
#include "passes.h"

// The launches. ADD needs `n`, `p` and `f` in scope.
#define ADD(name, items, ...) plan_add(p, n->program, f, name, items, __VA_ARGS__)

static uint64_t blocks(uint32_t rows)
{
	return (rows + 31) / 32;
}

// c = a . b (+ add): the kernel wants a buffer for `add` also where there is none.
static void add_matmul(struct network *n, struct plan *p, cl_mem a, cl_mem b, uint32_t cols,
	uint32_t depth, cl_mem add, cl_mem c, struct failure *f)
{
	cl_mem some = add ? add : a;

	ADD("matmul", blocks(shape_rows(&n->shape)) * (cols / 32), buffer(a), buffer(b), word(cols),
		word(depth), buffer(some), word(add ? 1 : 0), buffer(c));
}

static void add_gradient(struct network *n, struct plan *p, cl_mem dy, uint32_t rows, cl_mem x,
	uint32_t cols, cl_mem c, struct failure *f)
{
	ADD("matmul_gradient", (uint64_t)(rows / 8) * (cols / 32), buffer(dy), buffer(x),
		word(rows), word(cols), buffer(c));
}

static void add_transpose(struct network *n, struct plan *p, const struct matrix *m, cl_mem from,
	cl_mem to, struct failure *f)
{
	ADD("transpose", m->rows / 16, buffer(from), word(m->rows), word(m->cols), buffer(to));
}

static void plan_transposes(struct network *n, struct plan *p, struct failure *f)
{
	const struct layout *l = &n->layout;

	add_transpose(n, p, &l->embedding, n->parameters.embedding, n->transposed.embedding, f);
	for (uint32_t i = 0; i < n->shape.layers; i++) {
		const struct layer_layout *m = &l->layers[i];

		add_transpose(
			n, p, &m->qkv, n->parameters.layers[i].qkv, n->transposed.layers[i].qkv, f);
		add_transpose(n, p, &m->output, n->parameters.layers[i].output,
			n->transposed.layers[i].output, f);
		add_transpose(n, p, &m->gate_up, n->parameters.layers[i].gate_up,
			n->transposed.layers[i].gate_up, f);
		add_transpose(n, p, &m->down, n->parameters.layers[i].down,
			n->transposed.layers[i].down, f);
	}
}

static void plan_layer(struct network *n, struct plan *p, uint32_t i, struct failure *f)
{
	const struct shape *s = &n->shape;
	struct activations *a = &n->layers[i];
	cl_mem out = i + 1 < s->layers ? n->layers[i + 1].x : n->x;
	uint32_t rows = shape_rows(s);

	ADD("norm", rows, buffer(a->x), buffer(n->parameters.layers[i].attention_gain),
		buffer(a->normed), buffer(a->scale));
	add_matmul(n, p, a->normed, n->transposed.layers[i].qkv, shape_qkv_dim(s), s->dim, NULL,
		a->qkv, f);
	ADD("rope", rows / 8, buffer(a->qkv), buffer(n->rotation), buffer(a->keys),
		buffer(a->values));
	ADD("attention", rows / 8 * s->heads, buffer(a->qkv), buffer(a->keys), buffer(a->p),
		buffer(a->mixed));
	add_matmul(n, p, a->mixed, n->transposed.layers[i].output, s->dim, s->dim, a->x,
		a->x_middle, f);
	ADD("norm", rows, buffer(a->x_middle), buffer(n->parameters.layers[i].feed_gain),
		buffer(a->feed_normed), buffer(a->feed_scale));
	add_matmul(n, p, a->feed_normed, n->transposed.layers[i].gate_up, 2 * s->hidden, s->dim,
		NULL, a->gate_up, f);
	ADD("swiglu", rows, buffer(a->gate_up), buffer(a->hidden));
	add_matmul(n, p, a->hidden, n->transposed.layers[i].down, s->dim, s->hidden, a->x_middle,
		out, f);
}

static int plan_forward(struct network *n, struct failure *f)
{
	struct plan *p = &n->forward;
	const struct shape *s = &n->shape;
	uint32_t rows = shape_rows(s);

	plan_transposes(n, p, f);
	ADD("embed", rows, buffer(n->parameters.embedding), buffer(n->tokens),
		buffer(n->layers[0].x));
	for (uint32_t i = 0; i < s->layers; i++)
		plan_layer(n, p, i, f);
	ADD("norm", rows, buffer(n->x), buffer(n->parameters.final_gain), buffer(n->normed),
		buffer(n->scale));
	add_matmul(n, p, n->normed, n->transposed.embedding, s->vocab, s->dim, NULL, n->logits, f);
	return p->failed;
}

static int plan_loss(struct network *n, struct failure *f)
{
	struct plan *p = &n->loss;

	ADD("loss", shape_rows(&n->shape), buffer(n->logits), buffer(n->targets),
		buffer(n->losses));
	ADD("mean_loss", 1, buffer(n->losses), buffer(n->report));
	return p->failed;
}

// dx comes in as the gradient of the layer's result and leaves as that of its input.
static void plan_feed_back(struct network *n, struct plan *p, uint32_t i, struct failure *f)
{
	const struct shape *s = &n->shape;
	struct activations *a = &n->layers[i];
	uint32_t rows = shape_rows(s), width = 2 * s->hidden;

	add_gradient(n, p, n->dx, s->dim, a->hidden, s->hidden, n->gradient.layers[i].down, f);
	add_matmul(
		n, p, n->dx, n->parameters.layers[i].down, s->hidden, s->dim, NULL, n->dhidden, f);
	ADD("swiglu_back", rows, buffer(a->gate_up), buffer(n->dhidden), buffer(n->dgate_up));
	add_gradient(
		n, p, n->dgate_up, width, a->feed_normed, s->dim, n->gradient.layers[i].gate_up, f);
	add_matmul(n, p, n->dgate_up, n->parameters.layers[i].gate_up, s->dim, width, NULL,
		n->dnormed, f);
	ADD("norm_gradient", s->dim / 16, buffer(a->x_middle), buffer(a->feed_scale),
		buffer(n->dnormed), buffer(n->gradient.layers[i].feed_gain));
	ADD("norm_back", rows, buffer(a->x_middle), buffer(n->parameters.layers[i].feed_gain),
		buffer(a->feed_scale), buffer(n->dnormed), word(1), buffer(n->dx));
}

static void plan_attention_back(struct network *n, struct plan *p, uint32_t i, struct failure *f)
{
	const struct shape *s = &n->shape;
	struct activations *a = &n->layers[i];
	uint32_t rows = shape_rows(s), width = shape_qkv_dim(s);

	add_gradient(n, p, n->dx, s->dim, a->mixed, s->dim, n->gradient.layers[i].output, f);
	add_matmul(n, p, n->dx, n->parameters.layers[i].output, s->dim, s->dim, NULL, n->dmixed, f);
	ADD("attention_back_queries", rows / 8 * s->heads, buffer(a->qkv), buffer(a->values),
		buffer(a->p), buffer(n->dmixed), buffer(n->dscores), buffer(n->dqkv));
	ADD("attention_back_keys", rows / 8 * s->kv_heads, buffer(a->qkv), buffer(a->p),
		buffer(n->dmixed), buffer(n->dscores), buffer(n->dqkv));
	ADD("rope_back", rows, buffer(n->dqkv), buffer(n->rotation));
	add_gradient(n, p, n->dqkv, width, a->normed, s->dim, n->gradient.layers[i].qkv, f);
	add_matmul(n, p, n->dqkv, n->parameters.layers[i].qkv, s->dim, width, NULL, n->dnormed, f);
	ADD("norm_gradient", s->dim / 16, buffer(a->x), buffer(a->scale), buffer(n->dnormed),
		buffer(n->gradient.layers[i].attention_gain));
	ADD("norm_back", rows, buffer(a->x), buffer(n->parameters.layers[i].attention_gain),
		buffer(a->scale), buffer(n->dnormed), word(1), buffer(n->dx));
}

static int plan_backward(struct network *n, struct failure *f)
{
	struct plan *p = &n->backward;
	const struct shape *s = &n->shape;
	uint32_t rows = shape_rows(s);

	add_gradient(n, p, n->logits, s->vocab, n->normed, s->dim, n->gradient.embedding, f);
	add_matmul(n, p, n->logits, n->parameters.embedding, s->dim, s->vocab, NULL, n->dnormed, f);
	ADD("norm_gradient", s->dim / 16, buffer(n->x), buffer(n->scale), buffer(n->dnormed),
		buffer(n->gradient.final_gain));
	ADD("norm_back", rows, buffer(n->x), buffer(n->parameters.final_gain), buffer(n->scale),
		buffer(n->dnormed), word(0), buffer(n->dx));
	for (uint32_t i = s->layers; i-- > 0;) {
		plan_feed_back(n, p, i, f);
		plan_attention_back(n, p, i, f);
	}
	ADD("embed_gradient", s->vocab / 16, buffer(n->dx), buffer(n->tokens),
		buffer(n->gradient.embedding));
	return p->failed;
}

int passes_plan(struct network *n, struct failure *f)
{
	int r = plan_forward(n, f);

	if (!r)
		r = plan_loss(n, f);
	return r ? r : plan_backward(n, f);
}
