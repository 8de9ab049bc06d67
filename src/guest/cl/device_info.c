// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 4.2: the root device, and what is known of devices. Every constant answer came with the
// host's hello.
#include "guest/cl/device.h"
#include "guest/cl/info.h"
#include "guest/cl/svm.h"

#include <string.h>
#include "base/cleanup.h"
#include "guest/stream/hello.h"
#include "guest/stream/session.h"

struct _cl_device_id the_device = {
	.o = { .dispatch = &ferry_dispatch, .class = &device_class, .users = 1, .refs = 1 }
};

// ---- limits

static void read_limit(cl_device_info param, void *to, size_t bytes)
{
	size_t n = 0;
	const uint8_t *at = hello_info(PROTO_INFO_DEVICE, param, &n);

	if (at && n == bytes)
		memcpy(to, at, n);
}

static void read_partitions(struct device_limits *l)
{
	size_t n = 0;
	const uint8_t *at = hello_info(PROTO_INFO_DEVICE, CL_DEVICE_PARTITION_PROPERTIES, &n);

	if (!at || n > sizeof l->partitions)
		return;
	memcpy(l->partitions, at, n);
	l->n_partitions = n / sizeof l->partitions[0];
}

// A device older than OpenCL 3.0 has no list; it is one of 1.2 then.
static void read_languages(struct device_limits *l)
{
	static const cl_name_version old[] = { { CL_MAKE_VERSION(1, 0, 0), "" },
		{ CL_MAKE_VERSION(1, 1, 0), "" }, { CL_MAKE_VERSION(1, 2, 0), "" } };
	size_t n = 0;
	const uint8_t *at = hello_info(PROTO_INFO_DEVICE, CL_DEVICE_OPENCL_C_ALL_VERSIONS, &n);

	if (!at || n > sizeof l->languages) {
		at = (const uint8_t *)old;
		n = sizeof old;
	}
	memcpy(l->languages, at, n);
	l->n_languages = n / sizeof l->languages[0];
}

const struct device_limits *device_limits(void)
{
	static struct device_limits l;

	if (l.dimensions)
		return &l;
	l.dimensions = 3;
	l.base_align_bits = 1024;
	read_limit(CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS, &l.dimensions, sizeof l.dimensions);
	read_limit(CL_DEVICE_MAX_WORK_ITEM_SIZES, l.item_sizes, sizeof l.item_sizes);
	read_limit(CL_DEVICE_MAX_WORK_GROUP_SIZE, &l.group_size, sizeof l.group_size);
	read_limit(CL_DEVICE_MAX_MEM_ALLOC_SIZE, &l.alloc_bytes, sizeof l.alloc_bytes);
	read_limit(CL_DEVICE_GLOBAL_MEM_SIZE, &l.memory_bytes, sizeof l.memory_bytes);
	read_limit(CL_DEVICE_LOCAL_MEM_SIZE, &l.local_bytes, sizeof l.local_bytes);
	read_limit(CL_DEVICE_MEM_BASE_ADDR_ALIGN, &l.base_align_bits, sizeof l.base_align_bits);
	read_limit(CL_DEVICE_MAX_PARAMETER_SIZE, &l.parameter_bytes, sizeof l.parameter_bytes);
	read_limit(CL_DEVICE_QUEUE_PROPERTIES, &l.queue_properties, sizeof l.queue_properties);
	read_limit(CL_DEVICE_MAX_COMPUTE_UNITS, &l.units, sizeof l.units);
	read_limit(CL_DEVICE_PARTITION_MAX_SUB_DEVICES, &l.parts, sizeof l.parts);
	read_partitions(&l);
	read_limit(CL_DEVICE_NUMERIC_VERSION, &l.version, sizeof l.version);
	read_languages(&l);
	read_limit(CL_DEVICE_IMAGE_SUPPORT, &l.images, sizeof l.images);
	read_limit(CL_DEVICE_IMAGE2D_MAX_WIDTH, &l.image2d[0], sizeof l.image2d[0]);
	read_limit(CL_DEVICE_IMAGE2D_MAX_HEIGHT, &l.image2d[1], sizeof l.image2d[1]);
	read_limit(CL_DEVICE_IMAGE3D_MAX_WIDTH, &l.image3d[0], sizeof l.image3d[0]);
	read_limit(CL_DEVICE_IMAGE3D_MAX_HEIGHT, &l.image3d[1], sizeof l.image3d[1]);
	read_limit(CL_DEVICE_IMAGE3D_MAX_DEPTH, &l.image3d[2], sizeof l.image3d[2]);
	read_limit(CL_DEVICE_IMAGE_MAX_BUFFER_SIZE, &l.image_pixels, sizeof l.image_pixels);
	read_limit(CL_DEVICE_IMAGE_MAX_ARRAY_SIZE, &l.image_array, sizeof l.image_array);
	return &l;
}

cl_uint device_units(cl_device_id d)
{
	return d->parent ? d->units : device_limits()->units;
}

cl_uint device_parts(cl_device_id d)
{
	if (!d->parent)
		return device_limits()->parts;
	return d->units > 1 ? d->units : 0;
}

