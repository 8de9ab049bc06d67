// SPDX-License-Identifier: Apache-2.0
// rmsnorm, the query, key and value projections (one matrix, rows in that order), RoPE on query and
// key (pairs are neighbours, as in the Llama reference), and the KV cache's new entry.
// The cache is a ring of CONTEXT slots: kv = K[CONTEXT][KV_DIM], then V[CONTEXT][KV_DIM], as halves.

static inline float4 rotate_pairs(float4 v, __global const float *rotation, uint row)
{
	float4 r = vload4(0, rotation + row % HEAD_DIM); // cos, sin of two pairs

	return (float4)(v.x * r.x - v.y * r.y, v.x * r.y + v.y * r.x, v.z * r.z - v.w * r.w,
		v.z * r.w + v.w * r.z);
}

// Global size (DIM + 2 * KV_DIM) / ROWS.
ONE_ITEM __kernel void qkv(__global const weight_t *weights, ulong weights_at,
	__global const float *vectors, ulong scale_at, ulong gain_at, __global const int *step,
	__global const float *rotation, __global const float *x, __global float *q,
	__global half *kv)
{
	uint row = get_global_id(0) * ROWS;
	ulong slot = (uint)step[STEP_POSITION] % CONTEXT;
	float4 y = dot_rows_normed(
		weights + weights_at + (ulong)row * DIM, x, vectors + gain_at);

	y = SCALED4(y, vectors + scale_at, row);
	if (row < DIM)
		vstore4(rotate_pairs(y, rotation, row), 0, q + row);
	else if (row < DIM + KV_DIM)
		vstore_half4(rotate_pairs(y, rotation, row - DIM), 0,
			kv + slot * KV_DIM + (row - DIM));
	else
		vstore_half4(y, 0, kv + (CONTEXT + slot) * KV_DIM + (row - DIM - KV_DIM));
}
