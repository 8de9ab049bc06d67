// SPDX-License-Identifier: Apache-2.0
#include "gguf/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MIN_BYTES    (8 + 4 + 1)         // name's length, type, the smallest value
#define TENSOR_MIN_BYTES (8 + 4 + 8 + 4 + 8) // name's length, dimensions, one size, type, offset

struct cursor {
	const uint8_t *at, *end;
};

__attribute__((format(printf, 3, 4))) static int fail(
	struct gguf_error *e, int err, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		vsnprintf(e->text, sizeof e->text, fmt, ap);
		va_end(ap);
	}
	return -err;
}

static uint64_t left(const struct cursor *c)
{
	return (uint64_t)(c->end - c->at);
}

// A little-endian integer of `size` bytes; false if the file ends before it.
static bool take(struct cursor *c, uint32_t size, uint64_t *ret)
{
	uint64_t v = 0;

	if (left(c) < size)
		return false;
	for (uint32_t i = 0; i < size; i++)
		v |= (uint64_t)c->at[i] << (8 * i);
	c->at += size;
	*ret = v;
	return true;
}

static bool take32(struct cursor *c, uint32_t *ret)
{
	uint64_t v;

	if (!take(c, 4, &v))
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool take_string(struct cursor *c, struct gguf_string *ret)
{
	uint64_t len;

	if (!take(c, 8, &len) || len > left(c))
		return false;
	*ret = (struct gguf_string){ (const char *)c->at, len };
	c->at += len;
	return true;
}

static void take_scalar(struct cursor *c, struct gguf_value *v)
{
	uint32_t size = gguf_type_size(v->type);
	uint64_t bits = 0;
	float f;

	take(c, size, &bits);
	switch (v->type) {
	case GGUF_I8:
	case GGUF_I16:
	case GGUF_I32:
	case GGUF_I64:
		v->i = (int64_t)(bits << (64 - 8 * size)) >> (64 - 8 * size);
		return;
	case GGUF_F32:
		memcpy(&f, &(uint32_t){ (uint32_t)bits }, sizeof f);
		v->f = (double)f;
		return;
	case GGUF_F64:
		memcpy(&v->f, &bits, sizeof bits);
		return;
	default:
		v->u = bits;
	}
}

static int take_array(
	struct cursor *c, const char *name, struct gguf_value *v, struct gguf_error *e)
{
	struct gguf_string s;
	uint32_t size;

	if (!take32(c, &v->array.type) || !take(c, 8, &v->array.count))
		return fail(e, EINVAL, "key \"%s\": the file ends inside it", name);
	size = gguf_type_size(v->array.type);
	if (!size && v->array.type != GGUF_STRING)
		return fail(e, ENOTSUP, "key \"%s\": an array of %s (type %u) is not supported",
			name, gguf_type_name(v->array.type), v->array.type);
	if (v->array.count > left(c) / (size ? size : 8))
		return fail(e, EINVAL, "key \"%s\": %llu elements do not fit the file", name,
			(unsigned long long)v->array.count);
	v->array.at = c->at;
	c->at += size * v->array.count;
	for (uint64_t i = 0; !size && i < v->array.count; i++)
		if (!take_string(c, &s))
			return fail(e, EINVAL, "key \"%s\": string %llu goes past the file's end",
				name, (unsigned long long)i);
	return 0;
}

static int take_value(
	struct cursor *c, const char *name, struct gguf_value *v, struct gguf_error *e)
{
	if (v->type == GGUF_ARRAY)
		return take_array(c, name, v, e);
	if (v->type == GGUF_STRING)
		return take_string(c, &v->s)
			       ? 0
			       : fail(e, EINVAL, "key \"%s\": its string goes past the file's end",
					 name);
	if (!gguf_type_size(v->type))
		return fail(e, EINVAL, "key \"%s\": unknown type %u", name, v->type);
	if (left(c) < gguf_type_size(v->type))
		return fail(e, EINVAL, "key \"%s\": the file ends inside it", name);
	take_scalar(c, v);
	if (v->type == GGUF_BOOL && v->u > 1)
		return fail(e, EINVAL, "key \"%s\": %llu is no truth value", name,
			(unsigned long long)v->u);
	return 0;
}

static int take_keys(struct cursor *c, struct gguf_file *g, struct gguf_error *e)
{
	char name[GGUF_SHOWN + 1];

	for (uint64_t i = 0; i < g->n_keys; i++) {
		struct gguf_key *k = &g->keys[i];
		int r;

		if (!take_string(c, &k->name) || !take32(c, &k->value.type))
			return fail(e, EINVAL, "the file ends inside key %llu of %llu",
				(unsigned long long)i, (unsigned long long)g->n_keys);
		if (!k->name.len || k->name.len > GGUF_MAX_NAME)
			return fail(e, EINVAL, "key %llu has a name of %llu bytes",
				(unsigned long long)i, (unsigned long long)k->name.len);
		r = take_value(c, gguf_shown(k->name, name), &k->value, e);
		if (r)
			return r;
	}
	return 0;
}

static int read_alignment(struct gguf_file *g, struct gguf_error *e)
{
	int r;

	g->alignment = GGUF_ALIGNMENT;
	r = gguf_u32(g, GGUF_ALIGNMENT_KEY, false, &g->alignment, e);
	if (r)
		return r;
	if (g->alignment < 8 || g->alignment > GGUF_MAX_ALIGNMENT ||
		(g->alignment & (g->alignment - 1)))
		return fail(e, EINVAL, "key \"%s\": %u is not a power of two from 8 to %u",
			GGUF_ALIGNMENT_KEY, g->alignment, GGUF_MAX_ALIGNMENT);
	return 0;
}

// Elements and bytes, refusing what overflows.
static int size_tensor(struct gguf_tensor *t, const char *name, struct gguf_error *e)
{
	struct gguf_layout layout;

	if (!gguf_tensor_layout(t->type, &layout))
		return fail(e, ENOTSUP,
			"tensor \"%s\": its type %u is not known, withdrawn or newer than this "
			"reader: llama.cpp's llama-quantize can make the file in another",
			name, t->type);
	t->elements = 1;
	for (uint32_t i = 0; i < GGUF_MAX_DIMS; i++) {
		if (!t->dims[i])
			return fail(e, EINVAL, "tensor \"%s\": dimension %u is zero", name, i);
		if (__builtin_mul_overflow(t->elements, t->dims[i], &t->elements))
			return fail(e, EINVAL, "tensor \"%s\": its dimensions overflow", name);
	}
	if (t->dims[0] % layout.block)
		return fail(e, EINVAL, "tensor \"%s\": rows of %llu are no multiple of %s's %u",
			name, (unsigned long long)t->dims[0], layout.name, layout.block);
	if (__builtin_mul_overflow(t->elements / layout.block, (uint64_t)layout.bytes, &t->bytes))
		return fail(e, EINVAL, "tensor \"%s\": its dimensions overflow", name);
	return 0;
}

static int take_tensor(
	struct cursor *c, uint32_t alignment, struct gguf_tensor *t, struct gguf_error *e)
{
	char name[GGUF_SHOWN + 1];
	bool whole;

	if (!take_string(c, &t->name) || !t->name.len)
		return fail(e, EINVAL, "the file ends inside its list of tensors");
	gguf_shown(t->name, name);
	whole = take32(c, &t->n_dims);
	if (whole && (!t->n_dims || t->n_dims > GGUF_MAX_DIMS))
		return fail(e, EINVAL, "tensor \"%s\": %u dimensions; 1 to %u are possible", name,
			t->n_dims, GGUF_MAX_DIMS);
	for (uint32_t i = 0; i < GGUF_MAX_DIMS; i++) {
		t->dims[i] = 1;
		if (whole && i < t->n_dims)
			whole = take(c, 8, &t->dims[i]);
	}
	if (!whole || !take32(c, &t->type) || !take(c, 8, &t->offset))
		return fail(e, EINVAL, "tensor \"%s\": the file ends inside its description", name);
	if (t->offset % alignment)
		return fail(e, EINVAL, "tensor \"%s\": its offset %llu is no multiple of %u", name,
			(unsigned long long)t->offset, alignment);
	return size_tensor(t, name, e);
}

static int compare_strings(struct gguf_string a, struct gguf_string b)
{
	int r = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);

	return r ? r : (a.len > b.len) - (a.len < b.len);
}

