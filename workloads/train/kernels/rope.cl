// SPDX-License-Identifier: Apache-2.0
// Rotary positions (Su et al. 2021) on queries and keys, in place. Pairs are neighbours, as in the Llama
// reference and in GGUF files. rotation[CONTEXT][HEAD_DIM] holds cos, sin of each pair.

static inline void rotate_row(__global float *v, __global const float *rotation, float way)
{
	for (uint i = 0; i < Q_DIM + KV_DIM; i += 16) {
		float16 x = vload16(0, v + i), r = vload16(0, rotation + i % HEAD_DIM);
		float8 cosine = r.even, sine = r.odd * way;
		float16 y;

		y.even = x.even * cosine - x.odd * sine;
		y.odd = x.even * sine + x.odd * cosine;
		vstore16(y, 0, v + i);
	}
}

// Also writes keys and values the other way round, [sequence][KV_DIM][CONTEXT], for the products of
// attention. Global size ROWS / 8.
ONE_ITEM __kernel void rope(__global float *qkv, __global const float *rotation,
	__global float *keys, __global float *values)
{
	uint row = get_global_id(0) * 8, position = row % CONTEXT;
	uint at = row / CONTEXT * KV_DIM * CONTEXT + position;

	qkv += row * QKV_DIM;
	for (uint i = 0; i < 8; i++)
		rotate_row(qkv + i * QKV_DIM, rotation + (position + i) * HEAD_DIM, 1.0f);
	for (uint c = 0; c < KV_DIM; c++)
		for (uint i = 0; i < 8; i++) {
			keys[at + c * CONTEXT + i] = qkv[i * QKV_DIM + Q_DIM + c];
			values[at + c * CONTEXT + i] = qkv[i * QKV_DIM + Q_DIM + KV_DIM + c];
		}
}

// The gradient turns the other way. Global size ROWS.
ONE_ITEM __kernel void rope_back(__global float *dqkv, __global const float *rotation)
{
	uint row = get_global_id(0);

	rotate_row(dqkv + row * QKV_DIM, rotation + row % CONTEXT * HEAD_DIM, -1.0f);
}
