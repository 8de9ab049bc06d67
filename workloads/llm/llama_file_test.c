// SPDX-License-Identifier: Apache-2.0
// Models in files built here: what is refused and by which name, that each weight arrives at its
// place for each type and mixture, and the whole pass against reference.c.
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "convert.h"
#include "image.h"
#include "reference.h"
#include "testmodel.h"

#define DIM        64  // at most
#define HIDDEN     256 // at most
#define VOCAB      101
#define LAYERS     2
#define ROPE_PAIRS 10 // at most

// Which types and widths the file's tensors have.
struct kind {
	uint32_t embedding, output, attention, value, feed, down; // output UINT32_MAX: tied
	float rope_divisor;                                       // of all frequencies; 0: none
	uint32_t head, hidden; // widths of a head, of the feed-forward
	uint32_t dim, heads, kv_heads;
};

static float weight_of(const char *name, uint32_t row, uint32_t col)
{
	uint32_t salt = 0;

	for (const char *p = name; *p; p++)
		salt = salt * 31 + (unsigned char)*p;
	return 0.2f * sinf((float)(salt % 1000) + (float)row * 1.3f + (float)col * 0.7f);
}

// Q4_0 from floats as the format's own reference does it, roughly: the test reads back what it wrote.
static void to_q4_0(const float *in, uint8_t *block)
{
	_Float16 scale = (_Float16)0.03f;

	memcpy(block, &scale, 2);
	for (int i = 0; i < 16; i++) {
		int low = (int)roundf(in[i] / 0.03f) + 8,
		    high = (int)roundf(in[i + 16] / 0.03f) + 8;

		low = low < 0 ? 0 : low > 15 ? 15 : low;
		high = high < 0 ? 0 : high > 15 ? 15 : high;
		block[2 + i] = (uint8_t)(low | high << 4);
	}
}

static void encode_row(uint32_t type, const float *in, uint32_t cols, uint8_t *out)
{
	enum weight_type t = WEIGHT_F32;

	if (type == GGUF_TENSOR_BF16) {
		for (uint32_t i = 0; i < cols; i++)
			memcpy(out + 2 * i, (const uint8_t *)&in[i] + 2, 2);
		return;
	}
	convert_target(type, &t);
	for (uint32_t i = 0; t == WEIGHT_Q4_0 && i < cols / 32; i++)
		to_q4_0(in + 32 * i, out + 18 * i);
	convert_from_floats(t, in, cols, out);
}

static void put(struct image *m, const char *name, uint32_t type, uint32_t cols, uint32_t rows)
{
	uint64_t stride = convert_row_bytes(type, cols);
	uint8_t *data = malloc(stride * rows);
	float row[HIDDEN];

	CHECK(data);
	for (uint32_t y = 0; y < rows; y++) {
		for (uint32_t x = 0; x < cols; x++)
			row[x] = weight_of(name, y, x);
		encode_row(type, row, cols, data + y * stride);
	}
	image_tensor(m, name, type, cols, rows, data, stride * rows);
	free(data);
}

static void put_gain(struct image *m, const char *name, uint32_t dim)
{
	float gain[DIM];

	for (uint32_t i = 0; i < dim; i++)
		gain[i] = 1 + 0.01f * (float)(i % 7);
	image_tensor(m, name, GGUF_TENSOR_F32, dim, 1, gain, dim * sizeof *gain);
}

// A vocabulary of bytes, as SentencePiece writes them.
static void put_tokens(struct image *m)
{
	char texts[VOCAB][8];
	const char *names[VOCAB];
	float scores[VOCAB] = { 0 };
	int32_t types[VOCAB];

	for (int i = 0; i < VOCAB; i++) {
		snprintf(texts[i], sizeof texts[i], "<0x%02X>", i);
		names[i] = texts[i];
		types[i] = 6;
	}
	image_text(m, "tokenizer.ggml.model", "llama");
	image_texts(m, "tokenizer.ggml.tokens", names, VOCAB);
	image_i32s(m, "tokenizer.ggml.token_type", types, VOCAB);
	image_f32s(m, "tokenizer.ggml.scores", scores, VOCAB);
}

