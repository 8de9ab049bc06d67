// SPDX-License-Identifier: Apache-2.0
// Cross-entropy of the batch: losses[row] = log(sum e^logit) - logit[target], in nats, and the gradient
// of the mean over rows, (softmax - one at the target) / ROWS, in the logits' place. Global size ROWS.

ONE_ITEM __kernel void loss(
	__global float *logits, __global const int *targets, __global float *losses)
{
	uint row = get_global_id(0);
	int target = targets[row];
	float16 high = -INFINITY, sum = 0.0f;

	logits += row * VOCAB;
	for (uint i = 0; i < VOCAB; i += 16)
		high = fmax(high, vload16(0, logits + i));
	float highest = max16(high), wanted = logits[target] - highest;

	for (uint i = 0; i < VOCAB; i += 16) {
		float16 e = exp(vload16(0, logits + i) - highest);

		vstore16(e, 0, logits + i);
		sum += e;
	}
	float total = sum16(sum), share = 1.0f / (total * ROWS);

	for (uint i = 0; i < VOCAB; i += 16)
		vstore16(vload16(0, logits + i) * share, 0, logits + i);
	logits[target] -= 1.0f / ROWS;
	losses[row] = log(total) - wanted;
}

// report[REPORT_LOSS] = the mean loss. Global size 1.
ONE_ITEM __kernel void mean_loss(__global const float *losses, __global float *report)
{
	float sum = 0.0f;

	for (uint row = 0; row < ROWS; row++)
		sum += losses[row];
	report[0] = sum / ROWS;
}
