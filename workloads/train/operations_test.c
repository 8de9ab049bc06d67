// SPDX-License-Identifier: Apache-2.0
// Each kernel against the same operation in plain C with doubles: within TOLERANCE of 1 + |value|.
// Float32 sums of at most 128 products of numbers around one lose about a tenth of that.
#include <math.h>
#include <string.h>

#include "tiny.h"

#define TOLERANCE 1e-4

enum {
	DIM = 64,
	HEADS = 2,
	HEAD = 32,
	KV = 32,
	QKV = 128,
	HIDDEN = 96,
	VOCAB = 64,
	CONTEXT = 64,
	BATCH = 2,
	ROWS = 128,
	MOST = ROWS * 192, // floats of the largest array here
};

static struct gpu gpu;
static struct network net;

struct array {
	cl_mem buffer;
	float *v;
	size_t n;
};

// An array of `n` numbers in [-1, 1], others for another salt.
static struct array array(size_t n, unsigned salt)
{
	struct failure f = { "" };
	struct array a = { .v = malloc(n * sizeof(float)), .n = n };

	CHECK(a.v && n <= MOST);
	for (size_t i = 0; i < n; i++)
		a.v[i] = (float)sin((double)i * 1.7 + salt);
	need(gpu_buffer(&gpu, n * sizeof(float), "array", &a.buffer, &f), &f);
	need(gpu_write(&gpu, a.buffer, 0, a.v, n * sizeof(float), &f), &f);
	return a;
}

static struct array tokens(void)
{
	struct failure f = { "" };
	struct array a = array(ROWS, 0);
	int32_t *id = (int32_t *)a.v;

	for (int i = 0; i < ROWS; i++)
		id[i] = i * i % 50;
	need(gpu_write(&gpu, a.buffer, 0, id, ROWS * sizeof *id, &f), &f);
	return a;
}

static int id(const struct array *a, size_t i)
{
	int32_t v;

	memcpy(&v, &a->v[i], sizeof v);
	return v;
}

static void drop(struct array *a)
{
	gpu_buffer_free(&a->buffer);
	free(a->v);
}

#define DROP(...)                                                                                  \
	do {                                                                                       \
		struct array *dropped[] = { __VA_ARGS__ };                                         \
		for (size_t d = 0; d < sizeof dropped / sizeof *dropped; d++)                      \
			drop(dropped[d]);                                                          \
	} while (0)

static void launch(const char *name, uint64_t items, const struct operand *operands, unsigned n)
{
	struct failure f = { "" };
	struct plan p = { 0 };

	plan_add_operands(&p, net.program, name, items, operands, n, &f);
	need(p.failed, &f);
	need(plan_enqueue(&p, &gpu, &f), &f);
	need(gpu_finish(&gpu, &f), &f);
	plan_free(&p);
}

#define LAUNCH(name, items, ...)                                                                   \
	launch(name, items, (const struct operand[]){ __VA_ARGS__ },                               \
		sizeof((const struct operand[]){ __VA_ARGS__ }) / sizeof(struct operand))

// Reads a buffer back; `want` holds as many numbers as the array.
static void compare(const struct array *a, const double *want)
{
	struct failure f = { "" };
	static float got[MOST];

	need(gpu_read(&gpu, a->buffer, 0, got, a->n * sizeof *got, &f), &f);
	for (size_t i = 0; i < a->n; i++)
		CHECK(fabs((double)got[i] - want[i]) <= TOLERANCE * (1 + fabs(want[i])));
}

static double want[MOST], want2[MOST], want3[MOST];

static void test_transpose(void)
{
	struct array in = array(96 * 64, 1), out = array(96 * 64, 2);

	for (int r = 0; r < 96; r++)
		for (int c = 0; c < 64; c++)
			want[c * 96 + r] = (double)in.v[r * 64 + c];
	LAUNCH("transpose", 96 / 16, buffer(in.buffer), word(96), word(64), buffer(out.buffer));
	compare(&out, want);
	DROP(&in, &out);
}

