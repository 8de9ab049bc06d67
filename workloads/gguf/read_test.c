// SPDX-License-Identifier: Apache-2.0
// The reader on files built byte by byte: what a good one says, and what each bad one is told. Last
// every truncation and thousands of mutations of a good file, each in a buffer of its exact size.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/check.h"
#include "gguf/read.h"

struct image {
	uint8_t data[4096];
	size_t len;
};

static void put(struct image *m, uint64_t v, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		m->data[m->len++] = (uint8_t)(v >> (8 * i));
}

static void put_string(struct image *m, const char *s)
{
	put(m, strlen(s), 8);
	memcpy(m->data + m->len, s, strlen(s));
	m->len += strlen(s);
}

static void put_header(struct image *m, uint32_t version, uint64_t tensors, uint64_t keys)
{
	m->len = 0;
	put(m, GGUF_MAGIC, 4);
	put(m, version, 4);
	put(m, tensors, 8);
	put(m, keys, 8);
}

static void put_key(struct image *m, const char *name, uint32_t type, uint64_t v)
{
	put_string(m, name);
	put(m, type, 4);
	put(m, v, gguf_type_size(type));
}

static void put_tensor(
	struct image *m, const char *name, uint64_t cols, uint64_t rows, uint32_t type, uint64_t at)
{
	put_string(m, name);
	put(m, 2, 4);
	put(m, cols, 8);
	put(m, rows, 8);
	put(m, type, 4);
	put(m, at, 8);
}

static void pad(struct image *m, unsigned alignment)
{
	while (m->len % alignment)
		put(m, 0, 1);
}

static void put_data(struct image *m, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		put(m, i, 1);
}

// A file with a key of each kind and two tensors.
static void good(struct image *m, uint32_t version)
{
	put_header(m, version, 2, 7);
	put_key(m, "small", GGUF_I8, (uint8_t)-3);
	put_key(m, "count", GGUF_U32, 77);
	put_key(m, "real", GGUF_F32, 0x3fc00000); // 1.5
	put_key(m, "yes", GGUF_BOOL, 1);
	put_string(m, "text");
	put(m, GGUF_STRING, 4);
	put_string(m, "hello");
	put_string(m, "words");
	put(m, GGUF_ARRAY, 4);
	put(m, GGUF_STRING, 4);
	put(m, 3, 8);
	put_string(m, "a");
	put_string(m, "");
	put_string(m, "ccc");
	put_string(m, "numbers");
	put(m, GGUF_ARRAY, 4);
	put(m, GGUF_I32, 4);
	put(m, 2, 8);
	put(m, 5, 4);
	put(m, (uint32_t)-6, 4);
	put_tensor(m, "w", 64, 2, GGUF_TENSOR_Q8_0, 32);
	put_tensor(m, "v", 4, 1, GGUF_TENSOR_F32, 0);
	pad(m, GGUF_ALIGNMENT);
	put_data(m, 32 + 4 * GGUF_Q8_0_BLOCK_BYTES);
}

static void check_good(const struct gguf_file *g)
{
	const struct gguf_value *array;
	struct gguf_string s, words[3];
	const struct gguf_tensor *t;
	uint32_t count = 0;
	float real = 0;
	bool yes = false;

	CHECK(g->n_keys == 7 && g->n_tensors == 2 && g->alignment == 32);
	CHECK(gguf_find(g, "small")->value.i == -3);
	CHECK(!gguf_u32(g, "count", true, &count, NULL) && count == 77);
	CHECK(!gguf_float(g, "real", true, &real, NULL) && real == 1.5f);
	CHECK(!gguf_bool(g, "yes", true, &yes, NULL) && yes);
	CHECK(!gguf_text(g, "text", true, &s, NULL) && gguf_string_is(s, "hello"));
	CHECK(!gguf_array(g, "words", true, GGUF_STRING, &array, NULL));
	CHECK(array->array.count == 3);
	gguf_strings(array, words);
	CHECK(gguf_string_is(words[0], "a") && !words[1].len && gguf_string_is(words[2], "ccc"));
	CHECK(!gguf_array(g, "numbers", true, GGUF_I32, &array, NULL));
	CHECK(gguf_array_i32(array, 0) == 5 && gguf_array_i32(array, 1) == -6);
	t = gguf_find_tensor(g, "w");
	CHECK(t && t->elements == 128 && t->bytes == 136 && t->data[0] == 32 && t->dims[2] == 1);
	CHECK(gguf_find_tensor(g, "v")->data[1] == 1);
	CHECK(!gguf_find_tensor(g, "vv") && !gguf_find(g, "") && !gguf_find(g, "zzz"));
}

