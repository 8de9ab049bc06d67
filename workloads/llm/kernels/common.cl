// SPDX-License-Identifier: Apache-2.0
// What every kernel shares: the model's shape as constants, the weights' format, the step record,
// and the dot product of a few rows with one vector.
//
// The host defines DIM, HEAD_DIM, HEADS, KV_HEADS, HIDDEN, VOCAB, CONTEXT, NORM_EPS and
// WEIGHTS_INT8 or WEIGHTS_F16, and CPU_DEVICE where that is what it is. Every kernel has work-groups of one work-item that does a fixed piece
// of work in a fixed order with 16-wide vectors: the result does not depend on how many compute
// units the device has, and a CPU device compiles one small function per kernel.

#define KV_DIM (KV_HEADS * HEAD_DIM)
#define ROWS 4 // rows of a matrix that one work-item computes; they share the loads of the vector
#define ONE_ITEM __attribute__((reqd_work_group_size(1, 1, 1)))

// Where the sequence stands. Only kernels write it, so that no argument changes from token to token.
#define STEP_NEXT 0       // position that the next token gets
#define STEP_PROMPT_LEN 1 // tokens below this position come from the prompt
#define STEP_SAMPLED 2    // the token that `argmax` chose last
#define STEP_POSITION 3   // position of the token in the forward pass now

// One weight type and how sixteen of them become floats. int8 has a scale for each row, f16 none.
#ifdef WEIGHTS_INT8
typedef char weight_t;
#define LOAD_WEIGHTS(p) convert_float16(vload16(0, (p)))
#define SCALED4(v, scales, row) ((v) * vload4(0, (scales) + (row)))
#define SCALED1(scales, row) ((scales)[row])
#else
typedef half weight_t;
#define LOAD_WEIGHTS(p) vload_half16(0, (p))
#define SCALED4(v, scales, row) (v)
#define SCALED1(scales, row) 1.0f
#endif

// Asks for the same place four rows on, once a cache line. A processor's own prefetcher and window do
// not reach far enough to hide memory behind this arithmetic: without it int8 runs at half the speed.
#ifdef CPU_DEVICE
#define FETCH(p) __builtin_prefetch((const void *)(size_t)(p), 0, 3)
#define FETCH_ROWS(w, cols, c) \
	if (((c) & (64 / sizeof(weight_t) - 1)) == 0) { \
		FETCH((w) + 4 * (cols)); \
		FETCH((w) + 5 * (cols)); \
		FETCH((w) + 6 * (cols)); \
		FETCH((w) + 7 * (cols)); \
	}
#else
#define FETCH_ROWS(w, cols, c)
#endif

static inline float sum16(float16 v)
{
	float8 a = v.lo + v.hi;
	float4 b = a.lo + a.hi;
	float2 c = b.lo + b.hi;

	return c.x + c.y;
}

// W[row..row+3] . x
static inline float4 dot_rows(__global const weight_t *w, __global const float *x, uint cols)
{
	float16 a0 = 0.0f, a1 = 0.0f, a2 = 0.0f, a3 = 0.0f;

	for (uint c = 0; c < cols; c += 16, w += 16) {
		float16 v = vload16(0, x + c);

		FETCH_ROWS(w, cols, c)
		a0 = fma(LOAD_WEIGHTS(w), v, a0);
		a1 = fma(LOAD_WEIGHTS(w + cols), v, a1);
		a2 = fma(LOAD_WEIGHTS(w + 2 * cols), v, a2);
		a3 = fma(LOAD_WEIGHTS(w + 3 * cols), v, a3);
	}
	return (float4)(sum16(a0), sum16(a1), sum16(a2), sum16(a3));
}

// W[row..row+3] . rmsnorm(x), with rmsnorm(x) = x * gain / sqrt(mean(x^2) + eps). The root is one
// factor for the whole row, so the sum of squares is gathered in the same pass over x.
static inline float4 dot_rows_normed(
	__global const weight_t *w, __global const float *x, __global const float *gain)
{
	float16 a0 = 0.0f, a1 = 0.0f, a2 = 0.0f, a3 = 0.0f, squares = 0.0f;

	for (uint c = 0; c < DIM; c += 16, w += 16) {
		float16 v = vload16(0, x + c);

		FETCH_ROWS(w, DIM, c)
		squares = fma(v, v, squares);
		v *= vload16(0, gain + c);
		a0 = fma(LOAD_WEIGHTS(w), v, a0);
		a1 = fma(LOAD_WEIGHTS(w + DIM), v, a1);
		a2 = fma(LOAD_WEIGHTS(w + 2 * DIM), v, a2);
		a3 = fma(LOAD_WEIGHTS(w + 3 * DIM), v, a3);
	}
	float4 dots = (float4)(sum16(a0), sum16(a1), sum16(a2), sum16(a3));

	return dots / sqrt(sum16(squares) / DIM + NORM_EPS);
}
