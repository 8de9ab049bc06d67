// SPDX-License-Identifier: Apache-2.0
#include "guest/cl/argtype.h"

#include <string.h>
#include "guest/cl/dispatch.h"

static const struct {
	const char *name;
	size_t bytes;
} scalars[] = {
	{ "unsigned char", 1 },
	{ "unsigned short", 2 },
	{ "unsigned int", 4 },
	{ "unsigned long", 8 },
	{ "unsigned", 4 },
	{ "char", 1 },
	{ "uchar", 1 },
	{ "short", 2 },
	{ "ushort", 2 },
	{ "half", 2 },
	{ "int", 4 },
	{ "uint", 4 },
	{ "float", 4 },
	{ "long", 8 },
	{ "ulong", 8 },
	{ "double", 8 },
};

// A vector of three takes the room of four.
static size_t lanes(const char *suffix)
{
	static const char *const widths[] = { "", "2", "3", "4", "8", "16" };
	static const size_t takes[] = { 1, 2, 4, 4, 8, 16 };

	for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
		if (!strcmp(suffix, widths[i]))
			return takes[i];
	return 0;
}

size_t argtype_size(const char *name)
{
	for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
		size_t n = strlen(scalars[i].name);
		if (!strncmp(name, scalars[i].name, n) && lanes(name + n))
			return scalars[i].bytes * lanes(name + n);
	}
	return 0;
}

uint32_t argtype_image(const char *name)
{
	static const struct {
		const char *name;
		uint32_t type;
	} images[] = {
		{ "image1d_t", CL_MEM_OBJECT_IMAGE1D },
		{ "image1d_buffer_t", CL_MEM_OBJECT_IMAGE1D_BUFFER },
		{ "image1d_array_t", CL_MEM_OBJECT_IMAGE1D_ARRAY },
		{ "image2d_t", CL_MEM_OBJECT_IMAGE2D },
		{ "image2d_array_t", CL_MEM_OBJECT_IMAGE2D_ARRAY },
		{ "image3d_t", CL_MEM_OBJECT_IMAGE3D },
	};

	for (size_t i = 0; i < sizeof images / sizeof images[0]; i++)
		if (!strcmp(images[i].name, name))
			return images[i].type;
	return 0;
}
