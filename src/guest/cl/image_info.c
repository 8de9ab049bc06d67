// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 5.3.2 (supported formats) and 5.3.7 (image queries).
#include "guest/cl/image.h"

#include "base/cleanup.h"
#include "guest/cl/info.h"
#include "guest/cl/memory.h"
#include "guest/stream/hello.h"
#include "guest/stream/session.h"

cl_int image_check(cl_mem m, cl_context c)
{
	cl_int err = mem_check(m, c);

	return err || m->type != CL_MEM_OBJECT_BUFFER ? err : CL_INVALID_MEM_OBJECT;
}

// A list of its own for the flags, where the host sent one, else that for CL_MEM_READ_WRITE.
const uint8_t *image_formats(cl_mem_flags flags, cl_mem_object_type type, size_t *ret_n)
{
	uint32_t kind = flags & CL_MEM_WRITE_ONLY              ? PROTO_INFO_FORMATS_WRITE
			: flags & CL_MEM_READ_ONLY             ? PROTO_INFO_FORMATS_READ
			: flags & CL_MEM_KERNEL_READ_AND_WRITE ? PROTO_INFO_FORMATS_BOTH
							       : PROTO_INFO_FORMATS;
	size_t n = 0;
	const uint8_t *at = hello_info(kind, type, &n);

	if (!at)
		at = hello_info(PROTO_INFO_FORMATS, type, &n);
	*ret_n = at ? n / 8 : 0;
	return at;
}

cl_int ferry_clGetSupportedImageFormats(cl_context c, cl_mem_flags flags, cl_mem_object_type type,
	cl_uint n, cl_image_format *formats, cl_uint *n_ret)
{
	const cl_mem_flags not_for_creation =
		CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR | CL_MEM_KERNEL_READ_AND_WRITE;
	LOCKED;
	cl_int err = object_check(c, &context_class);
	size_t count = 0;

	if (!err)
		err = mem_check_flags(flags & ~not_for_creation, false);
	if (!err && (!image_type_is_known(type) || (!n && formats)))
		err = CL_INVALID_VALUE;
	if (err)
		return err;
	const uint8_t *at = image_formats(flags, type, &count);
	struct rd r = rd_make(at, count * 8);
	for (size_t i = 0; formats && i < count && i < n; i++) {
		formats[i].image_channel_order = rd_u32(&r);
		formats[i].image_channel_data_type = rd_u32(&r);
	}
	if (n_ret)
		*n_ret = (cl_uint)count;
	return CL_SUCCESS;
}

cl_int ferry_clGetImageInfo(
	cl_mem m, cl_image_info param, size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_IMAGE_FORMAT, struct _cl_mem, image.format),
		INFO_OF(CL_IMAGE_ELEMENT_SIZE, struct _cl_mem, image.pixel),
		INFO_OF(CL_IMAGE_ROW_PITCH, struct _cl_mem, image.row_pitch),
		INFO_OF(CL_IMAGE_SLICE_PITCH, struct _cl_mem, image.slice_pitch),
		INFO_OF(CL_IMAGE_WIDTH, struct _cl_mem, image.width),
		INFO_OF(CL_IMAGE_HEIGHT, struct _cl_mem, image.height),
		INFO_OF(CL_IMAGE_DEPTH, struct _cl_mem, image.depth),
		INFO_OF(CL_IMAGE_ARRAY_SIZE, struct _cl_mem, image.array_size),
		INFO_OF(CL_IMAGE_BUFFER, struct _cl_mem, parent),
		INFO_OF(CL_IMAGE_NUM_MIP_LEVELS, struct _cl_mem, image.mip_levels),
		INFO_OF(CL_IMAGE_NUM_SAMPLES, struct _cl_mem, image.samples),
	};
	LOCKED;
	cl_int err = object_check(m, &mem_class);

	if (err)
		return err;
	if (m->type == CL_MEM_OBJECT_BUFFER)
		return CL_INVALID_MEM_OBJECT;
	return info_get(rows, ARRAY_SIZE(rows), m, param, size, value, size_ret);
}
