// SPDX-License-Identifier: Apache-2.0
#include "byte_code.h"

uint32_t code_of_byte(unsigned byte)
{
	unsigned n = 0;

	if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173))
		return byte;
	for (unsigned b = 0; b < byte; b++)
		n += !((b >= 33 && b <= 126) || (b >= 161 && b != 173));
	return 256 + n;
}

int byte_of_code(uint32_t code)
{
	static const unsigned char others[] = { 127, 128, 129, 130, 131, 132, 133, 134, 135, 136,
		137, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147, 148, 149, 150, 151, 152, 153,
		154, 155, 156, 157, 158, 159, 160, 173 };

	if (code < 256)
		return (int)code;
	if (code < 256 + 33)
		return (int)code - 256;
	return code < 256 + 33 + sizeof others ? others[code - 256 - 33] : -1;
}
