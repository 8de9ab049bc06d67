// SPDX-License-Identifier: Apache-2.0
// x += W . in: the attention's output projection and the feed-forward's down projection, each added
// to the residual stream.

static inline void add_to(__global float *x, float4 y)
{
	vstore4(vload4(0, x) + y, 0, x);
}

#define ADD_TO_STREAM(t, y) add_to(x + (ulong)(t) * DIM + row, (y))

// Global size DIM / ROWS.
ONE_ITEM __kernel void project(__global const uchar *weights, ulong weights_at, uint cols,
	__global const int *record, __global const float *in, __global float *x)
{
	uint row = get_global_id(0) * ROWS, n = record[ROW_COUNT];
	__global const uchar *w = tiles(weights, weights_at, row, cols);

	FOR_EACH_DOT(n, w, in, cols, ADD_TO_STREAM)
}
