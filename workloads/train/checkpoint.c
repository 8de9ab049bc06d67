// SPDX-License-Identifier: Apache-2.0
#include "checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdbool.h>
#include <unistd.h>

#define MAGIC "FerryTr1"

struct header {
	char magic[8];
	uint64_t step;
	struct shape shape;
	struct recipe recipe;
};

// The arrays of a file, in order.
static void arrays(const struct trainer *t, cl_mem ret[3])
{
	ret[0] = t->network.parameters.all;
	ret[1] = t->mean;
	ret[2] = t->square;
}

static int write_arrays(struct trainer *t, FILE *out, const char *path, struct failure *f)
{
	uint64_t bytes = t->network.layout.total * sizeof(float);
	void *host = malloc(bytes);
	cl_mem from[3];
	int r = host ? 0 : fail(f, ENOMEM, "out of host memory");

	arrays(t, from);
	for (int i = 0; i < 3 && !r; i++) {
		r = gpu_read(t->network.gpu, from[i], 0, host, bytes, f);
		if (!r && fwrite(host, bytes, 1, out) != 1)
			r = fail(f, EIO, "%s: %s", path, strerror(errno));
	}
	free(host);
	return r;
}

int checkpoint_write(struct trainer *t, const char *path, struct failure *f)
{
	struct header h;
	char fresh[4096];
	FILE *out;
	int r = 0;

	if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
		return fail(f, ENAMETOOLONG, "%s: too long a name", path);
	out = fopen(fresh, "we");
	if (!out)
		return fail(f, errno, "%s: %s", fresh, strerror(errno));
	memset(&h, 0, sizeof h); // padding too
	memcpy(h.magic, MAGIC, sizeof h.magic);
	h.step = t->step;
	h.shape = t->network.shape;
	h.recipe = t->recipe;
	if (fwrite(&h, sizeof h, 1, out) != 1)
		r = fail(f, EIO, "%s: %s", fresh, strerror(errno));
	if (!r)
		r = write_arrays(t, out, fresh, f);
	if (!r && (fflush(out) || fsync(fileno(out))))
		r = fail(f, errno, "%s: %s", fresh, strerror(errno));
	fclose(out);
	if (!r && rename(fresh, path))
		r = fail(f, errno, "%s: %s", path, strerror(errno));
	return r;
}

// With the options that would be right.
static int refuse_shape(const char *path, const struct shape *s, struct failure *f)
{
	return fail(f, EINVAL,
		"%s: a run of another shape; its own: --dim %u --layers %u --heads %u --kv-heads "
		"%u --hidden %u --vocab %u --context %u --batch %u",
		path, s->dim, s->layers, s->heads, s->kv_heads, s->hidden, s->vocab, s->context,
		s->batch);
}

static int refuse_recipe(const char *path, const struct recipe *r, struct failure *f)
{
	return fail(f, EINVAL,
		"%s: a run with another seed or schedule; its own: --seed %llu --steps %llu "
		"--warmup %llu --cosine %llu --cooldown %llu --rate %.7g --final-rate %.7g --decay "
		"%.7g "
		"--clip %.7g",
		path, (unsigned long long)r->seed, (unsigned long long)r->steps,
		(unsigned long long)r->warmup, (unsigned long long)r->cosine,
		(unsigned long long)r->cooldown, (double)r->rate, (double)r->final_rate,
		(double)r->decay, (double)r->clip);
}

static int read_header(FILE *in, const char *path, struct header *h, struct failure *f)
{
	if (fread(h, sizeof *h, 1, in) != 1 || memcmp(h->magic, MAGIC, sizeof h->magic))
		return fail(f, EINVAL, "%s: not a checkpoint of this program", path);
	return 0;
}

static bool same_recipe(const struct recipe *a, const struct recipe *b)
{
	return a->seed == b->seed && a->steps == b->steps && a->warmup == b->warmup &&
	       a->cosine == b->cosine && a->cooldown == b->cooldown && a->rate == b->rate &&
	       a->final_rate == b->final_rate && a->beta1 == b->beta1 && a->beta2 == b->beta2 &&
	       a->decay == b->decay && a->clip == b->clip;
}

static int read_arrays(struct trainer *t, FILE *in, const char *path, struct failure *f)
{
	uint64_t bytes = t->network.layout.total * sizeof(float);
	void *host = malloc(bytes);
	cl_mem to[3];
	int r = host ? 0 : fail(f, ENOMEM, "out of host memory");

	arrays(t, to);
	for (int i = 0; i < 3 && !r; i++) {
		if (fread(host, bytes, 1, in) != 1)
			r = fail(f, EINVAL, "%s: ends too early: it was not copied whole", path);
		else
			r = gpu_write(t->network.gpu, to[i], 0, host, bytes, f);
	}
	free(host);
	if (!r && fgetc(in) != EOF)
		r = fail(f, EINVAL, "%s: longer than it should be", path);
	return r;
}

int checkpoint_read(struct trainer *t, const char *path, struct failure *f)
{
	struct header h;
	FILE *in = fopen(path, "re");
	int r;

	if (!in)
		return fail(f, errno, "%s: %s", path, strerror(errno));
	r = read_header(in, path, &h, f);
	if (!r && memcmp(&h.shape, &t->network.shape, sizeof h.shape))
		r = refuse_shape(path, &h.shape, f);
	if (!r && !same_recipe(&h.recipe, &t->recipe))
		r = refuse_recipe(path, &h.recipe, f);
	if (!r)
		r = read_arrays(t, in, path, f);
	fclose(in);
	if (!r)
		t->step = h.step;
	return r;
}
