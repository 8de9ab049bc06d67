// SPDX-License-Identifier: Apache-2.0
// x += W . in: the attention's output projection and the feed-forward's down projection, each added
// to the residual stream.

// Global size DIM / ROWS.
ONE_ITEM __kernel void project(__global const uchar *weights, ulong weights_at, uint cols,
	__global const int *record, __global const activation *in, __global float *x)
{
	uint row = get_global_id(0) * ROWS, n = record[ROW_COUNT];
	__global const uchar *strip = strip_of(weights, weights_at, row, cols);

	for (uint t = 0, done; t < n; t += done) {
		float16 y[DOTS_MOST];

		done = next_dots(n - t, t, strip, in, cols, y);
		for (uint i = 0; i < done; i++) {
			__global float *out = x + (ulong)(t + i) * DIM + row;

			vstore16(vload16(0, out) + y[i], 0, out);
		}
	}
}