static void put_keys(struct image *m, const struct kind *k)
{
	image_text(m, "general.architecture", "llama");
	image_text(m, "general.name", "a \"test\"");
	image_u32(m, "llama.embedding_length", k->dim);
	image_u32(m, "llama.block_count", LAYERS);
	image_u32(m, "llama.feed_forward_length", k->hidden);
	image_u32(m, "llama.attention.head_count", k->heads);
	image_u32(m, "llama.attention.head_count_kv", k->kv_heads);
	image_u32(m, "llama.attention.key_length", k->head);
	image_u32(m, "llama.context_length", 70);
	image_f32(m, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
	image_f32(m, "llama.rope.freq_base", 500000);
}

static void put_layer(struct image *m, uint32_t layer, const struct kind *k)
{
	const struct {
		const char *name;
		uint32_t type, cols, rows;
	} all[] = {
		{ "attn_q", k->attention, k->dim, k->heads * k->head },
		{ "attn_k", k->attention, k->dim, k->kv_heads * k->head },
		{ "attn_v", k->value, k->dim, k->kv_heads * k->head },
		{ "attn_output", k->attention, k->heads * k->head, k->dim },
		{ "ffn_gate", k->feed, k->dim, k->hidden },
		{ "ffn_up", k->feed, k->dim, k->hidden },
		{ "ffn_down", k->down, k->hidden, k->dim },
	};
	char name[64];

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		snprintf(name, sizeof name, "blk.%u.%s.weight", layer, all[i].name);
		put(m, name, all[i].type, all[i].cols, all[i].rows);
	}
	snprintf(name, sizeof name, "blk.%u.attn_norm.weight", layer);
	put_gain(m, name, k->dim);
	snprintf(name, sizeof name, "blk.%u.ffn_norm.weight", layer);
	put_gain(m, name, k->dim);
}

static void put_tensors(struct image *m, const struct kind *k)
{
	float divisors[ROPE_PAIRS];

	for (uint32_t i = 0; i < LAYERS; i++)
		put_layer(m, i, k);
	put(m, "token_embd.weight", k->embedding, k->dim, VOCAB);
	put_gain(m, "output_norm.weight", k->dim);
	if (k->output != UINT32_MAX)
		put(m, "output.weight", k->output, k->dim, VOCAB);
	for (int i = 0; i < ROPE_PAIRS; i++)
		divisors[i] = k->rope_divisor;
	if (k->rope_divisor > 0)
		image_tensor(m, "rope_freqs.weight", GGUF_TENSOR_F32, k->head / 2, 1, divisors,
			k->head / 2 * sizeof(float));
}

static void load(struct model *m, struct image *image)
{
	char path[] = "llama-file-test-XXXXXX";
	int fd = mkstemp(path);
	struct failure f = { "" };
	size_t len;
	uint8_t *data = image_finish(image, &len);

	CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len && !close(fd));
	free(data);
	need(model_init_file(m, path, 64, 0, &f), &f);
	CHECK(!unlink(path)); // the mapping stays
	testmodel_ready(m);
}

// What a tensor's weight is after a trip through its type.
static double stored(uint32_t type, const char *name, uint32_t cols, uint32_t row, uint32_t col)
{
	uint8_t bytes[HIDDEN * 4];
	float values[HIDDEN];

	for (uint32_t x = 0; x < cols; x++)
		values[x] = weight_of(name, row, x);
	encode_row(type, values, cols, bytes);
	convert_to_floats(type, bytes, cols, values);
	return (double)values[col];
}

// Where row or column `at` of the device is in the file when of every `device` the first `file` are; -1 for
// one that the file does not have.
static int64_t in_file(uint32_t at, uint32_t file, uint32_t device)
{
	return at % device < file ? (int64_t)at / device * file + at % device : -1;
}

// A tensor in a matrix of the device.
struct part {
	const struct matrix *m;
	uint32_t first, step, rows; // of the matrix's rows
	uint32_t type;
	const char *name;
	uint32_t file_rows, device_rows, cols, file_cols, device_cols;
};

static void check_part(const struct reference *r, const struct part *p)
{
	// Halves of what was wider have 11 bits; what is quantised once more is a 254th of the largest off.
	double slack = p->file_cols < p->device_cols && p->type != GGUF_TENSOR_F32 ? 1e-3 : 1e-7;

	for (uint32_t y = 0; y < p->rows; y++)
		for (uint32_t x = 0; x < p->m->cols; x += 13) {
			int64_t row = in_file(y, p->file_rows, p->device_rows);
			int64_t col = in_file(x, p->file_cols, p->device_cols);
			double got = reference_weight(r, p->m, p->first + y * p->step, x);
			double want = row < 0 || col < 0 ? 0
							 : stored(p->type, p->name, p->cols,
								   (uint32_t)row, (uint32_t)col);

			CHECK(fabs(got - want) <= 5e-4 * fabs(want) + slack);
			CHECK(want != 0 || got == 0);
		}
}

