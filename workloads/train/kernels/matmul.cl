// SPDX-License-Identifier: Apache-2.0
// The three products of a linear layer y = x W^T, W[out][in]:
//   forward   y = x . (W^T)   matmul with the transposed copy of W
//   backward  dx = dy . W     matmul with W itself
//   gradient  dW = dy^T . x   matmul_gradient, summed over all rows

#define BLOCK_ROWS 32 // rows of a work-item: its 32 columns of b stay in the nearest cache

// c[ROWS][n] = a[ROWS][k] . b[k][n], plus add[ROWS][n] if `adds`. Global size ROWS / 32 * n / 32, with
// ROWS rounded up to 32.
ONE_ITEM __kernel void matmul(__global const float *a, __global const float *b, uint n, uint k,
	__global const float *add, int adds, __global float *c)
{
	uint block = get_global_id(0) / (n / TILE_COLS), col = get_global_id(0) % (n / TILE_COLS);
	uint to = min((block + 1) * BLOCK_ROWS, (uint)ROWS);

	col *= TILE_COLS;
	for (uint row = block * BLOCK_ROWS; row < to; row += TILE_ROWS)
		tile(a + row * k, k, 1, b + col, n, k, adds ? add + row * n + col : 0,
			c + row * n + col, n);
}

// c[m][n] = a[ROWS][m]^T . b[ROWS][n]. Global size m / 8 * n / 32.
ONE_ITEM __kernel void matmul_gradient(
	__global const float *a, __global const float *b, uint m, uint n, __global float *c)
{
	uint row = get_global_id(0) / (n / TILE_COLS) * TILE_ROWS;
	uint col = get_global_id(0) % (n / TILE_COLS) * TILE_COLS;

	tile(a + row, 1, m, b + col, n, ROWS, 0, c + row * n + col, n);
}
