// SPDX-License-Identifier: Apache-2.0
// The gate and up projections and SwiGLU: out = silu(gate) * up, silu(g) = g / (1 + e^-g).
// The matrix holds the rows of both in turn (gate 0, up 0, gate 1, ...), so one work-item has both; it has
// as many strips as give 32 numbers.

#define GATED_STRIPS 4

static inline float8 gated(float16 y)
{
	return y.even / (1.0f + exp(-y.even)) * y.odd;
}

// Global size HIDDEN / 32. `packed`: how the down projection reads them (activation.cl).
ONE_ITEM __kernel void swiglu(__global const uchar *weights, ulong weights_at,
	__global const int *record, __global const activation *in, uint packed, __global float *out)
{
	uint col = get_global_id(0) * TILE_COLS, n = record[ROW_COUNT];

	for (uint t = 0, done; t < n; t += done) {
		float16 y[GATED_STRIPS][DOTS_MOST];

		for (uint i = 0; i < GATED_STRIPS; i++)
			done = next_dots(n - t, t,
				strip_of(weights, weights_at, 2 * col + i * ROWS, DIM), in, DIM,
				y[i]);
		for (uint i = 0; i < done; i++)
			put_activation(out, packed, t + i, HIDDEN, col,
				(float16)(gated(y[0][i]), gated(y[1][i])),
				(float16)(gated(y[2][i]), gated(y[3][i])));
	}
}
