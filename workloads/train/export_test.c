// SPDX-License-Identifier: Apache-2.0
// A network as a GGUF file: the reader finds each tensor of the architecture with the rows that the
// device holds, and the vocabulary; a vocabulary of another size or form is refused.
#include <string.h>
#include <unistd.h>

#include "export.h"
#include "gguf/read.h"
#include "tiny.h"

static struct gpu gpu;
static struct trainer trainer;
static float *all;
static char vocabulary[] = "train-export-vocabulary-XXXXXX", out[] = "train-export-XXXXXX";

static void write_vocabulary(unsigned n, const char *end)
{
	FILE *f = fopen(vocabulary, "w");

	CHECK(f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "1 -%u \xe2\x96\x81w%u\n", i, i);
	CHECK(fputs(end, f) >= 0 && !fclose(f));
}

static int export(const char *type, struct failure *f)
{
	return export_gguf(&trainer, out, "tiny", vocabulary, type, f);
}

static void check_rows(
	const struct gguf_file *g, const char *name, uint64_t at, uint64_t rows, uint64_t cols)
{
	const struct gguf_tensor *t = gguf_find_tensor(g, name);

	CHECK(t && t->type == GGUF_TENSOR_F32 && t->dims[0] == cols && t->dims[1] == rows);
	CHECK(!memcmp(t->data, all + at, rows * cols * sizeof *all));
}

static void test_each_tensor_is_there(void)
{
	const struct layout *l = &trainer.network.layout;
	const struct layer_layout *one = &l->layers[1];
	struct gguf_error e = { "" };
	struct failure f = { "" };
	struct gguf_file g;

	write_vocabulary(64, "");
	need(export("f32", &f), &f);
	CHECK(!gguf_open(&g, out, &e));
	CHECK(g.n_tensors == 2 + 9 * 2);
	check_rows(&g, "token_embd.weight", l->embedding.at, 64, 64);
	check_rows(&g, "output_norm.weight", l->final_gain, 1, 64);
	check_rows(&g, "blk.1.attn_norm.weight", one->attention_gain, 1, 64);
	check_rows(&g, "blk.1.attn_q.weight", one->qkv.at, 64, 64);
	check_rows(&g, "blk.1.attn_k.weight", one->qkv.at + 64 * 64, 32, 64);
	check_rows(&g, "blk.1.attn_v.weight", one->qkv.at + 96 * 64, 32, 64);
	check_rows(&g, "blk.1.attn_output.weight", one->output.at, 64, 64);
	check_rows(&g, "blk.1.ffn_norm.weight", one->feed_gain, 1, 64);
	check_rows(&g, "blk.1.ffn_gate.weight", one->gate_up.at, 96, 64);
	check_rows(&g, "blk.1.ffn_up.weight", one->gate_up.at + 96 * 64, 96, 64);
	check_rows(&g, "blk.1.ffn_down.weight", one->down.at, 64, 96);
	gguf_close(&g);
}

static void test_keys_and_vocabulary(void)
{
	static const struct {
		const char *name;
		uint32_t value;
	} numbers[] = { { "llama.embedding_length", 64 }, { "llama.block_count", 2 },
		{ "llama.feed_forward_length", 96 }, { "llama.attention.head_count", 2 },
		{ "llama.attention.head_count_kv", 1 }, { "llama.context_length", 64 },
		{ "llama.rope.dimension_count", 32 }, { "tokenizer.ggml.bos_token_id", 1 } };
	const struct gguf_value *array;
	struct gguf_string pieces[64], name;
	struct failure f = { "" };
	struct gguf_file g;
	uint32_t v = 0;

	need(export("q8_0", &f), &f);
	CHECK(!gguf_open(&g, out, NULL));
	CHECK(!gguf_text(&g, "general.name", true, &name, NULL) && gguf_string_is(name, "tiny"));
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		CHECK(!gguf_u32(&g, numbers[i].name, true, &v, NULL) && v == numbers[i].value);
	CHECK(!gguf_array(&g, "tokenizer.ggml.tokens", true, GGUF_STRING, &array, NULL));
	CHECK(array->array.count == 64);
	gguf_strings(array, pieces);
	CHECK(gguf_string_is(pieces[63], "\xe2\x96\x81w63"));
	CHECK(!gguf_array(&g, "tokenizer.ggml.scores", true, GGUF_F32, &array, NULL));
	CHECK(gguf_array_f32(array, 63) == -63);
	CHECK(!gguf_array(&g, "tokenizer.ggml.token_type", true, GGUF_I32, &array, NULL));
	CHECK(gguf_array_i32(array, 0) == 1);
	CHECK(gguf_find_tensor(&g, "blk.0.ffn_down.weight")->type == GGUF_TENSOR_Q8_0);
	CHECK(gguf_find_tensor(&g, "blk.0.ffn_norm.weight")->type == GGUF_TENSOR_F32);
	gguf_close(&g);
}

static void test_wrong_vocabularies(void)
{
	struct failure f;

	write_vocabulary(63, "");
	CHECK(export("f16", &f) && strstr(f.text, ":64: no \"TYPE SCORE PIECE\""));
	write_vocabulary(64, "1 0 more\n");
	CHECK(export("f16", &f) && strstr(f.text, "more than the 64 tokens"));
	write_vocabulary(63, "piece\n");
	CHECK(export("f16", &f) && strstr(f.text, ":64: no \"TYPE SCORE PIECE\""));
}

int main(void)
{
	struct failure f = { "" };
	struct recipe recipe = RECIPE_DEFAULT;

	tiny_open(&gpu);
	CHECK(!close(mkstemp(vocabulary)) && !close(mkstemp(out)));
	need(trainer_init(&trainer, &gpu, &tiny, &recipe, &f), &f);
	all = calloc(trainer.network.layout.total, sizeof *all);
	CHECK(all);
	need(gpu_read(&gpu, trainer.network.parameters.all, 0, all,
		     trainer.network.layout.total * sizeof *all, &f),
		&f);
	RUN(test_each_tensor_is_there);
	RUN(test_keys_and_vocabulary);
	RUN(test_wrong_vocabularies);
	trainer_free(&trainer);
	gpu_close(&gpu);
	free(all);
	return unlink(vocabulary) || unlink(out);
}
