// SPDX-License-Identifier: Apache-2.0
// SwiGLU (Shazeer 2020): h = silu(gate) * up, silu(g) = g * s, s = 1 / (1 + e^-g).
// A row of `both` is HIDDEN gates, then HIDDEN ups. Global size ROWS.

ONE_ITEM __kernel void swiglu(__global const float *both, __global float *h)
{
	uint row = get_global_id(0);

	both += row * 2 * HIDDEN;
	for (uint c = 0; c < HIDDEN; c += 16) {
		float16 g = vload16(0, both + c), up = vload16(0, both + HIDDEN + c);

		vstore16(g / (1.0f + exp(-g)) * up, 0, h + row * HIDDEN + c);
	}
}

// dup = dh * g * s; dgate = dh * up * s * (1 + g * (1 - s)).
ONE_ITEM __kernel void swiglu_back(
	__global const float *both, __global const float *dh, __global float *dboth)
{
	uint row = get_global_id(0);

	both += row * 2 * HIDDEN;
	dboth += row * 2 * HIDDEN;
	for (uint c = 0; c < HIDDEN; c += 16) {
		float16 g = vload16(0, both + c), up = vload16(0, both + HIDDEN + c);
		float16 s = 1.0f / (1.0f + exp(-g)), d = vload16(0, dh + row * HIDDEN + c);

		vstore16(d * up * s * (1.0f + g * (1.0f - s)), 0, dboth + c);
		vstore16(d * g * s, 0, dboth + HIDDEN + c);
	}
}