static int compare_keys(const void *a, const void *b)
{
	return compare_strings(
		(*(struct gguf_key *const *)a)->name, (*(struct gguf_key *const *)b)->name);
}

static int compare_tensors(const void *a, const void *b)
{
	return compare_strings(
		(*(struct gguf_tensor *const *)a)->name, (*(struct gguf_tensor *const *)b)->name);
}

static int compare_offsets(const void *a, const void *b)
{
	uint64_t x = (*(struct gguf_tensor *const *)a)->offset;
	uint64_t y = (*(struct gguf_tensor *const *)b)->offset;

	return (x > y) - (x < y);
}

static int index_keys(struct gguf_file *g, struct gguf_error *e)
{
	char name[GGUF_SHOWN + 1];

	for (uint64_t i = 0; i < g->n_keys; i++)
		g->keys_by_name[i] = &g->keys[i];
	qsort(g->keys_by_name, g->n_keys, sizeof *g->keys_by_name, compare_keys);
	for (uint64_t i = 1; i < g->n_keys; i++)
		if (!compare_keys(&g->keys_by_name[i - 1], &g->keys_by_name[i]))
			return fail(e, EINVAL, "key \"%s\" is there twice",
				gguf_shown(g->keys_by_name[i]->name, name));
	return 0;
}

