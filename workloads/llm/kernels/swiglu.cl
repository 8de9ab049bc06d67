// SPDX-License-Identifier: Apache-2.0
// The gate and up projections and SwiGLU: out = silu(gate) * up, silu(g) = g / (1 + e^-g).
// The matrix holds the rows of both in turn (gate 0, up 0, gate 1, ...), so one work-item has both.

static inline float2 gated(float4 y)
{
	return y.even / (1.0f + exp(-y.even)) * y.odd;
}

#define STORE_GATED(t, y) vstore2(gated(y), 0, out + (ulong)(t) * HIDDEN + row / 2)

// Global size 2 * HIDDEN / ROWS.
ONE_ITEM __kernel void swiglu(__global const uchar *weights, ulong weights_at,
	__global const int *record, __global const float *in, __global float *out)
{
	uint row = get_global_id(0) * ROWS, n = record[ROW_COUNT];
	__global const uchar *w = tiles(weights, weights_at, row, DIM);

	FOR_EACH_DOT(n, w, in, DIM, STORE_GATED)
}
