// SPDX-License-Identifier: Apache-2.0
// The embedding: x[row] = table[token], and its gradient.

// Global size ROWS.
ONE_ITEM __kernel void embed(
	__global const float *table, __global const int *tokens, __global float *x)
{
	uint row = get_global_id(0);

	for (uint c = 0; c < DIM; c += 16)
		vstore16(vload16(0, table + tokens[row] * DIM + c), 0, x + row * DIM + c);
}

// Adds to each row of the table's gradient (which holds the output layer's: the table is shared) the
// gradients of the places where its token stands, in their order. Global size VOCAB / 16.
ONE_ITEM __kernel void embed_gradient(
	__global const float *dx, __global const int *tokens, __global float *dtable)
{
	int first = get_global_id(0) * 16;

	for (uint row = 0; row < ROWS; row++) {
		int token = tokens[row];

		if (token < first || token >= first + 16)
			continue;
		for (uint c = 0; c < DIM; c += 16)
			vstore16(vload16(0, dtable + token * DIM + c) +
					vload16(0, dx + row * DIM + c),
				0, dtable + token * DIM + c);
	}
}
