// SPDX-License-Identifier: Apache-2.0
// Greedy sampling: the lowest token id with the highest logit; 0 where no logit is a number.
// The host reads back STEP_SAMPLED and nothing else. Global size 1.

ONE_ITEM __kernel void argmax(__global const float *logit, __global int *step)
{
	float16 best16 = -INFINITY;
	int token = 0;

	for (uint i = 0; i < VOCAB; i += 16)
		best16 = fmax(best16, vload16(0, logit + i));
	float8 best8 = fmax(best16.lo, best16.hi);
	float4 best4 = fmax(best8.lo, best8.hi);
	float best = fmax(fmax(best4.x, best4.y), fmax(best4.z, best4.w));

	for (int i = VOCAB - 1; i >= 0; i--)
		token = logit[i] == best ? i : token;
	step[STEP_SAMPLED] = token;
}
