// SPDX-License-Identifier: Apache-2.0
// A pure read, the yardstick for the forward pass: each work-item sums READ_BYTES and writes one
// number. Global size bytes / READ_BYTES.

#define READ_BYTES 16384

ONE_ITEM __kernel void readband(__global const int *data, __global int *sums)
{
	__global const int *p = data + get_global_id(0) * (READ_BYTES / 4);
	int16 a = 0, b = 0, c = 0, d = 0;

	for (uint i = 0; i < READ_BYTES / 4; i += 64) {
		a += vload16(0, p + i);
		b += vload16(0, p + i + 16);
		c += vload16(0, p + i + 32);
		d += vload16(0, p + i + 48);
	}
	a += b + c + d;
	int8 e = a.lo + a.hi;
	int4 f = e.lo + e.hi;

	sums[get_global_id(0)] = f.x + f.y + f.z + f.w;
}
