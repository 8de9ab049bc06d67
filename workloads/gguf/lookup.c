// SPDX-License-Identifier: Apache-2.0
// Finding keys and tensors by name in a file that was read, and converting values.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf/read.h"

bool gguf_string_is(struct gguf_string s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.at, text, s.len);
}

static int compare(const char *name, struct gguf_string s)
{
	size_t len = strlen(name);
	int r = memcmp(name, s.at, len < s.len ? len : s.len);

	return r ? r : (len > s.len) - (len < s.len);
}

static int compare_key(const void *name, const void *key)
{
	return compare(name, (*(struct gguf_key *const *)key)->name);
}

static int compare_tensor(const void *name, const void *tensor)
{
	return compare(name, (*(struct gguf_tensor *const *)tensor)->name);
}

const struct gguf_key *gguf_find(const struct gguf_file *g, const char *name)
{
	struct gguf_key **k =
		bsearch(name, g->keys_by_name, g->n_keys, sizeof *g->keys_by_name, compare_key);

	return k ? *k : NULL;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf_file *g, const char *name)
{
	struct gguf_tensor **t = bsearch(
		name, g->tensors_by_name, g->n_tensors, sizeof *g->tensors_by_name, compare_tensor);

	return t ? *t : NULL;
}

// Finds a key or says that it is missing. *ret is NULL where it is not required.
static int find(const struct gguf_file *g, const char *name, bool required,
	const struct gguf_value **ret, struct gguf_error *e)
{
	const struct gguf_key *k = gguf_find(g, name);

	*ret = k ? &k->value : NULL;
	if (k || !required)
		return 0;
	if (e)
		snprintf(e->text, sizeof e->text, "key \"%.100s\" is missing", name);
	return -ENOENT;
}

static int wrong(
	const char *name, const struct gguf_value *v, const char *wanted, struct gguf_error *e)
{
	if (e)
		snprintf(e->text, sizeof e->text, "key \"%.100s\": a value of type %s is not %s",
			name, gguf_type_name(v->type), wanted);
	return -EINVAL;
}

int gguf_u32(const struct gguf_file *g, const char *name, bool required, uint32_t *ret,
	struct gguf_error *e)
{
	const struct gguf_value *v;
	int r = find(g, name, required, &v, e);

	if (r || !v)
		return r;
	switch (v->type) {
	case GGUF_U8:
	case GGUF_U16:
	case GGUF_U32:
	case GGUF_U64:
		break;
	case GGUF_I8:
	case GGUF_I16:
	case GGUF_I32:
	case GGUF_I64:
		if (v->i >= 0)
			break;
		// fall through
	default:
		return wrong(name, v, "a whole number from 0 to 4294967295", e);
	}
	if (v->u > UINT32_MAX)
		return wrong(name, v, "a whole number from 0 to 4294967295", e);
	*ret = (uint32_t)v->u;
	return 0;
}

int gguf_float(const struct gguf_file *g, const char *name, bool required, float *ret,
	struct gguf_error *e)
{
	const struct gguf_value *v;
	int r = find(g, name, required, &v, e);

	if (r || !v)
		return r;
	if ((v->type != GGUF_F32 && v->type != GGUF_F64) || !isfinite((float)v->f))
		return wrong(name, v, "a finite real number", e);
	*ret = (float)v->f;
	return 0;
}

int gguf_bool(
	const struct gguf_file *g, const char *name, bool required, bool *ret, struct gguf_error *e)
{
	const struct gguf_value *v;
	int r = find(g, name, required, &v, e);

	if (r || !v)
		return r;
	if (v->type != GGUF_BOOL)
		return wrong(name, v, "a truth value", e);
	*ret = v->u;
	return 0;
}

int gguf_text(const struct gguf_file *g, const char *name, bool required, struct gguf_string *ret,
	struct gguf_error *e)
{
	const struct gguf_value *v;
	int r = find(g, name, required, &v, e);

	if (r || !v)
		return r;
	if (v->type != GGUF_STRING)
		return wrong(name, v, "a string", e);
	*ret = v->s;
	return 0;
}

int gguf_array(const struct gguf_file *g, const char *name, bool required, uint32_t type,
	const struct gguf_value **ret, struct gguf_error *e)
{
	const struct gguf_value *v;
	int r = find(g, name, required, &v, e);

	if (r || !v)
		return r;
	if (v->type != GGUF_ARRAY || v->array.type != type)
		return wrong(
			name, v, type == GGUF_STRING ? "an array of strings" : "such an array", e);
	*ret = v;
	return 0;
}

static uint64_t little_endian(const uint8_t *at, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)at[i] << (8 * i);
	return v;
}

void gguf_strings(const struct gguf_value *array, struct gguf_string *out)
{
	const uint8_t *at = array->array.at;

	for (uint64_t i = 0; i < array->array.count; i++) {
		out[i] = (struct gguf_string){ (const char *)at + 8, little_endian(at, 8) };
		at += 8 + out[i].len;
	}
}

int32_t gguf_array_i32(const struct gguf_value *array, uint64_t i)
{
	return (int32_t)little_endian(array->array.at + 4 * i, 4);
}

float gguf_array_f32(const struct gguf_value *array, uint64_t i)
{
	uint32_t bits = (uint32_t)little_endian(array->array.at + 4 * i, 4);
	float f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

const char *gguf_shown(struct gguf_string s, char out[GGUF_SHOWN + 1])
{
	uint64_t n = s.len < GGUF_SHOWN ? s.len : GGUF_SHOWN;

	for (uint64_t i = 0; i < n; i++)
		out[i] = s.at[i] >= ' ' && s.at[i] <= '~' ? s.at[i] : '?';
	out[n] = 0;
	return out;
}