// ---- the calls

cl_int host_info(uint32_t kind, cl_uint param, size_t size, void *value, size_t *size_ret)
{
	size_t n = 0;
	const uint8_t *at = hello_info(kind, param, &n);

	return at ? info_value(at, n, size, value, size_ret) : CL_INVALID_VALUE;
}

static cl_device_type device_type(void)
{
	cl_device_type type = CL_DEVICE_TYPE_GPU;

	read_limit(CL_DEVICE_TYPE, &type, sizeof type);
	return type | CL_DEVICE_TYPE_DEFAULT;
}

cl_int ferry_clGetDeviceIDs(
	cl_platform_id p, cl_device_type type, cl_uint n, cl_device_id *devices, cl_uint *n_ret)
{
	const cl_device_type known = CL_DEVICE_TYPE_DEFAULT | CL_DEVICE_TYPE_CPU |
				     CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR |
				     CL_DEVICE_TYPE_CUSTOM;
	LOCKED;

	if (p && p != &the_platform)
		return CL_INVALID_PLATFORM;
	if (type != CL_DEVICE_TYPE_ALL && (!type || type & ~known))
		return CL_INVALID_DEVICE_TYPE;
	if ((devices && !n) || (!devices && !n_ret))
		return CL_INVALID_VALUE;
	if (!(type & device_type())) {
		if (n_ret)
			*n_ret = 0;
		return CL_DEVICE_NOT_FOUND;
	}
	if (devices)
		devices[0] = &the_device;
	if (n_ret)
		*n_ret = 1;
	return CL_SUCCESS;
}

// What is a fact about this library rather than about the device.
static const struct {
	cl_platform_id platform;
	cl_device_affinity_domain no_domain;
	cl_device_exec_capabilities kernels;
	char *nothing;
} ours = { &the_platform, 0, CL_EXEC_KERNEL | CL_EXEC_NATIVE_KERNEL, NULL };

#define OURS(param, field)                                                                         \
	{                                                                                          \
		param, INFO_FIELD, offsetof(__typeof__(ours), field), sizeof ours.field            \
	}

// What a sub-device does not have in common with the device; true when it was answered.
static bool partition_info(cl_device_id d, cl_device_info param, size_t size, void *value,
	size_t *size_ret, cl_int *ret)
{
	static const cl_device_partition_property none = 0;
	cl_uint units = device_units(d), parts = device_parts(d);

	switch (param) {
	case CL_DEVICE_PARENT_DEVICE:
		*ret = info_value(&d->parent, sizeof d->parent, size, value, size_ret);
		return true;
	case CL_DEVICE_REFERENCE_COUNT:
		*ret = info_value(&d->o.users, sizeof d->o.users, size, value, size_ret);
		return true;
	case CL_DEVICE_MAX_COMPUTE_UNITS:
		*ret = info_value(&units, sizeof units, size, value, size_ret);
		return true;
	case CL_DEVICE_PARTITION_MAX_SUB_DEVICES:
		*ret = info_value(&parts, sizeof parts, size, value, size_ret);
		return true;
	case CL_DEVICE_PARTITION_PROPERTIES:
		*ret = parts ? info_value(device_limits()->partitions,
				       device_limits()->n_partitions * sizeof none, size, value,
				       size_ret)
			     : info_value(&none, sizeof none, size, value, size_ret);
		return true;
	case CL_DEVICE_PARTITION_TYPE:
		*ret = d->parent
			       ? info_value(d->partition, d->partition_bytes, size, value, size_ret)
			       : info_value(&none, sizeof none, size, value, size_ret);
		return true;
	default:
		return false;
	}
}

static bool is_answered(cl_device_info param)
{
	size_t n;

	return hello_info(PROTO_INFO_DEVICE, param, &n);
}

cl_int ferry_clGetDeviceInfo(
	cl_device_id d, cl_device_info param, size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		OURS(CL_DEVICE_PLATFORM, platform),
		OURS(CL_DEVICE_PARTITION_AFFINITY_DOMAIN, no_domain),
		OURS(CL_DEVICE_EXECUTION_CAPABILITIES, kernels),
		{ CL_DEVICE_BUILT_IN_KERNELS, INFO_STRING, offsetof(__typeof__(ours), nothing), 0 },
	};
	LOCKED;
	cl_int err = object_check(d, &device_class);

	if (err && err != session.lost)
		return err;
	if (param == CL_DEVICE_AVAILABLE) {
		cl_bool available = !session.lost;
		return info_value(&available, sizeof available, size, value, size_ret);
	}
	if (partition_info(d, param, size, value, size_ret, &err))
		return err;
	if (param == CL_DEVICE_SVM_CAPABILITIES && is_answered(param)) {
		cl_device_svm_capabilities can = svm_capabilities();
		return info_value(&can, sizeof can, size, value, size_ret);
	}
	if (info_has(rows, ARRAY_SIZE(rows), param))
		return info_get(rows, ARRAY_SIZE(rows), &ours, param, size, value, size_ret);
	return host_info(PROTO_INFO_DEVICE, param, size, value, size_ret);
}
