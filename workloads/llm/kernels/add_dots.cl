// SPDX-License-Identifier: Apache-2.0
// The step that products with quantised weights are made of: in each lane the dot product of two pairs of
// 16-bit numbers, added to a 32-bit sum. It wraps around, but no caller's numbers come near that.
// OpenCL C has no name for it before cl_khr_integer_dot_product, and compilers do not find the instruction
// that processors have for it in plain C; so where there is one it is named. Both give the same numbers.

#if defined(__AVX512BW__) && !defined(PLAIN_C)

typedef short add_dots_shorts __attribute__((vector_size(64)));

// Intel's VPMADDWD.
static inline int16 add_dots(int16 sum, int16 a, int b)
{
	return sum + __builtin_astype(__builtin_ia32_pmaddwd512(
					      __builtin_astype(a, add_dots_shorts),
					      __builtin_astype((int16)b, add_dots_shorts)),
			     int16);
}

#else

static inline int16 add_dots(int16 sum, int16 a, int b)
{
	return sum + (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
}

#endif