static void test_matmul(void)
{
	struct array a = array(ROWS * 96, 1), b = array(96 * 64, 2), add = array(ROWS * 64, 3);
	struct array c = array(ROWS * 64, 4);

	for (int adds = 0; adds < 2; adds++) {
		for (int i = 0; i < ROWS * 64; i++) {
			want[i] = adds ? (double)add.v[i] : 0;
			for (int k = 0; k < 96; k++)
				want[i] +=
					(double)a.v[i / 64 * 96 + k] * (double)b.v[k * 64 + i % 64];
		}
		LAUNCH("matmul", ROWS / 32 * 2, buffer(a.buffer), buffer(b.buffer), word(64),
			word(96), buffer(add.buffer), word(adds), buffer(c.buffer));
		compare(&c, want);
	}
	DROP(&a, &b, &add, &c);
}

static void test_matmul_gradient(void)
{
	struct array a = array(ROWS * 96, 1), b = array(ROWS * 64, 2), c = array(96 * 64, 3);

	for (int i = 0; i < 96 * 64; i++) {
		want[i] = 0;
		for (int r = 0; r < ROWS; r++)
			want[i] += (double)a.v[r * 96 + i / 64] * (double)b.v[r * 64 + i % 64];
	}
	LAUNCH("matmul_gradient", 96 / 8 * 2, buffer(a.buffer), buffer(b.buffer), word(96),
		word(64), buffer(c.buffer));
	compare(&c, want);
	DROP(&a, &b, &c);
}

static void test_embed(void)
{
	struct array table = array(VOCAB * DIM, 1), t = tokens(), x = array(ROWS * DIM, 2);
	struct array dtable = array(VOCAB * DIM, 3);

	for (int i = 0; i < ROWS * DIM; i++)
		want[i] = (double)table.v[id(&t, i / DIM) * DIM + i % DIM];
	LAUNCH("embed", ROWS, buffer(table.buffer), buffer(t.buffer), buffer(x.buffer));
	compare(&x, want);
	for (int i = 0; i < VOCAB * DIM; i++)
		want2[i] = (double)dtable.v[i];
	for (int i = 0; i < ROWS * DIM; i++)
		want2[id(&t, i / DIM) * DIM + i % DIM] += want[i];
	LAUNCH("embed_gradient", VOCAB / 16, buffer(x.buffer), buffer(t.buffer),
		buffer(dtable.buffer));
	compare(&dtable, want2);
	DROP(&table, &t, &x, &dtable);
}

static double factor(const float *x)
{
	double squares = 0;

	for (int i = 0; i < DIM; i++)
		squares += (double)x[i] * (double)x[i];
	return 1 / sqrt(squares / DIM + (double)NETWORK_NORM_EPS);
}

static void test_norm(void)
{
	struct array x = array(ROWS * DIM, 1), gain = array(DIM, 2), y = array(ROWS * DIM, 3);
	struct array scale = array(ROWS, 4);

	for (int r = 0; r < ROWS; r++) {
		want2[r] = factor(x.v + r * DIM);
		for (int i = 0; i < DIM; i++)
			want[r * DIM + i] = (double)gain.v[i] * (double)x.v[r * DIM + i] * want2[r];
	}
	LAUNCH("norm", ROWS, buffer(x.buffer), buffer(gain.buffer), buffer(y.buffer),
		buffer(scale.buffer));
	compare(&y, want);
	compare(&scale, want2);
	DROP(&x, &gain, &y, &scale);
}

static void test_norm_back(void)
{
	struct array x = array(ROWS * DIM, 1), gain = array(DIM, 2), dy = array(ROWS * DIM, 3);
	struct array scale = array(ROWS, 4), dx = array(ROWS * DIM, 5), dgain = array(DIM, 6);
	struct failure f = { "" };

	memset(want2, 0, sizeof want2);
	for (int r = 0; r < ROWS; r++) {
		const float *xr = x.v + r * DIM, *dr = dy.v + r * DIM;
		double s = factor(xr), along = 0;

		scale.v[r] = (float)s;
		for (int i = 0; i < DIM; i++)
			along += (double)gain.v[i] * (double)dr[i] * (double)xr[i];
		for (int i = 0; i < DIM; i++) {
			want[r * DIM + i] = (double)dx.v[r * DIM + i] +
					    (double)gain.v[i] * (double)dr[i] * s -
					    (double)xr[i] * s * s * s * along / DIM;
			want2[i] += (double)dr[i] * (double)xr[i] * s;
		}
	}
	need(gpu_write(&gpu, scale.buffer, 0, scale.v, ROWS * sizeof(float), &f), &f);
	LAUNCH("norm_gradient", DIM / 16, buffer(x.buffer), buffer(scale.buffer), buffer(dy.buffer),
		buffer(dgain.buffer));
	LAUNCH("norm_back", ROWS, buffer(x.buffer), buffer(gain.buffer), buffer(scale.buffer),
		buffer(dy.buffer), word(1), buffer(dx.buffer));
	compare(&dx, want);
	compare(&dgain, want2);
	DROP(&x, &gain, &dy, &scale, &dx, &dgain);
}

