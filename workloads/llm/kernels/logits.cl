// SPDX-License-Identifier: Apache-2.0
// The last rmsnorm and the output projection. Global size VOCAB / ROWS.

ONE_ITEM __kernel void logits(__global const weight_t *weights, ulong weights_at,
	__global const float *vectors, ulong scale_at, ulong gain_at, __global const float *x,
	__global float *out)
{
	uint row = get_global_id(0) * ROWS;
	float4 y = dot_rows_normed(
		weights + weights_at + (ulong)row * DIM, x, vectors + gain_at);

	vstore4(SCALED4(y, vectors + scale_at, row), 0, out + row);
}
