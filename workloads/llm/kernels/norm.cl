// SPDX-License-Identifier: Apache-2.0
// rmsnorm: out = x * gain / sqrt(mean(x^2) + eps), a row of the residual stream a work-item. `packed`: how
// the matrix behind it reads the result (activation.cl).

static inline void norm_row(__global const float *x, __global const float *gain, uint packed,
	uint to, __global float *out)
{
	float16 squares = 0.0f;

	for (uint c = 0; c < DIM; c += 16) {
		float16 v = vload16(0, x + c);

		squares = fma(v, v, squares);
	}
	float scale = 1.0f / sqrt(sum16(squares) / (DIM - DIM_PADDING) + NORM_EPS);

	for (uint c = 0; c < DIM; c += TILE_COLS)
		put_activation(out, packed, to, DIM, c, vload16(0, x + c) * scale * vload16(0, gain + c),
			vload16(1, x + c) * scale * vload16(1, gain + c));
}

// Global size: the rows of the pass.
ONE_ITEM __kernel void norm(__global const float *vectors, ulong gain_at, __global const float *x,
	uint packed, __global float *out)
{
	uint r = get_global_id(0);

	norm_row(x + (ulong)r * DIM, vectors + gain_at, packed, r, out);
}

// Only the rows that get logits, packed. Global size: the outputs of the pass.
ONE_ITEM __kernel void norm_outputs(__global const float *vectors, ulong gain_at,
	__global const int *record, __global const float *x, uint packed, __global float *out)
{
	uint o = get_global_id(0);

	norm_row(x + (ulong)record[OUT_ROW(o)] * DIM, vectors + gain_at, packed, o, out);
}
