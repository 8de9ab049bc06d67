// SPDX-License-Identifier: Apache-2.0
// What every kernel shares: the shape as constants and the register tile that all products are made of.
//
// The host defines DIM, HEADS, KV_HEADS, HEAD_DIM, HIDDEN, VOCAB, CONTEXT, BATCH and NORM_EPS; widths
// are multiples of 32, CONTEXT one of 8. A row is one token of the batch: row = sequence * CONTEXT +
// position. All arrays are row-major floats. Every kernel has work-groups of one work-item that alone
// writes its part of the result, and sums in a fixed order: no atomics, and the same bits each time.

#define ROWS (BATCH * CONTEXT)
#define GROUP (HEADS / KV_HEADS) // query heads that share a key head
#define Q_DIM (HEADS * HEAD_DIM)
#define KV_DIM (KV_HEADS * HEAD_DIM)
#define QKV_DIM (Q_DIM + 2 * KV_DIM) // a row of queries, keys and values in turn

#define ONE_ITEM __attribute__((reqd_work_group_size(1, 1, 1)))
#define TILE_ROWS 8
#define TILE_COLS 32

static inline float sum16(float16 v)
{
	float8 a = v.lo + v.hi;
	float4 b = a.lo + a.hi;
	float2 c = b.lo + b.hi;

	return c.x + c.y;
}

static inline float max16(float16 v)
{
	float8 a = fmax(v.lo, v.hi);
	float4 b = fmax(a.lo, a.hi);
	float2 c = fmax(b.lo, b.hi);

	return fmax(c.x, c.y);
}

// A tile of a product: out[8][32] = sum over k < n of A(i, k) * B[k][j], with A(i, k) at
// a[i * a_row + k * a_step] and B's rows b_row apart. Sixteen vector accumulators stay in registers.
// With (a_row, a_step) swapped A is read transposed. `add` is added where it is not NULL; its rows and
// out's are out_row apart.
static inline void tile(__global const float *a, uint a_row, uint a_step, __global const float *b,
	uint b_row, uint n, __global const float *add, __global float *out, uint out_row)
{
	float16 left[TILE_ROWS], right[TILE_ROWS];

#pragma unroll
	for (uint i = 0; i < TILE_ROWS; i++)
		left[i] = right[i] = 0.0f;
	for (uint k = 0; k < n; k++, a += a_step, b += b_row) {
		float16 b0 = vload16(0, b), b1 = vload16(1, b);

#pragma unroll
		for (uint i = 0; i < TILE_ROWS; i++) {
			float16 v = a[i * a_row];

			left[i] = fma(v, b0, left[i]);
			right[i] = fma(v, b1, right[i]);
		}
	}
#pragma unroll
	for (uint i = 0; i < TILE_ROWS; i++, out += out_row) {
		if (add) {
			left[i] += vload16(0, add + i * out_row);
			right[i] += vload16(1, add + i * out_row);
		}
		vstore16(left[i], 0, out);
		vstore16(right[i], 1, out);
	}
}
