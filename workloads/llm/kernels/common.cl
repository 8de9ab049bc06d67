// SPDX-License-Identifier: Apache-2.0
// What every kernel shares: the model's shape as constants, the pass record, and where the weights lie.
//
// The host defines DIM, DIM_PADDING, HEAD_DIM, HEAD_PADDING, HEADS, KV_HEADS, HIDDEN, VOCAB, CONTEXT,
// CACHE_SLOTS, NORM_EPS, one of WEIGHTS_F32, WEIGHTS_F16, WEIGHTS_Q8_0 and WEIGHTS_Q4_0, and CPU_DEVICE
// where that is what it is.
// Every kernel has work-groups of one work-item that does a fixed piece of work in a fixed order with
// 16-wide vectors: the result does not depend on how many compute units the device has, nor on which
// other sequences share the pass.

#pragma OPENCL FP_CONTRACT OFF

#define Q_DIM (HEADS * HEAD_DIM)
#define KV_DIM (KV_HEADS * HEAD_DIM)
#define VOCAB_ROWS ((VOCAB + 15) / 16 * 16)
#define PAGE 16 // slots of a page of the KV cache
#define TABLE (CONTEXT / PAGE) // entries in a sequence's page table
#define ROWS 16 // rows of a matrix in a strip; a vector has a lane for each
#define ONE_ITEM __attribute__((reqd_work_group_size(1, 1, 1)))

// The record of a pass, written by the host (forward.h has the same numbers). A pass has ROW_COUNT
// rows, each one token of a sequence; OUT_COUNT of them are followed by a logits row and a token.
#define MAX_ROWS 32
#define MAX_SEQUENCES 16
#define ROW_COUNT 0
#define OUT_COUNT 1
#define ROW_TOKEN(r) (4 + (r)) // a token, or -1: the one sampled last in this sequence
#define ROW_POSITION(r) (4 + MAX_ROWS + (r))
#define ROW_SEQUENCE(r) (4 + 2 * MAX_ROWS + (r))
#define OUT_ROW(o) (4 + 3 * MAX_ROWS + (o))

// A matrix lies in strips of 16 rows, and a strip in tiles of 32 columns, one after the other, so that a
// work-item reads one stream of memory. Sixteen numbers that lie side by side belong to the sixteen rows:
// a product with a vector is a multiplication of each by the same number.
// f32 and f16: a tile is its 32 columns, each with a number a row.
// q8_0 and q4_0: a strip begins with the scales of all its tiles, 16 halves each. A tile has a block of
// weights of BITS bits a row, counted from -TILE_ZERO: some vectors of 16 ints, each int IN_INT columns of
// its row. Of these, columns 0, 2, 4 ... are the fields of the int's low half from the lowest bits up, and
// columns 1, 3, 5 ... those of its high half: what is left of (ints >> BITS * k) & FIELDS are two 16-bit
// numbers a lane, columns 2k and 2k + 1.
#define TILE_COLS 32
#if defined(WEIGHTS_Q8_0)
#define BITS 8
#define TILE_ZERO 128
#define FIELDS 0x00ff00ff
#elif defined(WEIGHTS_Q4_0)
#define BITS 4
#define TILE_ZERO 8
#define FIELDS 0x000f000f
#elif defined(WEIGHTS_F16)
#define TILE_BYTES 1024
#define TILE_COLUMN(p, c) vload_half16((c), (__global const half *)(p))
#else
#define TILE_BYTES 2048
#define TILE_COLUMN(p, c) vload16((c), (__global const float *)(p))
#endif

#ifdef BITS
#define IN_INT (32 / BITS)
#define TILE_SCALES (2 * ROWS)              // bytes
#define TILE_FIELDS (TILE_COLS * ROWS * BITS / 8) // bytes
#define TILE_BYTES (TILE_SCALES + TILE_FIELDS)
#define STRIP_SCALES(strip, tile) vload_half16((tile), (__global const half *)(strip))
#define STRIP_TILE(strip, tile, tiles) ((strip) + (tiles) * TILE_SCALES + (tile) * TILE_FIELDS)
#else
#define STRIP_TILE(strip, tile, tiles) ((strip) + (tile) * TILE_BYTES)
#endif

// Where the strip that row `row` is in begins, of a matrix with `cols` columns.
static inline __global const uchar *strip_of(
	__global const uchar *weights, ulong at, uint row, uint cols)
{
	return weights + at + (ulong)(row / ROWS) * (cols / TILE_COLS) * TILE_BYTES;
}

// One weight of a strip.
static inline float strip_weight(__global const uchar *strip, uint row, uint col, uint cols)
{
	uint tile = col / TILE_COLS, c = col % TILE_COLS, lane = row % ROWS;
	__global const uchar *p = STRIP_TILE(strip, tile, cols / TILE_COLS);

#ifdef BITS
	uint ints = ((__global const uint *)p)[c / IN_INT * ROWS + lane];
	uint field = ints >> (c % 2 * 16 + c % IN_INT / 2 * BITS) & ((1 << BITS) - 1);

	return vload_half(tile * ROWS + lane, (__global const half *)strip) *
		(float)((int)field - TILE_ZERO);
#elif defined(WEIGHTS_F16)
	return vload_half(c * ROWS + lane, (__global const half *)p);
#else
	return ((__global const float *)p)[c * ROWS + lane];
#endif
}

static inline float sum16(float16 v)
{
	float8 a = v.lo + v.hi;
	float4 b = a.lo + a.hi;
	float2 c = b.lo + b.hi;

	return c.x + c.y;
}
