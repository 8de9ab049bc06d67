// SPDX-License-Identifier: Apache-2.0
// The output projection of the rows that get a token. The rows beyond the vocabulary, which pad the
// matrix, can never be chosen.

static inline float16 in_vocabulary(float16 y, uint row)
{
	int16 rows = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) + (int)row;

	return select(y, (float16)(-INFINITY), rows >= (int16)(VOCAB));
}

// Global size VOCAB_ROWS / ROWS.
ONE_ITEM __kernel void logits(__global const uchar *weights, ulong weights_at,
	__global const int *record, __global const activation *in, __global float *out)
{
	uint row = get_global_id(0) * ROWS, n = record[OUT_COUNT];
	__global const uchar *strip = strip_of(weights, weights_at, row, DIM);

	for (uint t = 0, done; t < n; t += done) {
		float16 y[DOTS_MOST];

		done = next_dots(n - t, t, strip, in, DIM, y);
		for (uint i = 0; i < done; i++)
			vstore16(in_vocabulary(y[i], row), 0,
				out + (ulong)(t + i) * VOCAB_ROWS + row);
	}
}
