// SPDX-License-Identifier: Apache-2.0
// AdamW (Loshchilov and Hutter 2019) on all parameters at once, with clipping by the global norm
// (Pascanu et al. 2013). What changes from step to step comes in `rates`, so no argument does.

#define CHUNK 1024

// rates[]: what the host writes before each step.
#define RATE 0        // learning rate
#define CORRECTION1 1 // 1 / (1 - beta1^step)
#define CORRECTION2 2 // 1 / (1 - beta2^step)
#define CLIP 3        // highest norm of the gradient

// report[]: what it reads after.
#define REPORT_LOSS 0
#define REPORT_NORM 1

// Global size parameters / CHUNK.
ONE_ITEM __kernel void square_sums(__global const float *gradient, __global float *sums)
{
	uint chunk = get_global_id(0);
	float16 sum = 0.0f;

	for (uint i = 0; i < CHUNK; i += 16) {
		float16 g = vload16(0, gradient + chunk * CHUNK + i);

		sum = fma(g, g, sum);
	}
	sums[chunk] = sum16(sum);
}

// The gradient's norm before clipping. Global size 1.
ONE_ITEM __kernel void gradient_norm(
	__global const float *sums, uint chunks, __global float *report)
{
	float sum = 0.0f;

	for (uint i = 0; i < chunks; i++)
		sum += sums[i];
	report[REPORT_NORM] = sqrt(sum);
}

// Parameters from `plain` on (norm gains) do not decay. Global size parameters / CHUNK.
ONE_ITEM __kernel void adamw(__global float *parameters, __global const float *gradient,
	__global float *mean, __global float *square, __global const float *rates,
	__global const float *report, float beta1, float beta2, float epsilon, float decay,
	uint plain)
{
	uint from = get_global_id(0) * CHUNK;
	float norm = report[REPORT_NORM], rate = rates[RATE];
	float clip = norm > rates[CLIP] ? rates[CLIP] / norm : 1.0f;
	float shrink = from < plain ? 1.0f - rate * decay : 1.0f;

	for (uint i = from; i < from + CHUNK; i += 16) {
		float16 g = vload16(0, gradient + i) * clip;
		float16 m = mix(g, vload16(0, mean + i), (float16)beta1);
		float16 v = mix(g * g, vload16(0, square + i), (float16)beta2);
		float16 step = m * rates[CORRECTION1] /
			       (sqrt(v * rates[CORRECTION2]) + epsilon);

		vstore16(m, 0, mean + i);
		vstore16(v, 0, square + i);
		vstore16(vload16(0, parameters + i) * shrink - rate * step, 0, parameters + i);
	}
}
