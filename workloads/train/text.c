// SPDX-License-Identifier: Apache-2.0
#include "text.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_BYTES (1ll << 31)

static int read_ids(struct text *t, FILE *in, const char *path, struct failure *f)
{
	struct stat st;

	if (fstat(fileno(in), &st))
		return fail(f, errno, "%s: %s", path, strerror(errno));
	if (st.st_size % 2 || st.st_size > MAX_BYTES)
		return fail(f, EINVAL,
			"%s: %lld bytes are no 16-bit tokens of at most 2 GiB: tokenizer.py encode "
			"makes such a file of a text",
			path, (long long)st.st_size);
	t->n = (uint64_t)st.st_size / 2;
	t->ids = malloc(t->n ? t->n * 2 : 1);
	if (!t->ids)
		return fail(f, ENOMEM, "out of host memory");
	if (fread(t->ids, 2, t->n, in) != t->n)
		return fail(f, EIO, "%s: could not be read", path);
	return 0;
}

static int check_ids(
	struct text *t, const char *path, uint32_t vocab, uint64_t least, struct failure *f)
{
	if (t->n <= least)
		return fail(f, EINVAL, "%s: %llu tokens, needs more than %llu", path,
			(unsigned long long)t->n, (unsigned long long)least);
	for (uint64_t i = 0; i < t->n; i++) {
		t->ids[i] = le16toh(t->ids[i]);
		if (t->ids[i] >= vocab)
			return fail(f, EINVAL,
				"%s: token %llu is %u, not below %u (--vocab): not what "
				"tokenizer.py encode makes with such a vocabulary",
				path, (unsigned long long)i, t->ids[i], vocab);
	}
	return 0;
}

int text_read(struct text *t, const char *path, uint32_t vocab, uint64_t least, struct failure *f)
{
	FILE *in = fopen(path, "re");
	int r;

	memset(t, 0, sizeof *t);
	if (!in)
		return fail(f, errno, "%s: %s", path, strerror(errno));
	r = read_ids(t, in, path, f);
	fclose(in);
	if (!r)
		r = check_ids(t, path, vocab, least, f);
	if (r)
		text_free(t);
	return r;
}

int text_make_up(struct text *t, uint32_t vocab, uint64_t n, struct failure *f)
{
	uint32_t state = 1;

	t->n = n;
	t->ids = calloc(n, sizeof *t->ids);
	if (!t->ids)
		return fail(f, ENOMEM, "out of host memory");
	for (uint64_t i = 1; i < n; i++) {
		uint32_t next = t->ids[i - 1] * 5u + 1;

		state = state * 1664525u + 1013904223u;
		t->ids[i] = (uint16_t)((state >> 30 ? next : state >> 16) % vocab);
	}
	return 0;
}

void text_free(struct text *t)
{
	free(t->ids);
	memset(t, 0, sizeof *t);
}

void text_copy(const struct text *t, uint64_t at, uint32_t n, int32_t *tokens, int32_t *targets)
{
	for (uint32_t i = 0; i < n; i++) {
		tokens[i] = t->ids[at + i];
		targets[i] = t->ids[at + i + 1];
	}
}
