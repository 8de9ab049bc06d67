// SPDX-License-Identifier: Apache-2.0
#include "gguf/write.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gguf_writer_tensor {
	char *name;
	uint32_t type;
	uint64_t rows, cols;
	uint8_t *data;
	uint64_t bytes;
};

// ---- the key section ----

static void add(struct gguf_writer *w, const void *data, size_t len)
{
	if (w->failed)
		return;
	if (w->keys_len + len > w->keys_size) {
		size_t size = 2 * (w->keys_size + len);
		uint8_t *keys = realloc(w->keys, size);

		if (!keys) {
			w->failed = -ENOMEM;
			return;
		}
		w->keys = keys;
		w->keys_size = size;
	}
	if (len)
		memcpy(w->keys + w->keys_len, data, len);
	w->keys_len += len;
}

static void add_number(struct gguf_writer *w, uint64_t v, unsigned size)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < size; i++)
		bytes[i] = (uint8_t)(v >> (8 * i));
	add(w, bytes, size);
}

static void add_float(struct gguf_writer *w, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof bits);
	add_number(w, bits, 4);
}

static void add_string(struct gguf_writer *w, const char *text)
{
	add_number(w, strlen(text), 8);
	add(w, text, strlen(text));
}

static void add_key(struct gguf_writer *w, const char *name, enum gguf_type type)
{
	add_string(w, name);
	add_number(w, type, 4);
	w->n_keys++;
}

static void add_array(struct gguf_writer *w, const char *name, enum gguf_type type, uint64_t count)
{
	add_key(w, name, GGUF_ARRAY);
	add_number(w, type, 4);
	add_number(w, count, 8);
}

void gguf_write_u32(struct gguf_writer *w, const char *name, uint32_t v)
{
	add_key(w, name, GGUF_U32);
	add_number(w, v, 4);
}

void gguf_write_f32(struct gguf_writer *w, const char *name, float v)
{
	add_key(w, name, GGUF_F32);
	add_float(w, v);
}

void gguf_write_bool(struct gguf_writer *w, const char *name, bool v)
{
	add_key(w, name, GGUF_BOOL);
	add_number(w, v, 1);
}

void gguf_write_text(struct gguf_writer *w, const char *name, const char *text)
{
	add_key(w, name, GGUF_STRING);
	add_string(w, text);
}

void gguf_write_strings(
	struct gguf_writer *w, const char *name, const char *const *texts, uint64_t n)
{
	add_array(w, name, GGUF_STRING, n);
	for (uint64_t i = 0; i < n; i++)
		add_string(w, texts[i]);
}

void gguf_write_floats(struct gguf_writer *w, const char *name, const float *v, uint64_t n)
{
	add_array(w, name, GGUF_F32, n);
	for (uint64_t i = 0; i < n; i++)
		add_float(w, v[i]);
}

void gguf_write_ints(struct gguf_writer *w, const char *name, const int32_t *v, uint64_t n)
{
	add_array(w, name, GGUF_I32, n);
	for (uint64_t i = 0; i < n; i++)
		add_number(w, (uint32_t)v[i], 4);
}

// ---- tensors ----

// The scale puts the block's largest weight at 127; each weight goes to the nearest step.
static void put_q8_0(uint8_t *out, const float *weights)
{
	float largest = 0, scale, inverse;

	for (unsigned i = 0; i < GGUF_BLOCK; i++)
		largest = fmaxf(largest, fabsf(weights[i]));
	gguf_put_half(out, largest / 127);
	scale = gguf_half(out);
	inverse = scale > 0 ? 1 / scale : 0;
	for (unsigned i = 0; i < GGUF_BLOCK; i++) {
		float step = fminf(fmaxf(roundf(weights[i] * inverse), -127), 127);

		out[2 + i] = (uint8_t)(int8_t)step;
	}
}

static void convert(struct gguf_writer_tensor *t, const float *weights)
{
	uint64_t n = (t->rows ? t->rows : 1) * t->cols;

	if (t->type == GGUF_TENSOR_F32)
		memcpy(t->data, weights, n * sizeof *weights);
	for (uint64_t i = 0; t->type == GGUF_TENSOR_F16 && i < n; i++)
		gguf_put_half(t->data + 2 * i, weights[i]);
	for (uint64_t i = 0; t->type == GGUF_TENSOR_Q8_0 && i < n; i += GGUF_BLOCK)
		put_q8_0(t->data + i / GGUF_BLOCK * GGUF_Q8_0_BLOCK_BYTES, weights + i);
}