static void test_good_files(void)
{
	struct gguf_file g;
	struct image m;

	for (uint32_t version = 2; version <= 3; version++) {
		good(&m, version);
		CHECK(!gguf_parse(&g, m.data, m.len, NULL));
		CHECK(g.version == version);
		check_good(&g);
		gguf_close(&g);
	}
}

static void test_open(void)
{
	char path[] = "gguf-read-test-XXXXXX";
	struct gguf_error e;
	struct gguf_file g;
	struct image m;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "wb");

	CHECK(f);
	CHECK(gguf_open(&g, path, &e) == -EINVAL); // empty
	good(&m, 3);
	CHECK(fwrite(m.data, 1, m.len, f) == m.len && !fclose(f));
	CHECK(!gguf_open(&g, path, &e));
	check_good(&g);
	gguf_close(&g);
	CHECK(!truncate(path, (off_t)m.len - 1));
	CHECK(gguf_open(&g, path, &e) == -EINVAL);
	CHECK(strstr(e.text, path) && strstr(e.text, "tensor \"w\"") &&
		strstr(e.text, "fetch it again"));
	CHECK(!remove(path));
	CHECK(gguf_open(&g, path, &e) == -ENOENT && strstr(e.text, path));
	CHECK(gguf_open(&g, "/", &e) == -EINVAL);
}

static void expect(const struct image *m, int err, const char *part)
{
	struct gguf_error e = { "" };
	struct gguf_file g;
	int r = gguf_parse(&g, m->data, m->len, &e);

	if (r != -err || !strstr(e.text, part))
		fprintf(stderr, "wanted %d with \"%s\", got %d with \"%s\"\n", -err, part, r,
			e.text);
	CHECK(r == -err && strstr(e.text, part));
}

static void test_bad_headers(void)
{
	struct image m;

	good(&m, 1);
	expect(&m, ENOTSUP, "version 1");
	good(&m, 4);
	expect(&m, ENOTSUP, "version 4");
	good(&m, 3);
	m.data[0] = 'g';
	expect(&m, EINVAL, "not a GGUF file");
	good(&m, 3u << 24);
	expect(&m, ENOTSUP, "big-endian");
	put_header(&m, 3, 0, 1ull << 60);
	expect(&m, EINVAL, "do not fit");
	put_header(&m, 3, UINT64_MAX, 0);
	expect(&m, EINVAL, "do not fit");
}

