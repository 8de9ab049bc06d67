// SPDX-License-Identifier: Apache-2.0
// Grouped-query attention: a work-item is one query head of one row (two, where a head is no multiple of
// 32 wide: then there is an even number of them) and walks the filled slots of its sequence, a page of
// sixteen at a time, with a running maximum and sum (online softmax, Milakov and Gimelshein 2018), so that
// no memory grows with the context.

#define PIECES (HEAD_DIM / 16)
#define HEADS_EACH (PIECES % 2 + 1)

static inline void attend(uint head, uint row, __global const int *record,
	__global const int *tables, __global const float *q, __global const half *kv, float16 *out)
{
	uint filled = min((uint)record[ROW_POSITION(row)] + 1, (uint)CONTEXT);
	__global const int *table = tables + record[ROW_SEQUENCE(row)] * TABLE;
	uint at = row * Q_DIM + head * HEAD_DIM;
	float16 query[PIECES], sum[PIECES];
	float highest = -INFINITY, weight_sum = 0.0f;

	for (uint i = 0; i < PIECES; i++) {
		query[i] = vload16(i, q + at) * rsqrt((float)(HEAD_DIM - HEAD_PADDING));
		sum[i] = 0.0f;
	}
	for (uint from = 0; from < filled; from += PAGE) {
		uint n = min(filled - from, (uint)PAGE);
		__global const half *k = kv + (ulong)table[from / PAGE] * PAGE * KV_DIM +
			head / (HEADS / KV_HEADS) * HEAD_DIM;
		__global const half *v = k + (ulong)CACHE_SLOTS * KV_DIM;
		float score[PAGE];

		for (uint j = 0; j < PAGE; j++)
			score[j] = -INFINITY;
		for (uint j = 0; j < n; j++) {
			float16 dot16 = 0.0f;

			for (uint i = 0; i < PIECES; i++)
				dot16 = fma(vload_half16(i, k + j * KV_DIM), query[i], dot16);
			score[j] = sum16(dot16);
		}
		float before = highest;

		for (uint j = 0; j < n; j++)
			highest = fmax(highest, score[j]);
		float16 weight = exp(vload16(0, score) - highest);
		float shrink = exp(before - highest);

		weight_sum = fma(weight_sum, shrink, sum16(weight));
		vstore16(weight, 0, score);
		for (uint i = 0; i < PIECES; i++)
			sum[i] *= shrink;
		for (uint j = 0; j < n; j++)
			for (uint i = 0; i < PIECES; i++)
				sum[i] = fma(vload_half16(i, v + j * KV_DIM), (float16)score[j], sum[i]);
	}
	for (uint i = 0; i < PIECES; i++)
		out[i] = sum[i] / weight_sum;
}

// Global size HEADS / HEADS_EACH * rows of the pass. `packed`: how the output projection reads them
// (activation.cl).
ONE_ITEM __kernel void attention(__global const int *record, __global const int *tables,
	__global const float *q, __global const half *kv, uint packed, __global float *out)
{
	uint items = HEADS / HEADS_EACH;
	uint row = get_global_id(0) / items, head = get_global_id(0) % items * HEADS_EACH;
	float16 all[HEADS_EACH * PIECES];

	for (uint i = 0; i < HEADS_EACH; i++)
		attend(head + i, row, record, tables, q, kv, all + i * PIECES);
	for (uint i = 0; i < HEADS_EACH * PIECES; i += 2)
		put_activation(
			out, packed, row, Q_DIM, head * HEAD_DIM + i * 16, all[i], all[i + 1]);
}
