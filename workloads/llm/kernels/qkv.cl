// SPDX-License-Identifier: Apache-2.0
// The query, key and value projections (one matrix, rows in that order), RoPE on query and key (pairs
// are neighbours, as in GGUF files of the Llama architecture), and the KV cache's new entries.
// The cache of a layer is K[CACHE_SLOTS][KV_DIM], then V[CACHE_SLOTS][KV_DIM], as halves; a sequence's
// slots lie in pages that its table names, and are a ring of CONTEXT slots once that is exceeded.

static inline float4 rotate_pairs(float4 v, __global const float *rotation, uint row)
{
	float4 r = vload4(0, rotation + row % HEAD_DIM); // cos, sin of two pairs

	return (float4)(fma(-v.y, r.y, v.x * r.x), fma(v.y, r.x, v.x * r.y),
		fma(-v.w, r.w, v.z * r.z), fma(v.w, r.z, v.z * r.w));
}

static inline void store_qkv(uint t, uint row, float4 y, __global const int *record,
	__global const int *tables, __global const float *rotation, __global float *q,
	__global half *kv)
{
	uint slot = (uint)record[ROW_POSITION(t)] % CONTEXT;
	__global const int *table = tables + record[ROW_SEQUENCE(t)] * TABLE;
	ulong at = (ulong)table[slot / PAGE] * PAGE + slot % PAGE;

	if (row < Q_DIM + KV_DIM)
		y = rotate_pairs(y, rotation + t * HEAD_DIM, row);
	if (row < Q_DIM)
		vstore4(y, 0, q + (ulong)t * Q_DIM + row);
	else if (row < Q_DIM + KV_DIM)
		vstore_half4(y, 0, kv + at * KV_DIM + (row - Q_DIM));
	else
		vstore_half4(y, 0, kv + (CACHE_SLOTS + at) * KV_DIM + (row - Q_DIM - KV_DIM));
}

#define STORE_QKV(t, y) store_qkv((t), row, (y), record, tables, rotation, q, kv)

// Global size (Q_DIM + 2 * KV_DIM) / ROWS.
ONE_ITEM __kernel void qkv(__global const uchar *weights, ulong weights_at,
	__global const int *record, __global const int *tables, __global const float *rotation,
	__global const float *in, __global float *q, __global half *kv)
{
	uint row = get_global_id(0) * ROWS, n = record[ROW_COUNT];
	__global const uchar *w = tiles(weights, weights_at, row, DIM);

	FOR_EACH_DOT(n, w, in, DIM, STORE_QKV)
}
