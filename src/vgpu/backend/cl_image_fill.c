// SPDX-License-Identifier: Apache-2.0
// Filling images on the host's OpenCL.
#include "vgpu/backend/cl_backend.h"

#include <math.h>
#include <string.h>

// ---- the color

// The color's channels become those of the nearest pixel, the largest or smallest where there is none (OpenCL 1.2,
// section 8.3). PoCL 3.1 takes the next one towards zero, and any for what is far outside the range. So it gets a color
// that it can only take for the right pixel: a quarter of a step beyond it, which both ways of rounding take back.
static float normalized(float v, double most, double least)
{
	double pixel = isnan(v) ? 0 : nearbyint(fmin(fmax(v * most, least), most));

	return (float)((pixel + (pixel > 0 ? 0.25 : pixel < 0 ? -0.25 : 0)) / most);
}

// The nearest half: 11 bits, fewer below 2^-14, none from 65520 on.
static float half(float v)
{
	if (!isfinite(v) || v == 0)
		return v;
	if (fabs(v) >= 65520)
		return copysignf(INFINITY, v);
	double step = ldexp(1, (ilogb(v) < -14 ? -14 : ilogb(v)) - 10);

	return (float)(nearbyint(v / step) * step);
}

static float channel(cl_channel_type type, float v)
{
	switch (type) {
	case CL_SNORM_INT8:
		return normalized(v, INT8_MAX, INT8_MIN);
	case CL_SNORM_INT16:
		return normalized(v, INT16_MAX, INT16_MIN);
	case CL_UNORM_INT8:
		return normalized(v, UINT8_MAX, 0);
	case CL_UNORM_INT16:
		return normalized(v, UINT16_MAX, 0);
	case CL_HALF_FLOAT:
		return half(v);
	default:
		return v;
	}
}

static cl_int color_for(cl_mem image, const void *color, uint32_t ret[4])
{
	cl_image_format format;
	cl_int err = clGetImageInfo(image, CL_IMAGE_FORMAT, sizeof format, &format, NULL);

	if (err != CL_SUCCESS)
		return err;
	memcpy(ret, color, 4 * sizeof *ret);
	if (format.image_channel_data_type >= CL_SIGNED_INT8 &&
		format.image_channel_data_type <= CL_UNSIGNED_INT32)
		return CL_SUCCESS;
	for (int i = 0; i < 4; i++) {
		float v;
		memcpy(&v, &ret[i], sizeof v);
		v = channel(format.image_channel_data_type, v);
		memcpy(&ret[i], &v, sizeof v);
	}
	return CL_SUCCESS;
}

// ---- the command

// PoCL 3.1 aborts in a fill on a part's queue (pocl_validate_fill_image: the part is none of the
// context's devices): so it is done on the whole device, in the part's queue's order.
static cl_int fill_elsewhere(cl_command_queue q, cl_command_queue whole, cl_mem image,
	const void *color, const size_t origin[3], const size_t region[3], cl_event *ret)
{
	cl_event before = NULL, filled = NULL;
	cl_int err = clEnqueueMarkerWithWaitList(q, 0, NULL, &before);

	if (err == CL_SUCCESS)
		err = clEnqueueFillImage(whole, image, color, origin, region, 1, &before, &filled);
	if (err == CL_SUCCESS)
		err = clFlush(whole);
	if (err == CL_SUCCESS)
		err = clEnqueueBarrierWithWaitList(q, 1, &filled, ret);
	if (before)
		clReleaseEvent(before);
	if (filled)
		clReleaseEvent(filled);
	return err;
}

cl_int cl_image_fill(struct be_queue *queue, struct be_mem *m, const void *color,
	const size_t origin[3], const size_t region[3], struct be_ticket **ret)
{
	cl_command_queue q = (cl_command_queue)queue;
	cl_device_id device = NULL, root = NULL;
	cl_context context = NULL;
	uint32_t exact[4];
	cl_int err = color_for(m->image, color, exact);

	if (err != CL_SUCCESS)
		return err;
	clGetCommandQueueInfo(q, CL_QUEUE_DEVICE, sizeof device, &device, NULL);
	clGetCommandQueueInfo(q, CL_QUEUE_CONTEXT, sizeof context, &context, NULL);
	clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof root, &root, NULL);
	if (device == root)
		return clEnqueueFillImage(
			q, m->image, exact, origin, region, 0, NULL, (cl_event *)ret);
	cl_command_queue whole = clCreateCommandQueueWithProperties(context, root, NULL, &err);
	if (err != CL_SUCCESS)
		return err;
	err = fill_elsewhere(q, whole, m->image, exact, origin, region, (cl_event *)ret);
	clReleaseCommandQueue(whole);
	return err;
}
