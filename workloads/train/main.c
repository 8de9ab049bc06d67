// SPDX-License-Identifier: Apache-2.0
// llm-train: trains a language model of the Llama architecture in OpenCL. See README.md.
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint.h"
#include "export.h"
#include "inspect.h"
#include "options.h"

#define MADE_UP_TOKENS 100000

static volatile sig_atomic_t ended;

static void on_signal(int signo)
{
	ended = 1;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int get_text(struct text *text, const char *path, const struct shape *s, struct failure *f)
{
	if (path)
		return text_read(text, path, s->vocab, s->context, f);
	return text_make_up(text, s->vocab, MADE_UP_TOKENS, f);
}

// Nine digits tell any two floats apart: equal curves are equal bits.
static void print_step(const struct trainer *t, const struct step_report *report, double took)
{
	const struct shape *s = &t->network.shape;

	printf("step %llu loss %.9g norm %.9g rate %.6g", (unsigned long long)t->step,
		(double)report->loss, (double)report->norm, (double)report->rate);
	printf(" ms %.0f gflops %.1f\n", took * 1e3, shape_step_flops(s) / took * 1e-9);
	fflush(stdout);
}

static int save(struct trainer *t, const struct options *o, struct failure *f)
{
	return o->checkpoint ? checkpoint_write(t, o->checkpoint, f) : 0;
}

static int train(struct trainer *t, const struct options *o, struct failure *f)
{
	uint64_t last = o->recipe.steps < o->stop_at ? o->recipe.steps : o->stop_at;
	struct text text = { 0 };
	int r = get_text(&text, o->text, &o->shape, f);

	while (!r && t->step < last && !ended) {
		struct step_report report;
		double from = seconds();

		r = trainer_step(t, &text, &report, f);
		if (r)
			break;
		print_step(t, &report, seconds() - from);
		if (!isfinite(report.loss))
			r = fail(f, EDOM, "the loss is no number any more");
		else if (t->step % o->every == 0)
			r = save(t, o, f);
		if (o->idle_us)
			usleep((useconds_t)o->idle_us);
	}
	if (!r)
		r = save(t, o, f);
	text_free(&text);
	return r;
}

static int evaluate(struct trainer *t, const struct options *o, struct failure *f)
{
	struct text text = { 0 };
	double nats = 0;
	int r = get_text(&text, o->evaluate, &o->shape, f);

	if (!r)
		r = inspect_loss(t, &text, &nats, f);
	if (!r)
		printf("tokens %llu nats %.6f per-token %.6f bits %.1f\n",
			(unsigned long long)text.n - 1, nats, nats / (double)(text.n - 1),
			nats / M_LN2);
	text_free(&text);
	return r;
}

static int sample(struct trainer *t, const struct options *o, struct failure *f)
{
	uint32_t n = (uint32_t)o->sample;
	int32_t *ids = calloc((size_t)o->shape.batch * n, sizeof *ids);
	int r = ids ? 0 : fail(f, ENOMEM, "out of host memory");

	if (!r)
		r = inspect_sample(t, n, o->temperature, ids, f);
	for (uint32_t i = 0; i < o->shape.batch * n && !r; i++)
		printf("%d%c", ids[i], i % n == n - 1 ? '\n' : ' ');
	free(ids);
	return r;
}

static int run(struct trainer *t, const struct options *o, struct failure *f)
{
	bool look = o->evaluate || o->sample || o->export;
	int r = 0;

	if (o->checkpoint && (look || !access(o->checkpoint, F_OK)))
		r = checkpoint_read(t, o->checkpoint, f);
	if (!r && o->evaluate)
		r = evaluate(t, o, f);
	if (!r && o->sample)
		r = sample(t, o, f);
	if (!r && o->export)
		r = export_gguf(t, o->export, o->name, o->vocabulary, o->type, f);
	return r || look ? r : train(t, o, f);
}

int main(int argc, char **argv)
{
	struct failure f = { "unknown error" };
	struct trainer t = { 0 };
	struct gpu g = { 0 };
	struct options o;
	int r = options_parse(&o, argc, argv);

	if (r >= 0)
		return r;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	r = gpu_open(&g, (unsigned)o.platform, (unsigned)o.device, &f);
	if (!r)
		r = trainer_init(&t, &g, &o.shape, &o.recipe, &f);
	if (!r) {
		fprintf(stderr, "%s: %llu parameters, %.2f GFLOP a step\n", g.name,
			(unsigned long long)shape_parameters(&o.shape),
			shape_step_flops(&o.shape) * 1e-9);
		r = run(&t, &o, &f);
	}
	if (r)
		fprintf(stderr, "llm-train: %s\n", f.text);
	trainer_free(&t);
	gpu_close(&g);
	return r ? 1 : 0;
}
