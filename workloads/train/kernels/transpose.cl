// SPDX-License-Identifier: Apache-2.0
// out[cols][rows] = in[rows][cols]^T. Global size rows / 16; both are multiples of 16.

ONE_ITEM __kernel void transpose(
	__global const float *in, uint rows, uint cols, __global float *out)
{
	uint row = get_global_id(0) * 16;

	for (uint c = 0; c < cols; c++) {
		float v[16];

		for (uint i = 0; i < 16; i++)
			v[i] = in[(row + i) * cols + c];
		vstore16(vload16(0, v), 0, out + c * rows + row);
	}
}