static void rotate(double *row, int position, double way)
{
	for (int i = 0; i < DIM + KV; i += 2) {
		double angle = way * position *
			       pow((double)NETWORK_ROPE_THETA, -(double)(i % HEAD) / HEAD);
		double a = row[i], b = row[i + 1];

		row[i] = a * cos(angle) - b * sin(angle);
		row[i + 1] = a * sin(angle) + b * cos(angle);
	}
}

static void test_rope(void)
{
	struct array qkv = array(ROWS * QKV, 1), keys = array(ROWS * KV, 2);
	struct array values = array(ROWS * KV, 3);

	for (int i = 0; i < ROWS * QKV; i++)
		want[i] = (double)qkv.v[i];
	for (int r = 0; r < ROWS; r++) {
		rotate(want + r * QKV, r % CONTEXT, 1);
		for (int c = 0; c < KV; c++) {
			int at = (r / CONTEXT * KV + c) * CONTEXT + r % CONTEXT;

			want2[at] = want[r * QKV + DIM + c];
			want3[at] = want[r * QKV + DIM + KV + c];
		}
	}
	LAUNCH("rope", ROWS / 8, buffer(qkv.buffer), buffer(net.rotation), buffer(keys.buffer),
		buffer(values.buffer));
	compare(&qkv, want);
	compare(&keys, want2);
	compare(&values, want3);
	for (int i = 0; i < ROWS * QKV; i++)
		want[i] = (double)qkv.v[i]; // turned back
	LAUNCH("rope_back", ROWS, buffer(qkv.buffer), buffer(net.rotation));
	compare(&qkv, want);
	DROP(&qkv, &keys, &values);
}

// Attention's weights of one query, and in reverse what its scores get.
struct query {
	int row, head; // of the batch
	double p[CONTEXT];
};

