// SPDX-License-Identifier: Apache-2.0
// Starts a forward pass: advances the position, picks the token (from the prompt, or the one that
// argmax chose), loads its embedding into x, and computes the rotation of each RoPE pair once.

ONE_ITEM __kernel void embed(__global const weight_t *table, ulong table_at,
	__global const float *vectors, ulong scale_at, ulong freq_at, __global int *step,
	__global const int *prompt, __global float *x, __global float *rotation)
{
	int position = step[STEP_NEXT];
	int token = position < step[STEP_PROMPT_LEN] ? prompt[position] : step[STEP_SAMPLED];
	__global const weight_t *row = table + table_at + (ulong)token * DIM;
	float scale = SCALED1(vectors + scale_at, token);

	for (uint c = 0; c < DIM; c += 16)
		vstore16(LOAD_WEIGHTS(row + c) * scale, 0, x + c);
	for (uint i = 0; i < HEAD_DIM / 2; i++) {
		float angle = (float)position * vectors[freq_at + i];

		rotation[2 * i] = cos(angle);
		rotation[2 * i + 1] = sin(angle);
	}
	step[STEP_POSITION] = position;
	step[STEP_NEXT] = position + 1;
}