// Places tensors in the data and checks that none overlaps another or leaves the file.
static int place_tensors(struct gguf_file *g, const uint8_t *data, struct gguf_error *e)
{
	struct gguf_tensor **by = g->tensors_by_name;
	uint64_t room = (uint64_t)(g->data + g->size - data), end = 0;
	char a[GGUF_SHOWN + 1], b[GGUF_SHOWN + 1];

	for (uint64_t i = 0; i < g->n_tensors; i++)
		by[i] = &g->tensors[i];
	qsort(by, g->n_tensors, sizeof *by, compare_offsets);
	for (uint64_t i = 0; i < g->n_tensors; i++) {
		if (i && by[i]->offset < end)
			return fail(e, EINVAL, "tensors \"%s\" and \"%s\" overlap",
				gguf_shown(by[i - 1]->name, a), gguf_shown(by[i]->name, b));
		if (by[i]->offset > room || by[i]->bytes > room - by[i]->offset)
			return fail(e, EINVAL,
				"tensor \"%s\": its %llu bytes at %llu go past the file's end",
				gguf_shown(by[i]->name, a), (unsigned long long)by[i]->bytes,
				(unsigned long long)by[i]->offset);
		end = by[i]->offset + by[i]->bytes;
		by[i]->data = data + by[i]->offset;
	}
	qsort(by, g->n_tensors, sizeof *by, compare_tensors);
	for (uint64_t i = 1; i < g->n_tensors; i++)
		if (!compare_tensors(&by[i - 1], &by[i]))
			return fail(e, EINVAL, "tensor \"%s\" is there twice",
				gguf_shown(by[i]->name, a));
	return 0;
}

