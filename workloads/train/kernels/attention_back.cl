// SPDX-License-Identifier: Apache-2.0
// The way back through attention. With dp = dout v^T: dscores = p * (dp - sum_j p dp) / sqrt(d), then
// dq = dscores k, dk = dscores^T q, dv = p^T dout, the last two summed over the heads of a group.

// dscores and dq of eight queries of one head. Global size BATCH * HEADS * CONTEXT / 8.
ONE_ITEM __kernel void attention_back_queries(__global const float *qkv,
	__global const float *values, __global const float *p, __global const float *dout,
	__global float *dscores, __global float *dqkv)
{
	uint first = get_global_id(0) % (CONTEXT / QUERIES) * QUERIES;
	uint head = get_global_id(0) / (CONTEXT / QUERIES) % HEADS;
	uint sequence = get_global_id(0) / (CONTEXT / QUERIES) / HEADS;
	uint filled = first + QUERIES, width = min((filled + 31) / 32 * 32, (uint)CONTEXT);
	uint kv = head / GROUP * HEAD_DIM, row = sequence * CONTEXT + first;

	values += (sequence * KV_DIM + kv) * CONTEXT;
	p += ((sequence * HEADS + head) * CONTEXT + first) * CONTEXT;
	dscores += ((sequence * HEADS + head) * CONTEXT + first) * CONTEXT;
	for (uint j = 0; j < width; j += TILE_COLS)
		tile(dout + row * Q_DIM + head * HEAD_DIM, Q_DIM, 1, values + j, CONTEXT, HEAD_DIM,
			0, dscores + j, CONTEXT);
	for (uint i = 0; i < QUERIES; i++) {
		__global const float *pi = p + i * CONTEXT;
		__global float *di = dscores + i * CONTEXT;
		float16 along = 0.0f;

		for (uint j = 0; j < width; j += 16)
			along = fma(vload16(0, pi + j), vload16(0, di + j), along);
		float mean = sum16(along);

		for (uint j = 0; j < width; j += 16)
			vstore16(vload16(0, pi + j) * (vload16(0, di + j) - mean) * INV_SQRT_D, 0,
				di + j);
	}
	qkv += sequence * CONTEXT * QKV_DIM + Q_DIM + kv;
	for (uint c = 0; c < HEAD_DIM; c += TILE_COLS)
		tile(dscores, CONTEXT, 1, qkv + c, QKV_DIM, filled, 0,
			dqkv + row * QKV_DIM + head * HEAD_DIM + c, QKV_DIM);
}

// dk and dv of eight positions of one key head. Global size BATCH * KV_HEADS * CONTEXT / 8.
ONE_ITEM __kernel void attention_back_keys(__global const float *qkv, __global const float *p,
	__global const float *dout, __global const float *dscores, __global float *dqkv)
{
	uint first = get_global_id(0) % (CONTEXT / QUERIES) * QUERIES;
	uint kv_head = get_global_id(0) / (CONTEXT / QUERIES) % KV_HEADS;
	uint sequence = get_global_id(0) / (CONTEXT / QUERIES) / KV_HEADS;
	uint row = sequence * CONTEXT + first, n = CONTEXT - first;

	dqkv += row * QKV_DIM + Q_DIM + kv_head * HEAD_DIM;
	for (uint g = 0; g < GROUP; g++) {
		uint head = kv_head * GROUP + g;
		uint at = ((sequence * HEADS + head) * CONTEXT + first) * CONTEXT + first;

		for (uint c = 0; c < HEAD_DIM; c += TILE_COLS) {
			__global float *dk = dqkv + c, *dv = dqkv + KV_DIM + c;

			tile(dscores + at, 1, CONTEXT,
				qkv + row * QKV_DIM + head * HEAD_DIM + c, QKV_DIM, n, g ? dk : 0,
				dk, QKV_DIM);
			tile(p + at, 1, CONTEXT, dout + row * Q_DIM + head * HEAD_DIM + c, Q_DIM, n,
				g ? dv : 0, dv, QKV_DIM);
		}
	}
}
