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
	__global const uchar *w = tiles(weights, weights_at, token, DIM);
	__global float *out = x + (ulong)r * DIM, *turn = rotation + r * HEAD_DIM;

	for (uint c = 0; c < DIM; c += TILE_COLS, w += TILE_BYTES) {
		float4 s = TILE_SCALES(w);
		float scale = token % 4 == 0 ? s.x : token % 4 == 1 ? s.y : token % 4 == 2 ? s.z : s.w;

		vstore16((TILE_LO(w, token % 4) - TILE_ZERO) * scale, 0, out + c);
		vstore16((TILE_HI(w, token % 4) - TILE_ZERO) * scale, 0, out + c + 16);
	}
	for (uint i = 0; i < HEAD_DIM / 2; i++) {
		float angle = (float)record[ROW_POSITION(r)] * vectors[freq_at + i];

		turn[2 * i] = cos(angle);
		turn[2 * i + 1] = sin(angle);
	}
}
