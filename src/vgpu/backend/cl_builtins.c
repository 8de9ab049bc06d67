// SPDX-License-Identifier: Apache-2.0
// PoCL 3.1's library of built-in functions has no image queries for 1D buffer images, which OpenCL C 1.2
// (section 6.12.14.5) wants; a kernel that calls one cannot be loaded, and the driver then aborts the process.
// To PoCL such an image is a 1D image in every respect (dev_image_t, pocl_image_types.h), so those of 1D images
// answer for it: declared again under their symbols' names.
#include "vgpu/backend/cl_builtins.h"

#include <string.h>

#define QUERY(name, symbol, access, suffix)                                                        \
	"int __attribute__((overloadable)) " name "(" access                                       \
	" image1d_buffer_t) __asm__(\"" symbol "14ocl_image1d_" suffix "\");\n"
#define QUERIES(access, suffix)                                                                    \
	QUERY("get_image_width", "_Z19_cl_get_image_width", access, suffix)                        \
	QUERY("get_image_channel_order", "_Z27_cl_get_image_channel_order", access, suffix)        \
	QUERY("get_image_channel_data_type", "_Z31_cl_get_image_channel_data_type", access, suffix)

#define READ_OR_WRITE  QUERIES("read_only", "ro") QUERIES("write_only", "wo")
#define READ_AND_WRITE QUERIES("read_write", "rw")

static const char image1d_buffer_queries[] =
	"#if defined(__IMAGE_SUPPORT__) && !defined(ferry_image1d_buffer_queries)\n"
	"#define ferry_image1d_buffer_queries\n" READ_OR_WRITE
	"#ifdef __opencl_c_read_write_images\n" READ_AND_WRITE "#endif\n"
	"#endif\n"
	"#line 1\n";

const char *cl_builtins_before(const struct be_device *device, const char *text, size_t n)
{
	static const char type[] = "image1d_buffer_t";
	bool is_pocl = strstr(device->version, "pocl") || strstr(device->version, "PoCL");

	if (!is_pocl || strncmp(device->driver, "3.1", 3) != 0)
		return "";
	return n && memmem(text, n, type, sizeof type - 1) ? image1d_buffer_queries : "";
}