static int take_header(struct cursor *c, struct gguf_file *g, struct gguf_error *e)
{
	uint32_t magic;

	if (!take32(c, &magic) || magic != GGUF_MAGIC)
		return fail(e, EINVAL,
			"not a GGUF file: it does not begin with \"GGUF\" (a Git LFS pointer in "
			"place of the file, or another format, which llama.cpp's "
			"convert_hf_to_gguf.py converts)");
	if (!take32(c, &g->version) || !take(c, 8, &g->n_tensors) || !take(c, 8, &g->n_keys))
		return fail(e, EINVAL, "the file ends inside its header");
	if (g->version && !(g->version & 0xffff))
		return fail(e, ENOTSUP,
			"a big-endian GGUF file is not supported: take the little-endian one");
	if (g->version < GGUF_VERSION_MIN || g->version > GGUF_VERSION_MAX)
		return fail(e, ENOTSUP,
			"GGUF version %u is not supported, only %d to %d: today's llama.cpp "
			"writes such a file",
			g->version, GGUF_VERSION_MIN, GGUF_VERSION_MAX);
	if (g->n_keys > left(c) / KEY_MIN_BYTES || g->n_tensors > left(c) / TENSOR_MIN_BYTES)
		return fail(e, EINVAL, "%llu keys and %llu tensors do not fit the file",
			(unsigned long long)g->n_keys, (unsigned long long)g->n_tensors);
	return 0;
}

static int allocate(struct gguf_file *g, struct gguf_error *e)
{
	g->keys = calloc(g->n_keys + 1, sizeof *g->keys);
	g->keys_by_name = calloc(g->n_keys + 1, sizeof *g->keys_by_name);
	g->tensors = calloc(g->n_tensors + 1, sizeof *g->tensors);
	g->tensors_by_name = calloc(g->n_tensors + 1, sizeof *g->tensors_by_name);
	if (!g->keys || !g->keys_by_name || !g->tensors || !g->tensors_by_name)
		return fail(e, ENOMEM, "out of memory for the file's keys and tensors");
	return 0;
}

static int parse(struct gguf_file *g, struct gguf_error *e)
{
	struct cursor c = { g->data, g->data + g->size };
	uint64_t at;
	int r = take_header(&c, g, e);

	if (!r)
		r = allocate(g, e);
	if (!r)
		r = take_keys(&c, g, e);
	if (!r)
		r = index_keys(g, e);
	if (!r)
		r = read_alignment(g, e);
	for (uint64_t i = 0; !r && i < g->n_tensors; i++)
		r = take_tensor(&c, g->alignment, &g->tensors[i], e);
	if (r)
		return r;
	at = ((uint64_t)(c.at - g->data) + g->alignment - 1) / g->alignment * g->alignment;
	if (at > g->size && g->n_tensors)
		return fail(e, EINVAL, "the file ends before its tensor data");
	return place_tensors(g, g->data + (at < g->size ? at : g->size), e);
}

int gguf_parse(struct gguf_file *ret, const void *data, uint64_t size, struct gguf_error *e)
{
	struct gguf_file g = { .data = data, .size = size };
	int r = parse(&g, e);

	if (r)
		gguf_close(&g);
	else
		*ret = g;
	return r;
}

// The whole error: which file, what is wrong with it, and for one that is malformed what to do.
static void explain(const char *path, const uint8_t *data, uint64_t size, struct gguf_error *e)
{
	bool ours = size >= 4 && !memcmp(data, "GGUF", 4);
	struct gguf_error what = *e;

	fail(e, 0, "%.160s: %.280s%s", path, what.text,
		ours ? "; the file is damaged or was not fetched whole: fetch it again" : "");
}

int gguf_open(struct gguf_file *ret, const char *path, struct gguf_error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;
	struct stat st;
	void *map;

	if (fd < 0)
		return fail(e, errno, "%.160s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size) {
		close(fd);
		return fail(e, EINVAL, "%.160s: not a file with contents", path);
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	r = errno;
	close(fd);
	if (map == MAP_FAILED)
		return fail(e, r, "%.160s: %s", path, strerror(r));
	r = gguf_parse(ret, map, (uint64_t)st.st_size, e);
	if (r == -EINVAL && e)
		explain(path, map, (uint64_t)st.st_size, e);
	if (r)
		munmap(map, (size_t)st.st_size);
	else
		ret->mapped = true;
	return r;
}

void gguf_close(struct gguf_file *g)
{
	free(g->keys);
	free(g->keys_by_name);
	free(g->tensors);
	free(g->tensors_by_name);
	if (g->mapped)
		munmap((void *)(uintptr_t)g->data, g->size);
	memset(g, 0, sizeof *g);
}
