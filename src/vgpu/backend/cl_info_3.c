// SPDX-License-Identifier: Apache-2.0
// What a device of OpenCL 3.0 must answer beyond 1.2 (OpenCL 3.0, section 4.2; appendix F says what an
// absent feature answers). Offered is what the guest stream carries and the host's driver has: a
// feature of the kernel language comes from the host, since its compiler defines the macros.
#include "base/cleanup.h"
#include "vgpu/backend/cl_info_put.h"
#include "vgpu/protocol/protocol.h"

#include <stdio.h>
#include <string.h>

#define NAMES_MAX 64

static const char *const features[] = {
	"__opencl_c_3d_image_writes",
	"__opencl_c_atomic_order_acq_rel",
	"__opencl_c_atomic_order_seq_cst",
	"__opencl_c_atomic_scope_device",
	"__opencl_c_fp64",
	"__opencl_c_generic_address_space",
	"__opencl_c_images",
	"__opencl_c_int64",
	"__opencl_c_integer_dot_product_input_4x8bit",
	"__opencl_c_integer_dot_product_input_4x8bit_packed",
	"__opencl_c_read_write_images",
	"__opencl_c_work_group_collective_functions",
};

static const cl_device_info passed_on[] = {
	CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE,
	CL_DEVICE_PREFERRED_PLATFORM_ATOMIC_ALIGNMENT,
	CL_DEVICE_PREFERRED_GLOBAL_ATOMIC_ALIGNMENT,
	CL_DEVICE_PREFERRED_LOCAL_ATOMIC_ALIGNMENT,
	CL_DEVICE_MAX_READ_WRITE_IMAGE_ARGS,
	CL_DEVICE_WORK_GROUP_COLLECTIVE_FUNCTIONS_SUPPORT,
	CL_DEVICE_GENERIC_ADDRESS_SPACE_SUPPORT,
};

// What there is none of.
static const struct {
	cl_device_info param;
	size_t bytes;
} zeros[] = {
	{ CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES, sizeof(cl_device_device_enqueue_capabilities) },
	{ CL_DEVICE_QUEUE_ON_DEVICE_PROPERTIES, sizeof(cl_command_queue_properties) },
	{ CL_DEVICE_QUEUE_ON_DEVICE_PREFERRED_SIZE, sizeof(cl_uint) },
	{ CL_DEVICE_QUEUE_ON_DEVICE_MAX_SIZE, sizeof(cl_uint) },
	{ CL_DEVICE_MAX_ON_DEVICE_QUEUES, sizeof(cl_uint) },
	{ CL_DEVICE_MAX_ON_DEVICE_EVENTS, sizeof(cl_uint) },
	{ CL_DEVICE_PIPE_SUPPORT, sizeof(cl_bool) },
	{ CL_DEVICE_MAX_PIPE_ARGS, sizeof(cl_uint) },
	{ CL_DEVICE_PIPE_MAX_ACTIVE_RESERVATIONS, sizeof(cl_uint) },
	{ CL_DEVICE_PIPE_MAX_PACKET_SIZE, sizeof(cl_uint) },
	{ CL_DEVICE_MAX_GLOBAL_VARIABLE_SIZE, sizeof(size_t) },
	{ CL_DEVICE_GLOBAL_VARIABLE_PREFERRED_TOTAL_SIZE, sizeof(size_t) },
	{ CL_DEVICE_NON_UNIFORM_WORK_GROUP_SUPPORT, sizeof(cl_bool) },
	{ CL_DEVICE_IMAGE_PITCH_ALIGNMENT, sizeof(cl_uint) },
	{ CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT, sizeof(cl_uint) },
	{ CL_DEVICE_MAX_NUM_SUB_GROUPS, sizeof(cl_uint) },
	{ CL_DEVICE_SUB_GROUP_INDEPENDENT_FORWARD_PROGRESS, sizeof(cl_bool) },
	{ CL_DEVICE_ILS_WITH_VERSION, 0 },
	{ CL_DEVICE_BUILT_IN_KERNELS_WITH_VERSION, 0 },
};

// A capability is there exactly when the feature of the kernel language is.
static const struct {
	cl_device_atomic_capabilities bit;
	const char *feature;
} atomics[] = {
	{ CL_DEVICE_ATOMIC_ORDER_SEQ_CST, "__opencl_c_atomic_order_seq_cst" },
	{ CL_DEVICE_ATOMIC_SCOPE_DEVICE, "__opencl_c_atomic_scope_device" },
	{ CL_DEVICE_ATOMIC_SCOPE_ALL_DEVICES, "__opencl_c_atomic_scope_all_devices" },
};

struct names {
	cl_name_version at[NAMES_MAX];
	size_t n;
};

static void put_names(struct buf *items, uint32_t kind, uint32_t param, const struct names *names)
{
	info_put(items, kind, param, names->at, names->n * sizeof names->at[0]);
}

static void get_names(struct cl_backend *b, cl_device_info param, struct names *ret)
{
	size_t n = 0;

	ret->n = 0;
	if (clGetDeviceInfo(b->device, param, sizeof ret->at, ret->at, &n) == CL_SUCCESS)
		ret->n = n / sizeof ret->at[0];
	for (size_t i = 0; i < ret->n; i++)
		ret->at[i].name[sizeof ret->at[i].name - 1] = 0;
}

static bool has_name(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcmp(names->at[i].name, name))
			return true;
	return false;
}

