// SPDX-License-Identifier: Apache-2.0
// Starts a pass: picks each row's token (from the record, or the one that argmax chose last), loads its
// embedding into x, and computes the rotation of each RoPE pair once.

// Global size: the rows of the pass.
ONE_ITEM __kernel void embed(__global const uchar *weights, ulong weights_at,
	__global const float *vectors, ulong freq_at, __global const int *record,
	__global const int *sampled, __global float *x, __global float *rotation)
{
	uint r = get_global_id(0);
	int chosen = record[ROW_TOKEN(r)];
	uint token = chosen >= 0 ? chosen : sampled[record[ROW_SEQUENCE(r)]];
	__global const uchar *strip = strip_of(weights, weights_at, token, DIM);
	__global float *out = x + (ulong)r * DIM, *turn = rotation + r * HEAD_DIM;

	for (uint c = 0; c < DIM; c++)
		out[c] = strip_weight(strip, token, c, DIM);
	for (uint i = 0; i < HEAD_DIM / 2; i++) {
		float angle = (float)record[ROW_POSITION(r)] * vectors[freq_at + i];

		turn[2 * i] = cos(angle);
		turn[2 * i + 1] = sin(angle);
	}
}
