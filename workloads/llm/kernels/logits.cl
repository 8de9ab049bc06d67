// SPDX-License-Identifier: Apache-2.0
// The output projection of the rows that get a token. The rows beyond the vocabulary, which pad the
// matrix, can never be chosen.

static inline float4 in_vocabulary(float4 y, uint row)
{
	int4 beyond = (int4)(row, row + 1, row + 2, row + 3) >= (int4)(VOCAB);

	return select(y, (float4)(-INFINITY), beyond);
}

#define STORE_LOGITS(t, y) vstore4(in_vocabulary((y), row), 0, out + (ulong)(t) * VOCAB_ROWS + row)

// Global size VOCAB_ROWS / ROWS.
ONE_ITEM __kernel void logits(__global const uchar *weights, ulong weights_at,
	__global const int *record, __global const float *in, __global float *out)
{
	uint row = get_global_id(0) * ROWS, n = record[OUT_COUNT];
	__global const uchar *w = tiles(weights, weights_at, row, DIM);

	FOR_EACH_DOT(n, w, in, DIM, STORE_LOGITS)
}