static void check_weights(const struct model *m, const struct reference *r, const struct kind *k)
{
	const struct layer_weights *p = &m->weights.layers[1];
	const struct shape *s = &m->shape;
	uint32_t q = k->heads * s->head_dim, kv = k->kv_heads * s->head_dim, f = k->feed;
	uint32_t dim = k->dim, wide = s->dim;
	const struct part parts[] = {
		{ &p->qkv, 0, 1, q, k->attention, "blk.1.attn_q.weight", k->head, s->head_dim, dim,
			dim, wide },
		{ &p->qkv, q, 1, kv, k->attention, "blk.1.attn_k.weight", k->head, s->head_dim, dim,
			dim, wide },
		{ &p->qkv, q + kv, 1, kv, k->value, "blk.1.attn_v.weight", k->head, s->head_dim,
			dim, dim, wide },
		{ &p->output, 0, 1, wide, k->attention, "blk.1.attn_output.weight", dim, wide,
			k->heads * k->head, k->head, s->head_dim },
		{ &p->gate_up, 0, 2, s->hidden, f, "blk.1.ffn_gate.weight", k->hidden, s->hidden,
			dim, dim, wide },
		{ &p->gate_up, 1, 2, s->hidden, f, "blk.1.ffn_up.weight", k->hidden, s->hidden, dim,
			dim, wide },
		{ &p->down, 0, 1, wide, k->down, "blk.1.ffn_down.weight", dim, wide, k->hidden,
			k->hidden, s->hidden },
		{ &m->weights.embedding, 0, 1, VOCAB, k->embedding, "token_embd.weight", 1, 1, dim,
			dim, wide },
		{ &m->weights.logits, 0, 1, VOCAB, k->output, "output.weight", 1, 1, dim, dim,
			wide },
	};
	bool tied = k->output == UINT32_MAX;

	for (size_t i = 0; i < sizeof parts / sizeof *parts - tied; i++)
		check_part(r, &parts[i]);
	CHECK(!tied || m->weights.logits.at == m->weights.embedding.at);
	for (uint32_t x = 0; x < m->shape.dim; x++)
		CHECK(reference_weight(r, &m->weights.logits, VOCAB, x) == 0);
}

static void check_stream(struct model *m, struct reference *r)
{
	const struct sampling greedy = { 0 };
	struct scheduled_token got[MAX_SEQUENCES];
	const int32_t prompt[5] = { 1, 100, 7, 50, 3 };
	struct failure f = { "" };
	double logits[VOCAB];
	unsigned sequence;

	need(scheduler_start(&m->scheduler, prompt, 5, 20, &greedy, &sequence, &f), &f);
	for (uint32_t i = 0; i < 5; i++)
		reference_token(r, prompt[i], i, logits);
	for (uint32_t i = 0; i < 20;) {
		int n = scheduler_step(&m->scheduler, got, &f);
		double best = logits[0];

		need(n, &f);
		if (!n)
			continue;
		for (uint32_t t = 1; t < VOCAB; t++)
			best = fmax(best, logits[t]);
		CHECK(best - logits[got[0].token] <= 2e-2);
		reference_token(r, got[0].token, 5 + i++, logits);
	}
	scheduler_end(&m->scheduler, sequence);
}

static void check_kind(const struct kind *k)
{
	struct image image = { 0 };
	struct failure f = { "" };
	struct reference r;
	struct model m;

	put_keys(&image, k);
	put_tokens(&image);
	put_tensors(&image, k);
	load(&m, &image);
	CHECK(!strcmp(m.name, "a--test-"));
	CHECK(m.shape.context == 64 && m.shape.vocab == VOCAB && m.shape.cache_slots == 128);
	for (uint32_t i = 0; i < k->head / 2; i++) {
		double want = pow(500000, -2.0 * i / k->head) /
			      (k->rope_divisor > 0 ? k->rope_divisor : 1);

		CHECK(fabs((double)m.frequencies[i] - want) < 1e-5 * want);
	}
	need(reference_init(&r, &m.gpu, &m.weights, m.frequencies, 64, &f), &f);
	check_weights(&m, &r, k);
	check_stream(&m, &r);
	reference_free(&r);
	model_free(&m);
}

