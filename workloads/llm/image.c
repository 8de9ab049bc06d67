// SPDX-License-Identifier: Apache-2.0
#include "image.h"

#include <string.h>

#include "check.h"

static void add(struct image *m, const void *data, size_t len)
{
	m->keys = realloc(m->keys, m->keys_len + len + 1);
	CHECK(m->keys);
	if (len)
		memcpy(m->keys + m->keys_len, data, len);
	m->keys_len += len;
}

// Little-endian, as this processor is.
static void add_u64(struct image *m, uint64_t v)
{
	add(m, &v, 8);
}

static void add_u32(struct image *m, uint32_t v)
{
	add(m, &v, 4);
}

static void add_string(struct image *m, const char *s)
{
	add_u64(m, strlen(s));
	add(m, s, strlen(s));
}

static void begin(struct image *m, const char *key, uint32_t type)
{
	m->n_keys++;
	add_string(m, key);
	add_u32(m, type);
}

void image_u32(struct image *m, const char *key, uint32_t v)
{
	begin(m, key, GGUF_U32);
	add_u32(m, v);
}

void image_f32(struct image *m, const char *key, float v)
{
	begin(m, key, GGUF_F32);
	add(m, &v, 4);
}

void image_bool(struct image *m, const char *key, int v)
{
	begin(m, key, GGUF_BOOL);
	add(m, &(char){ (char)v }, 1);
}

void image_text(struct image *m, const char *key, const char *v)
{
	begin(m, key, GGUF_STRING);
	add_string(m, v);
}

static void begin_array(struct image *m, const char *key, uint32_t type, uint64_t n)
{
	begin(m, key, GGUF_ARRAY);
	add_u32(m, type);
	add_u64(m, n);
}

void image_texts(struct image *m, const char *key, const char *const *v, uint64_t n)
{
	begin_array(m, key, GGUF_STRING, n);
	for (uint64_t i = 0; i < n; i++)
		add_string(m, v[i]);
}

void image_i32s(struct image *m, const char *key, const int32_t *v, uint64_t n)
{
	begin_array(m, key, GGUF_I32, n);
	add(m, v, n * 4);
}

void image_f32s(struct image *m, const char *key, const float *v, uint64_t n)
{
	begin_array(m, key, GGUF_F32, n);
	add(m, v, n * 4);
}

void image_tensor(struct image *m, const char *name, uint32_t type, uint32_t cols, uint32_t rows,
	const void *data, uint64_t bytes)
{
	struct image_tensor *t = &m->tensors[m->n_tensors++];

	CHECK(m->n_tensors <= 64);
	*t = (struct image_tensor){ .type = type, .cols = cols, .rows = rows, .bytes = bytes };
	snprintf(t->name, sizeof t->name, "%s", name);
	t->data = malloc(bytes);
	CHECK(t->data);
	memcpy(t->data, data, bytes);
}

static void pad(struct image *m)
{
	while (m->keys_len % GGUF_ALIGNMENT)
		add(m, "", 1);
}

uint8_t *image_finish(struct image *m, size_t *ret_len)
{
	struct image out = { 0 };
	uint64_t at = 0;

	add_u32(&out, GGUF_MAGIC);
	add_u32(&out, GGUF_VERSION_MAX);
	add_u64(&out, m->n_tensors);
	add_u64(&out, m->n_keys);
	add(&out, m->keys, m->keys_len);
	for (uint32_t i = 0; i < m->n_tensors; i++) {
		const struct image_tensor *t = &m->tensors[i];

		add_string(&out, t->name);
		add_u32(&out, t->rows > 1 ? 2 : 1);
		add_u64(&out, t->cols);
		if (t->rows > 1)
			add_u64(&out, t->rows);
		add_u32(&out, t->type);
		add_u64(&out, at);
		at += (t->bytes + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
	}
	pad(&out);
	for (uint32_t i = 0; i < m->n_tensors; i++) {
		add(&out, m->tensors[i].data, m->tensors[i].bytes);
		pad(&out);
		free(m->tensors[i].data);
	}
	free(m->keys);
	memset(m, 0, sizeof *m);
	*ret_len = out.keys_len;
	return out.keys;
}
