// SPDX-License-Identifier: Apache-2.0
// Greedy sampling: the lowest token id with the highest logit; 0 where no logit is a number.

// Global size: the outputs of the pass. Writes the token of each output's sequence.
ONE_ITEM __kernel void argmax(
	__global const float *logit, __global const int *record, __global int *sampled)
{
	uint o = get_global_id(0);
	__global const float *mine = logit + (ulong)o * VOCAB_ROWS;
	float16 best16 = -INFINITY;
	int token = 0;

	for (uint i = 0; i < VOCAB_ROWS; i += 16)
		best16 = fmax(best16, vload16(0, mine + i));
	float8 best8 = fmax(best16.lo, best16.hi);
	float4 best4 = fmax(best8.lo, best8.hi);
	float best = fmax(fmax(best4.x, best4.y), fmax(best4.z, best4.w));

	for (int i = VOCAB - 1; i >= 0; i--)
		token = mine[i] == best ? i : token;
	sampled[record[ROW_SEQUENCE(record[OUT_ROW(o)])]] = token;
}
