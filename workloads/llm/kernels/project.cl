// SPDX-License-Identifier: Apache-2.0
// x += W . in: the attention's output projection and the feed-forward's down projection, each added
// to the residual stream. Global size DIM / ROWS.

ONE_ITEM __kernel void project(__global const weight_t *weights, ulong weights_at,
	__global const float *vectors, ulong scale_at, uint cols, __global const float *in,
	__global float *x)
{
	uint row = get_global_id(0) * ROWS;
	float4 y = dot_rows(weights + weights_at + (ulong)row * cols, in, cols);

	vstore4(vload4(0, x + row) + SCALED4(y, vectors + scale_at, row), 0, x + row);
}