static void test_bad_keys(void)
{
	struct image m;

	put_header(&m, 3, 0, 1);
	put_key(&m, "odd", 13, 0);
	put(&m, 0, 8);
	expect(&m, EINVAL, "key \"odd\": unknown type 13");
	put_header(&m, 3, 0, 1);
	put_key(&m, "odd", GGUF_BOOL, 2);
	expect(&m, EINVAL, "key \"odd\": 2 is no truth value");
	put_header(&m, 3, 0, 1);
	put_string(&m, "list");
	put(&m, GGUF_ARRAY, 4);
	put(&m, GGUF_ARRAY, 4);
	put(&m, 0, 8);
	expect(&m, ENOTSUP, "key \"list\": an array of array");
	m.len -= 12;
	put(&m, GGUF_U64, 4);
	put(&m, UINT64_MAX / 8 + 2, 8);
	expect(&m, EINVAL, "key \"list\": 2305843009213693953 elements");
	put_header(&m, 3, 0, 2);
	put_key(&m, "twin", GGUF_U32, 1);
	put_key(&m, "twin", GGUF_U32, 2);
	expect(&m, EINVAL, "key \"twin\" is there twice");
	put_header(&m, 3, 0, 1);
	put_key(&m, GGUF_ALIGNMENT_KEY, GGUF_U32, 24);
	expect(&m, EINVAL, "\"general.alignment\": 24");
	put_header(&m, 3, 0, 1);
	put_string(&m, "bell\a");
	put(&m, GGUF_STRING, 4);
	put(&m, 1000, 8);
	expect(&m, EINVAL, "key \"bell?\": its string goes past");
}

static void one_tensor(struct image *m, uint64_t cols, uint64_t rows, uint32_t type, uint64_t at)
{
	put_header(m, 3, 1, 0);
	put_tensor(m, "t", cols, rows, type, at);
	pad(m, GGUF_ALIGNMENT);
	put_data(m, 128);
}

static void test_bad_tensors(void)
{
	struct image m;

	one_tensor(&m, 32, 1, GGUF_TENSOR_F32, 0);
	m.len--;
	expect(&m, EINVAL, "tensor \"t\": its 128 bytes at 0 go past");
	one_tensor(&m, 4, 1, GGUF_TENSOR_F32, 1ull << 63);
	expect(&m, EINVAL, "tensor \"t\": its 16 bytes at");
	one_tensor(&m, 4, 1, GGUF_TENSOR_F32, 4);
	expect(&m, EINVAL, "tensor \"t\": its offset 4");
	one_tensor(&m, 4, 1, 99, 0);
	expect(&m, ENOTSUP, "tensor \"t\": its type 99");
	one_tensor(&m, 33, 1, GGUF_TENSOR_Q4_0, 0);
	expect(&m, EINVAL, "tensor \"t\": rows of 33");
	one_tensor(&m, 1ull << 40, 1ull << 40, GGUF_TENSOR_F32, 0);
	expect(&m, EINVAL, "tensor \"t\": its dimensions overflow");
	one_tensor(&m, 1ull << 62, 1, GGUF_TENSOR_F32, 0);
	expect(&m, EINVAL, "tensor \"t\": its dimensions overflow");
	one_tensor(&m, 0, 1, GGUF_TENSOR_F32, 0);
	expect(&m, EINVAL, "tensor \"t\": dimension 0 is zero");
	put_header(&m, 3, 1, 0);
	put_string(&m, "t");
	put(&m, 5, 4);
	put_data(&m, 64);
	expect(&m, EINVAL, "tensor \"t\": 5 dimensions");
}

static void test_tensors_against_each_other(void)
{
	struct image m;

	put_header(&m, 3, 2, 0);
	put_tensor(&m, "a", 16, 1, GGUF_TENSOR_F32, 0);
	put_tensor(&m, "b", 16, 1, GGUF_TENSOR_F32, 32);
	pad(&m, GGUF_ALIGNMENT);
	put_data(&m, 128);
	expect(&m, EINVAL, "tensors \"a\" and \"b\" overlap");
	put_header(&m, 3, 2, 0);
	put_tensor(&m, "a", 8, 1, GGUF_TENSOR_F32, 0);
	put_tensor(&m, "a", 8, 1, GGUF_TENSOR_F32, 32);
	pad(&m, GGUF_ALIGNMENT);
	put_data(&m, 64);
	expect(&m, EINVAL, "tensor \"a\" is there twice");
}

