// SPDX-License-Identifier: Apache-2.0
// Parts of the device: the host's own sub-devices.
#include "vgpu/backend/cl_backend.h"

static cl_device_id cl_device_of(struct cl_backend *b, struct be_part *part)
{
	return part ? (cl_device_id)part : b->device;
}

// clCreateSubDevices makes all parts at once; the others go again. A part stays what it is.
static cl_int pick(cl_device_id *parts, cl_uint n, uint32_t index, struct be_part **ret)
{
	for (cl_uint i = 0; i < n; i++)
		if (i != index)
			clReleaseDevice(parts[i]);
	if (index >= n)
		return CL_INVALID_VALUE;
	*ret = (struct be_part *)parts[index];
	return CL_SUCCESS;
}

// Drivers add up what they are given without a check for overflow.
static cl_int check(cl_device_id device, const struct be_partition *how)
{
	bool equally = how->kind == CL_DEVICE_PARTITION_EQUALLY;
	uint64_t total = 0;
	cl_uint have = 0;

	if (!equally && how->kind != CL_DEVICE_PARTITION_BY_COUNTS)
		return CL_INVALID_VALUE;
	clGetDeviceInfo(device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof have, &have, NULL);
	for (uint32_t i = 0; i < how->n; i++) {
		if (!how->units[i])
			return CL_INVALID_VALUE;
		total += how->units[i];
	}
	if (!total || (equally && how->n != 1))
		return CL_INVALID_VALUE;
	if (total > have)
		return equally ? CL_INVALID_VALUE : CL_INVALID_DEVICE_PARTITION_COUNT;
	return CL_SUCCESS;
}

cl_int cl_part_new(struct backend *be, struct be_part *parent, const struct be_partition *how,
	struct be_part **ret)
{
	cl_device_partition_property list[BE_PARTS_MAX + 3] = { how->kind };
	cl_device_id device = cl_device_of(cl_of(be), parent), parts[BE_PARTS_MAX];
	cl_uint n = 0;
	cl_int err = check(device, how);

	for (uint32_t i = 0; i < how->n; i++)
		list[i + 1] = how->units[i];
	if (err == CL_SUCCESS)
		err = clCreateSubDevices(device, list, 0, NULL, &n);
	if (err != CL_SUCCESS)
		return err;
	if (n > BE_PARTS_MAX)
		return CL_OUT_OF_RESOURCES;
	err = clCreateSubDevices(device, list, n, parts, NULL);
	return err == CL_SUCCESS ? pick(parts, n, how->index, ret) : err;
}

void cl_part_free(struct be_part *part)
{
	if (part)
		clReleaseDevice((cl_device_id)part);
}

cl_int cl_queue_new(struct backend *be, struct be_part *part, bool profiling, struct be_queue **ret)
{
	struct cl_backend *b = cl_of(be);
	cl_command_queue_properties properties = profiling ? CL_QUEUE_PROFILING_ENABLE : 0;
	cl_queue_properties list[] = { CL_QUEUE_PROPERTIES, properties, 0 };
	cl_int err;

	*ret = (struct be_queue *)clCreateCommandQueueWithProperties(
		b->context, cl_device_of(b, part), list, &err);
	return err;
}