static void test_types(void)
{
	const uint32_t tied = UINT32_MAX, q8 = GGUF_TENSOR_Q8_0, q4 = GGUF_TENSOR_Q4_0;
	const uint32_t f32 = GGUF_TENSOR_F32, f16 = GGUF_TENSOR_F16, bf16 = GGUF_TENSOR_BF16;
	const struct kind kinds[] = {
		{ q8, q8, q8, q8, q8, q8, 4, 16, 256, 64, 8, 2 },
		{ f16, tied, q4, q8, q4, f16, 0, 16, 256, 64, 8, 2 }, // the mixed ones meet in F16
		{ bf16, f32, f32, f16, bf16, q8, 0, 16, 256, 64, 8, 2 },
		// Widths that the kernels' vectors do not divide: heads of 10 and 20, 172 in the
		// feed-forward; streams of 36 and 50, three heads.
		{ f32, tied, f32, f32, f32, f32, 2, 10, 172, 64, 8, 2 },
		{ q8, tied, q4, q8, q8, q8, 0, 20, 160, 64, 8, 2 },
		{ f32, f16, f32, f16, f32, q8, 0, 12, 96, 36, 3, 3 },
		{ f16, tied, f16, f16, f16, f16, 2, 16, 48, 50, 3, 1 },
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		check_kind(&kinds[i]);
}

static const struct kind plain = { GGUF_TENSOR_F16, UINT32_MAX, GGUF_TENSOR_F16, GGUF_TENSOR_F16,
	GGUF_TENSOR_F16, GGUF_TENSOR_F16, 0, 16, 256, 64, 8, 2 };

static void refuse(struct image *image, const char *part)
{
	struct failure f = { "" };
	struct llama_file l;
	struct gguf_file g;
	size_t len;
	uint8_t *data = image_finish(image, &len);

	CHECK(!gguf_parse(&g, data, len, NULL));
	CHECK(llama_file_read(&l, &g, 64, 0, &f) < 0);
	if (!strstr(f.text, part))
		fprintf(stderr, "wanted \"%s\", got \"%s\"\n", part, f.text);
	CHECK(strstr(f.text, part));
	gguf_close(&g);
	free(data);
}

// A good file without the key or tensor `without`.
static void build(struct image *m, const char *without, const struct kind *k)
{
	*m = (struct image){ 0 };
	put_keys(m, k);
	put_tensors(m, k);
	for (uint32_t i = 0; i < m->n_tensors; i++)
		if (without && !strcmp(m->tensors[i].name, without)) {
			free(m->tensors[i].data);
			m->tensors[i] = m->tensors[--m->n_tensors];
		}
}

static void test_refused(void)
{
	struct kind odd = plain;
	struct image m = { 0 };

	image_text(&m, "general.architecture", "mamba");
	refuse(&m, "\"general.architecture\": \"mamba\"");
	image_text(&m, "general.architecture", "llama");
	refuse(&m, "key \"llama.embedding_length\" is missing");
	put_keys(&m, &plain);
	refuse(&m, "tensor \"token_embd.weight\" is missing");
	build(&m, "blk.1.ffn_up.weight", &plain);
	refuse(&m, "tensor \"blk.1.ffn_up.weight\" is missing");
	build(&m, "blk.0.attn_norm.weight", &plain);
	put(&m, "blk.0.attn_norm.weight", GGUF_TENSOR_F32, 32, 1);
	refuse(&m, "tensor \"blk.0.attn_norm.weight\" is 32 x 1");
	build(&m, NULL, &plain);
	put(&m, "blk.0.attn_q.bias", GGUF_TENSOR_F32, 96, 1);
	refuse(&m, "tensor \"blk.0.attn_q.bias\" is not part");
	build(&m, NULL, &plain);
	image_u32(&m, "split.count", 3);
	refuse(&m, "key \"split.count\": this is one of a file's 3 parts");
	build(&m, NULL, &plain);
	image_tensor(&m, "blk.0.\033[2J", GGUF_TENSOR_F32, 1, 1, &(float){ 0 }, sizeof(float));
	refuse(&m, "tensor \"blk.0.?[2J\" is not part");
	build(&m, NULL, &plain);
	image_u32(&m, "llama.expert_count", 8);
	refuse(&m, "key \"llama.expert_count\": 8");
	build(&m, NULL, &plain);
	image_text(&m, "llama.rope.scaling.type", "yarn");
	refuse(&m, "\"llama.rope.scaling.type\": \"yarn\"");
	odd.feed = 26; // I32
	build(&m, NULL, &odd);
	refuse(&m, "tensor \"blk.0.ffn_gate.weight\": type I32");
	build(&m, "blk.0.ffn_gate.weight", &plain);
	image_tensor(&m, "blk.0.ffn_gate.weight", 39, DIM, HIDDEN, (uint8_t[34 * HIDDEN]){ 0 },
		34 * HIDDEN);
	refuse(&m, "tensor \"blk.0.ffn_gate.weight\": type MXFP4");
}

static void test_scaling_keys(void)
{
	struct failure f = { "" };
	struct llama_file l;
	struct image m;
	struct gguf_file g;
	size_t len;
	uint8_t *data;

	build(&m, NULL, &plain);
	image_text(&m, "llama.rope.scaling.type", "linear");
	image_f32(&m, "llama.rope.scaling.factor", 2);
	data = image_finish(&m, &len);
	CHECK(!gguf_parse(&g, data, len, NULL));
	need(llama_file_read(&l, &g, 64, 0, &f), &f);
	CHECK(l.frequencies[0] == 0.5f);
	llama_file_free(&l);
	gguf_close(&g);
	free(data);
}

int main(void)
{
	RUN(test_refused);
	RUN(test_scaling_keys);
	RUN(test_types);
	return 0;
}