static void test_wrong_lookups_name_the_key(void)
{
	struct gguf_string s = { "untouched", 9 };
	const struct gguf_value *array;
	struct gguf_error e;
	uint32_t n = 9;
	struct gguf_file g;
	struct image m;
	float f = 9;
	bool b;

	good(&m, 3);
	CHECK(!gguf_parse(&g, m.data, m.len, &e));
	CHECK(!gguf_u32(&g, "none", false, &n, &e) && n == 9);
	CHECK(gguf_u32(&g, "none", true, &n, &e) == -ENOENT && strstr(e.text, "\"none\""));
	CHECK(gguf_u32(&g, "small", true, &n, &e) == -EINVAL && strstr(e.text, "\"small\""));
	CHECK(gguf_u32(&g, "text", true, &n, &e) == -EINVAL && strstr(e.text, "string"));
	CHECK(gguf_float(&g, "count", true, &f, &e) == -EINVAL && strstr(e.text, "\"count\""));
	CHECK(gguf_bool(&g, "count", true, &b, &e) == -EINVAL);
	CHECK(gguf_text(&g, "count", true, &s, &e) == -EINVAL && s.len == 9);
	CHECK(gguf_array(&g, "words", true, GGUF_I32, &array, &e) == -EINVAL);
	CHECK(gguf_array(&g, "count", true, GGUF_I32, &array, &e) == -EINVAL);
	gguf_close(&g);
}

// Reads every byte that the reader hands out.
static unsigned walk(const struct gguf_file *g)
{
	unsigned sum = 0;

	for (uint64_t i = 0; i < g->n_keys; i++) {
		const struct gguf_value *v = &g->keys[i].value;

		if (v->type == GGUF_STRING)
			for (uint64_t j = 0; j < v->s.len; j++)
				sum += (unsigned char)v->s.at[j];
		if (v->type == GGUF_ARRAY && v->array.type == GGUF_STRING) {
			struct gguf_string *all = calloc(v->array.count + 1, sizeof *all);

			CHECK(all);
			gguf_strings(v, all);
			for (uint64_t j = 0; j < v->array.count; j++)
				sum += all[j].len ? (unsigned char)all[j].at[all[j].len - 1] : 0;
			free(all);
		}
	}
	for (uint64_t i = 0; i < g->n_tensors; i++)
		for (uint64_t j = 0; j < g->tensors[i].bytes; j++)
			sum += g->tensors[i].data[j];
	return sum;
}

// 1 if the bytes are accepted.
static int try_exactly(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct gguf_error e = { "" };
	struct gguf_file g;
	int r;

	CHECK(copy);
	memcpy(copy, data, len);
	r = gguf_parse(&g, copy, len, &e);
	if (r)
		CHECK(e.text[0]);
	else {
		walk(&g);
		gguf_close(&g);
	}
	free(copy);
	return !r;
}

static void test_truncated(void)
{
	struct image m;

	good(&m, 3);
	for (size_t len = 0; len < m.len; len++)
		CHECK(!try_exactly(m.data, len));
	CHECK(try_exactly(m.data, m.len));
}

static void test_mutated(void)
{
	static const uint8_t values[] = { 0, 1, 7, 8, 9, 0x7f, 0x80, 0xff };
	unsigned accepted = 0, refused = 0;
	struct image m, n;

	good(&m, 3);
	for (size_t at = 0; at < m.len; at++) {
		for (size_t v = 0; v < sizeof values; v++) {
			n = m;
			n.data[at] = values[v];
			*(try_exactly(n.data, n.len) ? &accepted : &refused) += 1;
			memset(n.data + at, values[v], n.len - at < 8 ? n.len - at : 8);
			*(try_exactly(n.data, n.len) ? &accepted : &refused) += 1;
		}
	}
	CHECK(accepted > 1000 && refused > 1000);
}

int main(void)
{
	RUN(test_good_files);
	RUN(test_open);
	RUN(test_bad_headers);
	RUN(test_bad_keys);
	RUN(test_bad_tensors);
	RUN(test_tensors_against_each_other);
	RUN(test_wrong_lookups_name_the_key);
	RUN(test_truncated);
	RUN(test_mutated);
	return 0;
}
