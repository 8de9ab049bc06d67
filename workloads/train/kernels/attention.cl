// SPDX-License-Identifier: Apache-2.0
// Causal grouped-query attention, eight queries of one head to a work-item: scores = q k^T / sqrt(d),
// p = softmax(scores), out = p v. p[BATCH * HEADS][CONTEXT][CONTEXT] is kept for the way back; what
// lies right of the diagonal is zero as far as a product reads it, and undefined beyond.

#define QUERIES TILE_ROWS
#define INV_SQRT_D rsqrt((float)HEAD_DIM)

static inline float16 lanes(uint first)
{
	return (float16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) + (float)first;
}

// Softmax of p[0..position], zeros up to `width` (a multiple of 16).
static inline void softmax_row(__global float *p, uint position, uint width)
{
	float16 high = -INFINITY, sum = 0.0f;

	for (uint j = 0; j < width; j += 16) {
		float16 s = vload16(0, p + j) * INV_SQRT_D;

		s = select((float16)-INFINITY, s, lanes(j) <= (float)position);
		vstore16(s, 0, p + j);
		high = fmax(high, s);
	}
	float highest = max16(high);

	for (uint j = 0; j < width; j += 16) {
		float16 e = exp(vload16(0, p + j) - highest);

		vstore16(e, 0, p + j);
		sum += e;
	}
	float share = 1.0f / sum16(sum);

	for (uint j = 0; j < width; j += 16)
		vstore16(vload16(0, p + j) * share, 0, p + j);
}

// Global size BATCH * HEADS * CONTEXT / 8.
ONE_ITEM __kernel void attention(__global const float *qkv, __global const float *keys,
	__global float *p, __global float *out)
{
	uint first = get_global_id(0) % (CONTEXT / QUERIES) * QUERIES;
	uint head = get_global_id(0) / (CONTEXT / QUERIES) % HEADS;
	uint sequence = get_global_id(0) / (CONTEXT / QUERIES) / HEADS;
	uint filled = first + QUERIES, width = min((filled + 31) / 32 * 32, (uint)CONTEXT);
	uint kv = head / GROUP * HEAD_DIM;

	qkv += sequence * CONTEXT * QKV_DIM;
	keys += (sequence * KV_DIM + kv) * CONTEXT;
	p += ((sequence * HEADS + head) * CONTEXT + first) * CONTEXT;
	out += (sequence * CONTEXT + first) * Q_DIM + head * HEAD_DIM;
	for (uint j = 0; j < width; j += TILE_COLS)
		tile(qkv + first * QKV_DIM + head * HEAD_DIM, QKV_DIM, 1, keys + j, CONTEXT,
			HEAD_DIM, 0, p + j, CONTEXT);
	for (uint i = 0; i < QUERIES; i++)
		softmax_row(p + i * CONTEXT, first + i, width);
	for (uint c = 0; c < HEAD_DIM; c += TILE_COLS)
		tile(p, CONTEXT, 1, qkv + Q_DIM + KV_DIM + kv + c, QKV_DIM, filled, 0, out + c,
			Q_DIM);
}