static double dot(const float *a, const float *b)
{
	double sum = 0;

	for (int i = 0; i < HEAD; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

static int first_row(int row)
{
	return row / CONTEXT * CONTEXT;
}

static void weigh(struct query *q, const float *qkv)
{
	double sum = 0;

	for (int j = 0; j <= q->row % CONTEXT; j++) {
		q->p[j] = exp(dot(qkv + q->row * QKV + q->head * HEAD,
				      qkv + (first_row(q->row) + j) * QKV + DIM) /
			      sqrt(HEAD));
		sum += q->p[j];
	}
	for (int j = 0; j <= q->row % CONTEXT; j++)
		q->p[j] /= sum;
}

// Adds the query's part to `out` and, given dout, to dqkv.
static void attend(const struct query *q, const float *qkv, double *out)
{
	for (int j = 0; j <= q->row % CONTEXT; j++)
		for (int i = 0; i < HEAD; i++)
			out[q->row * DIM + q->head * HEAD + i] +=
				q->p[j] * (double)qkv[(first_row(q->row) + j) * QKV + DIM + KV + i];
}

static void attend_back(const struct query *q, const float *qkv, const float *dout, double *dqkv)
{
	const float *d = dout + q->row * DIM + q->head * HEAD;
	int first = first_row(q->row);
	double dp[CONTEXT], along = 0;

	for (int j = 0; j <= q->row % CONTEXT; j++) {
		dp[j] = dot(d, qkv + (first + j) * QKV + DIM + KV);
		along += q->p[j] * dp[j];
	}
	for (int j = 0; j <= q->row % CONTEXT; j++) {
		double ds = q->p[j] * (dp[j] - along) / sqrt(HEAD);
		int query = q->row * QKV + q->head * HEAD, key = (first + j) * QKV + DIM;

		for (int i = 0; i < HEAD; i++) {
			dqkv[query + i] += ds * (double)qkv[key + i];
			dqkv[key + i] += ds * (double)qkv[query + i];
			dqkv[key + KV + i] += q->p[j] * (double)d[i];
		}
	}
}

// The transposed copies that `rope` would make.
static void transpose_kv(const float *qkv, struct array *keys, struct array *values)
{
	struct failure f = { "" };

	for (int r = 0; r < ROWS; r++)
		for (int c = 0; c < KV; c++) {
			int at = (r / CONTEXT * KV + c) * CONTEXT + r % CONTEXT;

			keys->v[at] = qkv[r * QKV + DIM + c];
			values->v[at] = qkv[r * QKV + DIM + KV + c];
		}
	need(gpu_write(&gpu, keys->buffer, 0, keys->v, ROWS * KV * sizeof(float), &f), &f);
	need(gpu_write(&gpu, values->buffer, 0, values->v, ROWS * KV * sizeof(float), &f), &f);
}

static void test_attention(void)
{
	struct array qkv = array(ROWS * QKV, 1), keys = array(ROWS * KV, 0);
	struct array values = array(ROWS * KV, 0), p = array(ROWS * HEADS * CONTEXT, 0);
	struct array out = array(ROWS * DIM, 2), dout = array(ROWS * DIM, 3);
	struct array dscores = array(ROWS * HEADS * CONTEXT, 0), dqkv = array(ROWS * QKV, 4);

	memset(want, 0, sizeof want);
	memset(want2, 0, sizeof want2);
	transpose_kv(qkv.v, &keys, &values);
	for (int i = 0; i < ROWS * HEADS; i++) {
		struct query q = { .row = i / HEADS, .head = i % HEADS };

		weigh(&q, qkv.v);
		attend(&q, qkv.v, want);
		attend_back(&q, qkv.v, dout.v, want2);
	}
	LAUNCH("attention", ROWS / 8 * HEADS, buffer(qkv.buffer), buffer(keys.buffer),
		buffer(p.buffer), buffer(out.buffer));
	compare(&out, want);
	LAUNCH("attention_back_queries", ROWS / 8 * HEADS, buffer(qkv.buffer),
		buffer(values.buffer), buffer(p.buffer), buffer(dout.buffer),
		buffer(dscores.buffer), buffer(dqkv.buffer));
	LAUNCH("attention_back_keys", ROWS / 8, buffer(qkv.buffer), buffer(p.buffer),
		buffer(dout.buffer), buffer(dscores.buffer), buffer(dqkv.buffer));
	compare(&dqkv, want2);
	DROP(&qkv, &keys, &values, &p, &out, &dout, &dscores, &dqkv);
}

static void test_swiglu(void)
{
	struct array both = array(ROWS * 2 * HIDDEN, 1), h = array(ROWS * HIDDEN, 2);
	struct array dh = array(ROWS * HIDDEN, 3), dboth = array(ROWS * 2 * HIDDEN, 4);

	for (int i = 0; i < ROWS * HIDDEN; i++) {
		int at = i / HIDDEN * 2 * HIDDEN + i % HIDDEN;
		double g = (double)both.v[at], up = (double)both.v[at + HIDDEN];
		double s = 1 / (1 + exp(-g));

		want[i] = g * s * up;
		want2[at] = (double)dh.v[i] * up * s * (1 + g * (1 - s));
		want2[at + HIDDEN] = (double)dh.v[i] * g * s;
	}
	LAUNCH("swiglu", ROWS, buffer(both.buffer), buffer(h.buffer));
	compare(&h, want);
	LAUNCH("swiglu_back", ROWS, buffer(both.buffer), buffer(dh.buffer), buffer(dboth.buffer));
	compare(&dboth, want2);
	DROP(&both, &h, &dh, &dboth);
}

static void test_loss(void)
{
	struct array logits = array(ROWS * VOCAB, 1), targets = tokens();
	struct array losses = array(ROWS, 2), report = array(2, 3);

	want3[0] = 0;
	want3[1] = (double)report.v[1];
	for (int r = 0; r < ROWS; r++) {
		double sum = 0;

		for (int i = 0; i < VOCAB; i++)
			sum += exp((double)logits.v[r * VOCAB + i]);
		for (int i = 0; i < VOCAB; i++)
			want[r * VOCAB + i] = (exp((double)logits.v[r * VOCAB + i]) / sum -
						      (i == id(&targets, r))) /
					      ROWS;
		want2[r] = log(sum) - (double)logits.v[r * VOCAB + id(&targets, r)];
		want3[0] += want2[r] / ROWS;
	}
	LAUNCH("loss", ROWS, buffer(logits.buffer), buffer(targets.buffer), buffer(losses.buffer));
	LAUNCH("mean_loss", 1, buffer(losses.buffer), buffer(report.buffer));
	compare(&logits, want);
	compare(&losses, want2);
	compare(&report, want3);
	DROP(&logits, &targets, &losses, &report);
}

// Two chunks; the second does not decay.
static void test_adamw(void)
{
	enum { N = 2048, CHUNK = 1024 };
	struct array p = array(N, 1), g = array(N, 2), m = array(N, 3), v = array(N, 4);
	struct array rates = array(4, 0), report = array(2, 0), sums = array(2, 0);
	const double b1 = 0.9, b2 = 0.95, decay = 0.1, rate = 0.01, clip = 2;
	const float sent[4] = { 0.01f, 3.0f, 4.0f, 2.0f }; // kernels/adamw.cl, rates[]
	struct failure f = { "" };
	double norm = 0;

	for (int i = 0; i < N; i++) {
		v.v[i] = fabsf(v.v[i]); // squares are not negative
		norm += (double)g.v[i] * (double)g.v[i];
	}
	norm = sqrt(norm);
	CHECK(norm > clip);
	for (int i = 0; i < N; i++) {
		double gi = (double)g.v[i] * clip / norm;

		want2[i] = b1 * (double)m.v[i] + (1 - b1) * gi;
		want3[i] = b2 * (double)v.v[i] + (1 - b2) * gi * gi;
		want[i] = (double)p.v[i] * (i < CHUNK ? 1 - rate * decay : 1) -
			  rate * want2[i] * 3 / (sqrt(want3[i] * 4) + 1e-8);
	}
	need(gpu_write(&gpu, rates.buffer, 0, sent, sizeof sent, &f), &f);
	need(gpu_write(&gpu, v.buffer, 0, v.v, N * sizeof(float), &f), &f);
	LAUNCH("square_sums", N / CHUNK, buffer(g.buffer), buffer(sums.buffer));
	LAUNCH("gradient_norm", 1, buffer(sums.buffer), word(N / CHUNK), buffer(report.buffer));
	LAUNCH("adamw", N / CHUNK, buffer(p.buffer), buffer(g.buffer), buffer(m.buffer),
		buffer(v.buffer), buffer(rates.buffer), buffer(report.buffer), real((float)b1),
		real((float)b2), real(1e-8f), real((float)decay), word(CHUNK));
	compare(&p, want);
	compare(&m, want2);
	compare(&v, want3);
	need(gpu_read(&gpu, report.buffer, 0, report.v, 2 * sizeof(float), &f), &f);
	CHECK(fabs((double)report.v[1] - norm) <= TOLERANCE * norm);
	DROP(&p, &g, &m, &v, &rates, &report, &sums);
}

int main(void)
{
	struct failure f = { "" };

	tiny_open(&gpu);
	need(network_init(&net, &gpu, &tiny, &f), &f);
	RUN(test_transpose);
	RUN(test_matmul);
	RUN(test_matmul_gradient);
	RUN(test_embed);
	RUN(test_norm);
	RUN(test_norm_back);
	RUN(test_rope);
	RUN(test_attention);
	RUN(test_swiglu);
	RUN(test_loss);
	RUN(test_adamw);
	network_free(&net);
	gpu_close(&gpu);
	return 0;
}
