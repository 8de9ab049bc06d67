// SPDX-License-Identifier: Apache-2.0
// RMSNorm (Zhang and Sennrich 2019): y = gain * x * r, r = 1 / sqrt(mean(x^2) + eps).

// Global size ROWS. scale[row] = r is kept for the way back.
ONE_ITEM __kernel void norm(__global const float *x, __global const float *gain,
	__global float *y, __global float *scale)
{
	uint row = get_global_id(0);
	float16 squares = 0.0f;

	x += row * DIM;
	y += row * DIM;
	for (uint c = 0; c < DIM; c += 16)
		squares = fma(vload16(0, x + c), vload16(0, x + c), squares);
	float r = 1.0f / sqrt(sum16(squares) / DIM + NORM_EPS);

	for (uint c = 0; c < DIM; c += 16)
		vstore16(vload16(0, x + c) * vload16(0, gain + c) * r, 0, y + c);
	scale[row] = r;
}

// dx = into + r * (gain * dy) - x * r^3 * mean(gain * dy * x): the norm's gradient is added to that of
// the residual stream that goes past it, if `adds`. Global size ROWS.
ONE_ITEM __kernel void norm_back(__global const float *x, __global const float *gain,
	__global const float *scale, __global const float *dy, int adds, __global float *dx)
{
	uint row = get_global_id(0);
	float16 along = 0.0f;
	float r = scale[row];

	x += row * DIM;
	dy += row * DIM;
	dx += row * DIM;
	for (uint c = 0; c < DIM; c += 16)
		along = fma(vload16(0, gain + c) * vload16(0, dy + c), vload16(0, x + c), along);
	float shrink = sum16(along) * r * r * r / DIM;

	for (uint c = 0; c < DIM; c += 16) {
		float16 d = vload16(0, gain + c) * vload16(0, dy + c) * r -
			    vload16(0, x + c) * shrink;

		vstore16(adds ? vload16(0, dx + c) + d : d, 0, dx + c);
	}
}

// dgain = sum over rows of dy * x * r. Global size DIM / 16.
ONE_ITEM __kernel void norm_gradient(__global const float *x, __global const float *scale,
	__global const float *dy, __global float *dgain)
{
	uint c = get_global_id(0) * 16;
	float16 sum = 0.0f;

	for (uint row = 0; row < ROWS; row++)
		sum = fma(vload16(0, dy + row * DIM + c) * scale[row],
			vload16(0, x + row * DIM + c), sum);
	vstore16(sum, 0, dgain + c);
}
