// SPDX-License-Identifier: Apache-2.0
// The vectors that matrices are multiplied with, as the products read them. For f32 and f16: floats.
// For quantised weights each 32 numbers become a block of 18 ints: 16 pairs of 16-bit integers (the lower
// half is the first), the scale as a float, and the integers' sum. A number is off by at most half a
// scale, which is the block's largest magnitude / 65534: as exact as a float of 16 bits can be, and no
// error that the tests' tolerance or a text would show.

#define BLOCK_INTS 18
#define BLOCK_SCALE 16
#define BLOCK_SUM 17

#ifdef BITS
typedef int activation;
#define ACTIVATION_LENGTH(cols) ((cols) / TILE_COLS * BLOCK_INTS)
#else
typedef float activation;
#define ACTIVATION_LENGTH(cols) (cols)
#endif

static inline float largest16(float16 v)
{
	float8 a = fmax(v.lo, v.hi);
	float4 b = fmax(a.lo, a.hi);
	float2 c = fmax(b.lo, b.hi);

	return fmax(c.x, c.y);
}

static inline void put_block(__global int *block, float16 lo, float16 hi)
{
	float largest = largest16(fmax(fabs(lo), fabs(hi)));
	float scale = largest > 1e-30f ? 32767.0f / largest : 0.0f; // below, it could be infinite
	short16 a = convert_short16(rint(lo * scale)), b = convert_short16(rint(hi * scale));
	int16 both = convert_int16(a) + convert_int16(b);
	int8 sum8 = both.lo + both.hi;
	int4 sum4 = sum8.lo + sum8.hi;

	vstore8(as_int8(a), 0, block);
	vstore8(as_int8(b), 1, block);
	block[BLOCK_SCALE] = as_int(largest / 32767.0f);
	block[BLOCK_SUM] = sum4.x + sum4.y + sum4.z + sum4.w;
}

// Stores the 32 numbers from column `col` on of row `t` of vectors of `cols` numbers. `packed`: as
// blocks, for the matrix that reads them may be of another type than those of this program.
static inline void put_activation(
	__global float *out, uint packed, uint t, uint cols, uint col, float16 lo, float16 hi)
{
	ulong block = (ulong)t * (cols / TILE_COLS) + col / TILE_COLS;

	if (packed) {
		put_block((__global int *)out + block * BLOCK_INTS, lo, hi);
	} else {
		vstore16(lo, 0, out + block * TILE_COLS);
		vstore16(hi, 1, out + block * TILE_COLS);
	}
}
