// SPDX-License-Identifier: Apache-2.0
// The gradient of every tensor against finite differences of the loss: along DIRECTIONS random
// directions, (L(w + e d) - L(w - e d)) / 2e must be g . d, within TOLERANCE of the length of g.
// What is left is the float32 rounding of the loss, divided by 2e, and the third derivative.
#include <math.h>
#include <string.h>

#include "tiny.h"

#define STEP       2e-3 // of each parameter
#define DIRECTIONS 4
#define TOLERANCE  0.01

static struct gpu gpu;
static struct network net;
static float *parameters, *gradient, *moved;

// The mean loss with these parameters; the device's losses are added up here in double.
static double loss(const float *with)
{
	struct failure f = { "" };
	uint32_t rows = shape_rows(&tiny);
	float losses[256];
	double sum = 0;

	CHECK(rows <= 256);
	need(gpu_write(&gpu, net.parameters.all, 0, with, net.layout.total * sizeof *with, &f), &f);
	need(plan_enqueue(&net.forward, &gpu, &f), &f);
	need(plan_enqueue(&net.loss, &gpu, &f), &f);
	need(gpu_read(&gpu, net.losses, 0, losses, rows * sizeof *losses, &f), &f);
	for (uint32_t i = 0; i < rows; i++)
		sum += (double)losses[i];
	return sum / rows;
}

static double move(uint64_t at, uint64_t n, uint64_t salt, double by)
{
	memcpy(moved, parameters, net.layout.total * sizeof *moved);
	for (uint64_t i = at; i < at + n; i++)
		moved[i] += (float)(network_hash(salt, 1, i) & 1 ? by : -by);
	return loss(moved);
}

static void check(const char *name, uint64_t at, uint64_t n)
{
	double length = 0, worst = 0;

	for (uint64_t i = at; i < at + n; i++)
		length += (double)gradient[i] * (double)gradient[i];
	length = sqrt(length);
	CHECK(length > 1e-3);
	for (uint64_t d = 0; d < DIRECTIONS; d++) {
		double slope = (move(at, n, d, STEP) - move(at, n, d, -STEP)) / (2 * STEP);
		double told = 0;

		for (uint64_t i = at; i < at + n; i++)
			told += (double)gradient[i] * (network_hash(d, 1, i) & 1 ? 1 : -1);
		worst = fmax(worst, fabs(slope - told) / length);
	}
	printf("%s: length %.4f, off by %.5f of it\n", name, length, worst);
	CHECK(worst < TOLERANCE);
}

static void check_matrix(const char *name, const struct matrix *m)
{
	check(name, m->at, (uint64_t)m->rows * m->cols);
}

static void start(void)
{
	struct failure f = { "" };
	int32_t tokens[256], targets[256];
	uint32_t rows = shape_rows(&tiny);

	for (uint32_t i = 0; i < rows; i++) {
		tokens[i] = (int32_t)(network_hash(7, 7, i) % tiny.vocab);
		targets[i] = (int32_t)(network_hash(8, 8, i) % tiny.vocab);
	}
	need(network_set_tokens(&net, tokens, targets, &f), &f);
	need(network_randomize(&net, 3, &f), &f);
	need(gpu_read(&gpu, net.parameters.all, 0, parameters,
		     net.layout.total * sizeof *parameters, &f),
		&f);
	for (uint64_t i = 0; i < net.layout.plain; i++)
		parameters[i] *= 2; // so that no softmax is flat
	loss(parameters);
	need(plan_enqueue(&net.backward, &gpu, &f), &f);
	need(gpu_read(&gpu, net.gradient.all, 0, gradient, net.layout.total * sizeof *gradient, &f),
		&f);
}

int main(void)
{
	struct failure f = { "" };

	tiny_open(&gpu);
	need(network_init(&net, &gpu, &tiny, &f), &f);
	parameters = calloc(net.layout.total, sizeof *parameters);
	gradient = calloc(net.layout.total, sizeof *gradient);
	moved = calloc(net.layout.total, sizeof *moved);
	CHECK(parameters && gradient && moved);
	start();
	check_matrix("embedding", &net.layout.embedding);
	for (uint32_t i = 0; i < tiny.layers; i++) {
		const struct layer_layout *l = &net.layout.layers[i];

		check_matrix("qkv", &l->qkv);
		check_matrix("output", &l->output);
		check_matrix("gate_up", &l->gate_up);
		check_matrix("down", &l->down);
		check("attention_gain", l->attention_gain, tiny.dim);
		check("feed_gain", l->feed_gain, tiny.dim);
	}
	check("final_gain", net.layout.final_gain, tiny.dim);
	network_free(&net);
	gpu_close(&gpu);
	free(parameters);
	free(gradient);
	free(moved);
	return 0;
}