static bool is_carried(const char *feature)
{
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (!strcmp(features[i], feature))
			return true;
	return false;
}

// OpenCL C 2.0 has variables of program scope, whose values lie outside the framebuffer and would not
// move.
static void put_c_versions(struct cl_backend *b, struct buf *items)
{
	struct names names;
	size_t kept = 0;

	get_names(b, CL_DEVICE_OPENCL_C_ALL_VERSIONS, &names);
	for (size_t i = 0; i < names.n; i++)
		if (CL_VERSION_MAJOR(names.at[i].version) != 2)
			names.at[kept++] = names.at[i];
	names.n = kept;
	put_names(items, PROTO_INFO_DEVICE, CL_DEVICE_OPENCL_C_ALL_VERSIONS, &names);
}

static void put_atomics(
	struct cl_backend *b, struct buf *items, cl_device_info param, const struct names *c)
{
	cl_device_atomic_capabilities v = 0;

	clGetDeviceInfo(b->device, param, sizeof v, &v, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(atomics); i++)
		if (!has_name(c, atomics[i].feature))
			v &= ~atomics[i].bit;
	info_put(items, PROTO_INFO_DEVICE, param, &v, sizeof v);
}

static void put_features(struct cl_backend *b, struct buf *items)
{
	struct names names;
	size_t kept = 0;

	get_names(b, CL_DEVICE_OPENCL_C_FEATURES, &names);
	for (size_t i = 0; i < names.n; i++)
		if (is_carried(names.at[i].name))
			names.at[kept++] = names.at[i];
	names.n = kept;
	put_names(items, PROTO_INFO_DEVICE, CL_DEVICE_OPENCL_C_FEATURES, &names);
	put_atomics(b, items, CL_DEVICE_ATOMIC_MEMORY_CAPABILITIES, &names);
	put_atomics(b, items, CL_DEVICE_ATOMIC_FENCE_CAPABILITIES, &names);
}

// The host's versions of the extensions that are offered.
static void put_extensions(struct cl_backend *b, struct buf *items, const char *offered)
{
	static const struct names icd = { { { CL_MAKE_VERSION(1, 0, 0), "cl_khr_icd" } }, 1 };
	struct names names;
	size_t kept = 0;

	get_names(b, CL_DEVICE_EXTENSIONS_WITH_VERSION, &names);
	for (size_t i = 0; i < names.n; i++)
		if (info_has_word(offered, names.at[i].name))
			names.at[kept++] = names.at[i];
	names.n = kept;
	put_names(items, PROTO_INFO_DEVICE, CL_DEVICE_EXTENSIONS_WITH_VERSION, &names);
	put_names(items, PROTO_INFO_PLATFORM, CL_PLATFORM_EXTENSIONS_WITH_VERSION, &icd);
}

// Fine grain and atomics need the program's stores and the device's in one memory. System memory never is.
static void put_svm(struct cl_backend *b, struct buf *items)
{
	static const cl_device_svm_capabilities mapped = CL_DEVICE_SVM_COARSE_GRAIN_BUFFER |
							 CL_DEVICE_SVM_FINE_GRAIN_BUFFER |
							 CL_DEVICE_SVM_ATOMICS;
	cl_device_svm_capabilities all = 0, sent;

	if (b->be.ops->svm_base(&b->be))
		clGetDeviceInfo(b->device, CL_DEVICE_SVM_CAPABILITIES, sizeof all, &all, NULL);
	sent = all & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER;
	info_put(items, PROTO_INFO_DEVICE, CL_DEVICE_SVM_CAPABILITIES, &sent, sizeof sent);
	all &= mapped;
	info_put(items, PROTO_INFO_SVM, PROTO_SVM_MAPPED, &all, sizeof all);
}

bool cl_backend_is_3(struct cl_backend *b)
{
	cl_version v = 0;

	return clGetDeviceInfo(b->device, CL_DEVICE_NUMERIC_VERSION, sizeof v, &v, NULL) ==
		       CL_SUCCESS &&
	       CL_VERSION_MAJOR(v) >= 3;
}

void cl_backend_info_3(struct cl_backend *b, struct buf *items, const char *extensions)
{
	static const cl_version version = CL_MAKE_VERSION(3, 0, 0);
	static const uint64_t zero;

	info_put(items, PROTO_INFO_PLATFORM, CL_PLATFORM_NUMERIC_VERSION, &version, sizeof version);
	info_put(items, PROTO_INFO_PLATFORM, CL_PLATFORM_HOST_TIMER_RESOLUTION, &zero, sizeof zero);
	info_put(items, PROTO_INFO_DEVICE, CL_DEVICE_NUMERIC_VERSION, &version, sizeof version);
	info_put_text(items, PROTO_INFO_DEVICE, CL_DEVICE_IL_VERSION, "");
	// The form that the specification prescribes, of a day before there was a suite: Ferry's device
	// was never submitted, whatever the host's driver has passed.
	info_put_text(items, PROTO_INFO_DEVICE, CL_DEVICE_LATEST_CONFORMANCE_VERSION_PASSED,
		"v0000-01-01-00");
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		info_put_device(b, items, passed_on[i]);
	for (size_t i = 0; i < ARRAY_SIZE(zeros); i++)
		info_put(items, PROTO_INFO_DEVICE, zeros[i].param, &zero, zeros[i].bytes);
	put_svm(b, items);
	put_c_versions(b, items);
	put_features(b, items);
	put_extensions(b, items, extensions);
}
