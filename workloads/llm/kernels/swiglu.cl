// SPDX-License-Identifier: Apache-2.0
// rmsnorm, the gate and up projections and SwiGLU: out = silu(gate) * up, silu(g) = g / (1 + e^-g).
// The matrix holds the rows of both in turn (gate 0, up 0, gate 1, ...), so one work-item has both.
// Global size 2 * HIDDEN / ROWS.

ONE_ITEM __kernel void swiglu(__global const weight_t *weights, ulong weights_at,
	__global const float *vectors, ulong scale_at, ulong gain_at, __global const float *x,
	__global float *out)
{
	uint row = get_global_id(0) * ROWS;
	float4 y = dot_rows_normed(
		weights + weights_at + (ulong)row * DIM, x, vectors + gain_at);

	y = SCALED4(y, vectors + scale_at, row);
	vstore2(y.even / (1.0f + exp(-y.even)) * y.odd, 0, out + row / 2);
}
