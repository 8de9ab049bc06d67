// SPDX-License-Identifier: Apache-2.0
// What the writer writes, the reader reads; and what it must refuse.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/check.h"
#include "gguf/read.h"
#include "gguf/write.h"

#define ROWS 3
#define COLS 64

static void make_weights(float *w)
{
	for (int i = 0; i < ROWS * COLS; i++)
		w[i] = sinf((float)i * 1.3f) * (i < COLS ? 0.01f : 3.0f);
	memset(w + 2 * COLS, 0, GGUF_BLOCK * sizeof *w); // a block of zeros
}

static void fill(struct gguf_writer *w, const float *weights)
{
	static const char *const words[] = { "a", "", "\xe2\x96\x81the" };
	static const float scores[] = { 0, -1.5f };
	static const int32_t kinds[] = { 6, -7, 1 };

	gguf_write_text(w, "general.architecture", "llama");
	gguf_write_u32(w, "count", 77);
	gguf_write_f32(w, "real", 1.5f);
	gguf_write_bool(w, "yes", true);
	gguf_write_strings(w, "words", words, 3);
	gguf_write_floats(w, "scores", scores, 2);
	gguf_write_ints(w, "kinds", kinds, 3);
	gguf_write_tensor(w, "gain", GGUF_TENSOR_F32, 0, 5, weights);
	gguf_write_tensor(w, "half", GGUF_TENSOR_F16, ROWS, COLS, weights);
	gguf_write_tensor(w, "block", GGUF_TENSOR_Q8_0, ROWS, COLS, weights);
}

static void check_keys(const struct gguf_file *g)
{
	const struct gguf_value *array;
	struct gguf_string s, words[3];
	uint32_t count = 0;
	float real = 0;
	bool yes = false;

	CHECK(g->version == 3 && g->n_keys == 7 && g->n_tensors == 3);
	CHECK(!gguf_text(g, "general.architecture", true, &s, NULL) && gguf_string_is(s, "llama"));
	CHECK(!gguf_u32(g, "count", true, &count, NULL) && count == 77);
	CHECK(!gguf_float(g, "real", true, &real, NULL) && real == 1.5f);
	CHECK(!gguf_bool(g, "yes", true, &yes, NULL) && yes);
	CHECK(!gguf_array(g, "words", true, GGUF_STRING, &array, NULL) && array->array.count == 3);
	gguf_strings(array, words);
	CHECK(!words[1].len && gguf_string_is(words[2], "\xe2\x96\x81the"));
	CHECK(!gguf_array(g, "scores", true, GGUF_F32, &array, NULL));
	CHECK(gguf_array_f32(array, 1) == -1.5f);
	CHECK(!gguf_array(g, "kinds", true, GGUF_I32, &array, NULL));
	CHECK(array->array.count == 3 && gguf_array_i32(array, 1) == -7);
}

static void check_tensors(const struct gguf_file *g, const float *weights)
{
	const struct gguf_tensor *gain = gguf_find_tensor(g, "gain");
	const struct gguf_tensor *half = gguf_find_tensor(g, "half");
	const struct gguf_tensor *block = gguf_find_tensor(g, "block");

	CHECK(gain && gain->n_dims == 1 && gain->dims[0] == 5);
	CHECK(!memcmp(gain->data, weights, 5 * sizeof *weights));
	CHECK(half && half->dims[0] == COLS && half->dims[1] == ROWS);
	CHECK(block && block->bytes == ROWS * COLS / GGUF_BLOCK * GGUF_Q8_0_BLOCK_BYTES);
	for (int i = 0; i < ROWS * COLS; i++) {
		const uint8_t *b = block->data + i / GGUF_BLOCK * GGUF_Q8_0_BLOCK_BYTES;
		double scale = (double)gguf_half(b), w = (double)weights[i];

		// A half has eleven bits; a step of Q8_0 is the scale, which is itself a half.
		CHECK(fabs((double)gguf_half(half->data + 2 * i) - w) <= fabs(w) / 2048 + 1e-7);
		CHECK(fabs(scale * (int8_t)b[2 + i % GGUF_BLOCK] - w) <= 0.57 * scale + 1e-9);
	}
}

static void test_what_is_written_is_read(void)
{
	char path[] = "gguf-write-test-XXXXXX";
	float weights[ROWS * COLS];
	struct gguf_writer w = { 0 };
	struct gguf_error e = { "" };
	struct gguf_file g;
	int fd = mkstemp(path);

	CHECK(fd >= 0 && !close(fd));
	make_weights(weights);
	fill(&w, weights);
	CHECK(!gguf_write_file(&w, path, &e));
	CHECK(!gguf_open(&g, path, &e));
	check_keys(&g);
	check_tensors(&g, weights);
	gguf_close(&g);
	gguf_writer_free(&w);
	CHECK(!unlink(path));
}

static void test_misuse_is_told(void)
{
	float weights[40] = { 0 };
	struct gguf_writer w = { 0 };
	struct gguf_error e = { "" };

	gguf_write_tensor(&w, "odd", GGUF_TENSOR_Q8_0, 1, 40, weights);
	CHECK(gguf_write_file(&w, "never-written", &e) == -EINVAL && *e.text);
	gguf_writer_free(&w);
	gguf_write_tensor(&w, "other", GGUF_TENSOR_Q4_0, 1, 32, weights);
	CHECK(gguf_write_file(&w, "never-written", &e) == -EINVAL);
	gguf_writer_free(&w);
	CHECK(gguf_write_file(&w, "no-such-folder/file", &e) == -ENOENT && *e.text);
	gguf_writer_free(&w);
	CHECK(access("never-written", F_OK));
}

int main(void)
{
	test_what_is_written_is_read();
	test_misuse_is_told();
	puts("ok");
	return 0;
}