static bool grow_tensors(struct gguf_writer *w)
{
	size_t size = 2 * w->tensors_size + 16;
	struct gguf_writer_tensor *tensors;

	if (w->n_tensors < w->tensors_size)
		return true;
	tensors = realloc(w->tensors, size * sizeof *tensors);
	if (!tensors)
		return false;
	w->tensors = tensors;
	w->tensors_size = size;
	return true;
}

void gguf_write_tensor(struct gguf_writer *w, const char *name, enum gguf_tensor_type type,
	uint64_t rows, uint64_t cols, const float *weights)
{
	struct gguf_writer_tensor *t;
	struct gguf_layout layout;
	bool known = type == GGUF_TENSOR_F32 || type == GGUF_TENSOR_F16 || type == GGUF_TENSOR_Q8_0;

	if (w->failed)
		return;
	if (!known || !gguf_tensor_layout(type, &layout) || !cols || cols % layout.block) {
		w->failed = -EINVAL;
		return;
	}
	if (!grow_tensors(w)) {
		w->failed = -ENOMEM;
		return;
	}
	t = &w->tensors[w->n_tensors++];
	*t = (struct gguf_writer_tensor){ .type = type, .rows = rows, .cols = cols };
	t->bytes = (rows ? rows : 1) * cols / layout.block * layout.bytes;
	t->name = strdup(name);
	t->data = malloc(t->bytes);
	if (!t->name || !t->data) {
		w->failed = -ENOMEM;
		return;
	}
	convert(t, weights);
}

// ---- the file ----

static uint64_t aligned(uint64_t at)
{
	return (at + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
}

// The tensors' descriptions, after the keys.
static void add_descriptions(struct gguf_writer *w)
{
	uint64_t at = 0;

	for (size_t i = 0; i < w->n_tensors; i++) {
		const struct gguf_writer_tensor *t = &w->tensors[i];

		add_string(w, t->name);
		add_number(w, t->rows ? 2 : 1, 4);
		add_number(w, t->cols, 8);
		if (t->rows)
			add_number(w, t->rows, 8);
		add_number(w, t->type, 4);
		add_number(w, at, 8);
		at = aligned(at + t->bytes);
	}
}

static void put_number(uint8_t *out, uint64_t v, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

static bool write_padded(FILE *out, const void *data, size_t len, size_t before)
{
	static const uint8_t zeros[GGUF_ALIGNMENT];
	size_t padding = aligned(before + len) - before - len;

	return fwrite(data, 1, len, out) == len && fwrite(zeros, 1, padding, out) == padding;
}

static bool write_all(struct gguf_writer *w, FILE *out)
{
	uint8_t header[24];

	put_number(header, GGUF_MAGIC, 4);
	put_number(header + 4, GGUF_VERSION_MAX, 4);
	put_number(header + 8, w->n_tensors, 8);
	put_number(header + 16, w->n_keys, 8);
	if (fwrite(header, sizeof header, 1, out) != 1 ||
		!write_padded(out, w->keys, w->keys_len, sizeof header))
		return false;
	for (size_t i = 0; i < w->n_tensors; i++)
		if (!write_padded(out, w->tensors[i].data, w->tensors[i].bytes, 0))
			return false;
	return true;
}

__attribute__((format(printf, 3, 4))) static int report(
	struct gguf_error *e, int error, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		vsnprintf(e->text, sizeof e->text, fmt, ap);
		va_end(ap);
	}
	return error < 0 ? error : -error;
}

int gguf_write_file(struct gguf_writer *w, const char *path, struct gguf_error *e)
{
	char fresh[4096];
	FILE *out;
	bool ok;

	add_descriptions(w);
	if (w->failed)
		return report(e, w->failed, "%.150s: not written: %s", path, strerror(-w->failed));
	if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
		return report(e, ENAMETOOLONG, "too long a file name");
	out = fopen(fresh, "we");
	if (!out)
		return report(e, errno, "%.150s: %s", fresh, strerror(errno));
	ok = write_all(w, out);
	if (fclose(out) || !ok || rename(fresh, path)) {
		int error = errno ? errno : EIO;

		unlink(fresh);
		return report(e, error, "%.150s: %s", path, strerror(error));
	}
	return 0;
}

void gguf_writer_free(struct gguf_writer *w)
{
	for (size_t i = 0; i < w->n_tensors; i++) {
		free(w->tensors[i].name);
		free(w->tensors[i].data);
	}
	free(w->tensors);
	free(w->keys);
	memset(w, 0, sizeof *w);
}
