// SPDX-License-Identifier: Apache-2.0
// The query, key and value projections (one matrix, rows in that order), RoPE on query and key (pairs
// are neighbours, as in GGUF files of the Llama architecture), and the KV cache's new entries.
// The cache of a layer is K[CACHE_SLOTS][KV_DIM], then V[CACHE_SLOTS][KV_DIM], as halves; a sequence's
// slots lie in pages that its table names, and are a ring of CONTEXT slots once that is exceeded.

static inline float16 rotate_pairs(float16 v, __global const float *rotation, uint row)
{
	float16 r = vload16(0, rotation + row % HEAD_DIM); // cos, sin of eight pairs
	float8 a = fma(-v.odd, r.odd, v.even * r.even), b = fma(v.odd, r.even, v.even * r.odd);

	return (float16)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3, a.s4, b.s4, a.s5, b.s5,
		a.s6, b.s6, a.s7, b.s7);
}

// Sixteen rows lie in one head.
static inline void store_qkv(uint t, uint row, float16 y, __global const int *record,
	__global const int *tables, __global const float *rotation, __global float *q,
	__global half *kv)
{
	uint slot = (uint)record[ROW_POSITION(t)] % CONTEXT;
	__global const int *table = tables + record[ROW_SEQUENCE(t)] * TABLE;
	ulong at = (ulong)table[slot / PAGE] * PAGE + slot % PAGE;

	if (row < Q_DIM + KV_DIM)
		y = rotate_pairs(y, rotation + t * HEAD_DIM, row);
	if (row < Q_DIM)
		vstore16(y, 0, q + (ulong)t * Q_DIM + row);
	else if (row < Q_DIM + KV_DIM)
		vstore_half16(y, 0, kv + at * KV_DIM + (row - Q_DIM));
	else
		vstore_half16(y, 0, kv + (CACHE_SLOTS + at) * KV_DIM + (row - Q_DIM - KV_DIM));
}

// Global size (Q_DIM + 2 * KV_DIM) / ROWS.
ONE_ITEM __kernel void qkv(__global const uchar *weights, ulong weights_at,
	__global const int *record, __global const int *tables, __global const float *rotation,
	__global const activation *in, __global float *q, __global half *kv)
{
	uint row = get_global_id(0) * ROWS, n = record[ROW_COUNT];
	__global const uchar *strip = strip_of(weights, weights_at, row, DIM);

	for (uint t = 0, done; t < n; t += done) {
		float16 y[DOTS_MOST];

		done = next_dots(n - t, t, strip, in, DIM, y);
		for (uint i = 0; i < done; i++)
			store_qkv(t + i, row, y[i], record, tables, rotation, q, kv);
	}
}
