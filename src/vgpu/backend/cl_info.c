// SPDX-License-Identifier: Apache-2.0
// What the guest is told about its platform and device. The names are the host's own (programs choose
// workarounds by them), memory sizes are the profile's, and what does not work through the guest
// stream is not offered: only extensions of the kernel language remain. A host of OpenCL 3.0 makes a
// device of 3.0 (cl_info_3.c), any other one of 1.2, since 2.0 demands what the stream does not carry.
#include "vgpu/backend/cl_info_put.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "vgpu/protocol/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <CL/cl_ext.h>

#define EXTENSIONS_MAX 1024

static const char *const extensions[] = {
	"cl_khr_byte_addressable_store",
	"cl_khr_global_int32_base_atomics",
	"cl_khr_global_int32_extended_atomics",
	"cl_khr_local_int32_base_atomics",
	"cl_khr_local_int32_extended_atomics",
	"cl_khr_int64_base_atomics",
	"cl_khr_int64_extended_atomics",
	"cl_khr_3d_image_writes",
	"cl_khr_fp16",
	"cl_khr_fp64",
};

// Answers that the guest gets as the host's driver gives them.
static const cl_device_info passed_on[] = {
	CL_DEVICE_TYPE,
	CL_DEVICE_VENDOR_ID,
	CL_DEVICE_MAX_COMPUTE_UNITS,
	CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS,
	CL_DEVICE_MAX_WORK_ITEM_SIZES,
	CL_DEVICE_MAX_WORK_GROUP_SIZE,
	CL_DEVICE_PREFERRED_VECTOR_WIDTH_CHAR,
	CL_DEVICE_PREFERRED_VECTOR_WIDTH_SHORT,
	CL_DEVICE_PREFERRED_VECTOR_WIDTH_INT,
	CL_DEVICE_PREFERRED_VECTOR_WIDTH_LONG,
	CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT,
	CL_DEVICE_PREFERRED_VECTOR_WIDTH_DOUBLE,
	CL_DEVICE_PREFERRED_VECTOR_WIDTH_HALF,
	CL_DEVICE_NATIVE_VECTOR_WIDTH_CHAR,
	CL_DEVICE_NATIVE_VECTOR_WIDTH_SHORT,
	CL_DEVICE_NATIVE_VECTOR_WIDTH_INT,
	CL_DEVICE_NATIVE_VECTOR_WIDTH_LONG,
	CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT,
	CL_DEVICE_NATIVE_VECTOR_WIDTH_DOUBLE,
	CL_DEVICE_NATIVE_VECTOR_WIDTH_HALF,
	CL_DEVICE_MAX_CLOCK_FREQUENCY,
	CL_DEVICE_ADDRESS_BITS,
	CL_DEVICE_MAX_PARAMETER_SIZE,
	CL_DEVICE_MEM_BASE_ADDR_ALIGN,
	CL_DEVICE_MIN_DATA_TYPE_ALIGN_SIZE,
	CL_DEVICE_SINGLE_FP_CONFIG,
	CL_DEVICE_DOUBLE_FP_CONFIG,
	CL_DEVICE_HALF_FP_CONFIG,
	CL_DEVICE_GLOBAL_MEM_CACHE_TYPE,
	CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE,
	CL_DEVICE_GLOBAL_MEM_CACHE_SIZE,
	CL_DEVICE_MAX_CONSTANT_ARGS,
	CL_DEVICE_LOCAL_MEM_TYPE,
	CL_DEVICE_LOCAL_MEM_SIZE,
	CL_DEVICE_ERROR_CORRECTION_SUPPORT,
	CL_DEVICE_PROFILING_TIMER_RESOLUTION,
	CL_DEVICE_ENDIAN_LITTLE,
	CL_DEVICE_AVAILABLE,
	CL_DEVICE_COMPILER_AVAILABLE,
	CL_DEVICE_LINKER_AVAILABLE,
	CL_DEVICE_NAME,
	CL_DEVICE_VENDOR,
	CL_DRIVER_VERSION,
	CL_DEVICE_PROFILE,
	CL_DEVICE_OPENCL_C_VERSION,
	CL_DEVICE_PRINTF_BUFFER_SIZE,
	CL_DEVICE_PREFERRED_INTEROP_USER_SYNC,
	CL_DEVICE_IMAGE_SUPPORT,
	CL_DEVICE_MAX_READ_IMAGE_ARGS,
	CL_DEVICE_MAX_WRITE_IMAGE_ARGS,
	CL_DEVICE_IMAGE2D_MAX_WIDTH,
	CL_DEVICE_IMAGE2D_MAX_HEIGHT,
	CL_DEVICE_IMAGE3D_MAX_WIDTH,
	CL_DEVICE_IMAGE3D_MAX_HEIGHT,
	CL_DEVICE_IMAGE3D_MAX_DEPTH,
	CL_DEVICE_IMAGE_MAX_ARRAY_SIZE,
	CL_DEVICE_MAX_SAMPLERS,
};

// What there is none of.
static const struct {
	cl_device_info param;
	size_t bytes;
} zeros[] = {
	{ CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(cl_bool) }, // maps are copies
	{ CL_DEVICE_PARTITION_AFFINITY_DOMAIN, sizeof(cl_device_affinity_domain) },
	{ CL_DEVICE_PARTITION_TYPE, sizeof(cl_device_partition_property) },
};

void info_put(struct buf *items, uint32_t kind, uint32_t param, const void *value, size_t n)
{
	struct p_info m = { kind, param, { value, n } };

	p_put_info_item(items, &m);
}

void info_put_text(struct buf *items, uint32_t kind, uint32_t param, const char *text)
{
	info_put(items, kind, param, text, strlen(text) + 1);
}

static void put_u64(struct buf *items, cl_device_info param, uint64_t v)
{
	info_put(items, PROTO_INFO_DEVICE, param, &v, sizeof v);
}

void info_put_device(struct cl_backend *b, struct buf *items, cl_device_info param)
{
	uint8_t value[8192];
	size_t n = 0;

	if (clGetDeviceInfo(b->own, param, sizeof value, value, &n) == CL_SUCCESS)
		info_put(items, PROTO_INFO_DEVICE, param, value, n);
}

static uint64_t device_u64(struct cl_backend *b, cl_device_info param)
{
	cl_ulong v = 0;

	clGetDeviceInfo(b->device, param, sizeof v, &v, NULL);
	return v;
}

static uint64_t at_most(uint64_t v, uint64_t most)
{
	return v < most ? v : most;
}

bool info_has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += n)
		if ((at == words || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return false;
}

static void offer_extensions(struct cl_backend *b, char offered[EXTENSIONS_MAX])
{
	char host[4096] = "";

	clGetDeviceInfo(b->device, CL_DEVICE_EXTENSIONS, sizeof host - 1, host, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		if (!info_has_word(host, extensions[i]))
			continue;
		strcat(offered, offered[0] ? " " : "");
		strcat(offered, extensions[i]);
	}
}

// "OpenCL 2.1 name..." becomes "OpenCL 1.2 name...".
static void put_version(
	struct cl_backend *b, struct buf *items, uint32_t kind, uint32_t param, const char *host)
{
	const char *own = strncmp(host, "OpenCL ", 7) == 0 ? strchr(host + 7, ' ') : NULL;
	char text[300];

	snprintf(text, sizeof text, "OpenCL %s%s", cl_backend_is_3(b) ? "3.0" : "1.2",
		own ? own : " ");
	info_put_text(items, kind, param, text);
}

static void put_platform(struct cl_backend *b, struct buf *items)
{
	static const cl_platform_info same[] = { CL_PLATFORM_PROFILE, CL_PLATFORM_NAME,
		CL_PLATFORM_VENDOR };
	char text[256] = "";

	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		text[0] = 0;
		clGetPlatformInfo(b->platform, same[i], sizeof text - 1, text, NULL);
		info_put_text(items, PROTO_INFO_PLATFORM, same[i], text);
	}
	text[0] = 0;
	clGetPlatformInfo(b->platform, CL_PLATFORM_VERSION, sizeof text - 1, text, NULL);
	put_version(b, items, PROTO_INFO_PLATFORM, CL_PLATFORM_VERSION, text);
	info_put_text(items, PROTO_INFO_PLATFORM, CL_PLATFORM_EXTENSIONS, "cl_khr_icd");
	info_put_text(items, PROTO_INFO_PLATFORM, CL_PLATFORM_ICD_SUFFIX_KHR, "FERRY");
}

// What is a part already cannot be divided again by every driver (PoCL: CL_DEVICE_PARTITION_FAILED).
static void put_partitions(struct cl_backend *b, struct buf *items)
{
	static const cl_device_partition_property none;

	if (b->own == b->device) {
		info_put_device(b, items, CL_DEVICE_PARTITION_MAX_SUB_DEVICES);
		info_put_device(b, items, CL_DEVICE_PARTITION_PROPERTIES);
		return;
	}
	info_put(items, PROTO_INFO_DEVICE, CL_DEVICE_PARTITION_MAX_SUB_DEVICES, &none,
		sizeof(cl_uint));
	info_put(items, PROTO_INFO_DEVICE, CL_DEVICE_PARTITION_PROPERTIES, &none, sizeof none);
}

int cl_backend_info(struct backend *be, struct buf *items)
{
	struct cl_backend *b = cl_of(be);
	uint64_t memory = b->config.memory_bytes;
	static const uint64_t zero;
	cl_command_queue_properties queues =
		CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
	cl_device_exec_capabilities executes = CL_EXEC_KERNEL;
	char offered[EXTENSIONS_MAX] = "";

	put_platform(b, items);
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		info_put_device(b, items, passed_on[i]);
	put_partitions(b, items);
	for (size_t i = 0; i < ARRAY_SIZE(zeros); i++)
		info_put(items, PROTO_INFO_DEVICE, zeros[i].param, &zero, zeros[i].bytes);
	put_version(b, items, PROTO_INFO_DEVICE, CL_DEVICE_VERSION, b->id.version);
	put_u64(items, CL_DEVICE_GLOBAL_MEM_SIZE, memory);
	put_u64(items, CL_DEVICE_MAX_MEM_ALLOC_SIZE,
		at_most(device_u64(b, CL_DEVICE_MAX_MEM_ALLOC_SIZE), memory));
	put_u64(items, CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE,
		at_most(device_u64(b, CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE), memory));
	info_put(items, PROTO_INFO_DEVICE, CL_DEVICE_QUEUE_PROPERTIES, &queues, sizeof queues);
	info_put(items, PROTO_INFO_DEVICE, CL_DEVICE_EXECUTION_CAPABILITIES, &executes,
		sizeof executes);
	// A 1D buffer image is a 1D image of the driver's (cl_image.c).
	put_u64(items, CL_DEVICE_IMAGE_MAX_BUFFER_SIZE,
		at_most(device_u64(b, CL_DEVICE_IMAGE_MAX_BUFFER_SIZE),
			device_u64(b, CL_DEVICE_IMAGE2D_MAX_WIDTH)));
	offer_extensions(b, offered);
	info_put_text(items, PROTO_INFO_DEVICE, CL_DEVICE_EXTENSIONS, offered);
	if (cl_backend_is_3(b))
		cl_backend_info_3(b, items, offered);
	cl_image_put_formats(b, items);
	return items->failed ? -ENOMEM : 0;
}

// ---- identity

static void device_text(struct cl_backend *b, cl_device_info param, char *text, size_t size)
{
	char whole[1024] = "";

	clGetDeviceInfo(b->device, param, sizeof whole - 1, whole, NULL);
	snprintf(text, size, "%.*s", (int)size - 1, whole);
}

// The processor's features decide which code its native binaries may hold: the "flags" line of
// proc(5)'s cpuinfo.
static void hash_cpu_features(XXH3_state_t *hash)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0;

	if (file_read("/proc/cpuinfo", 4u << 20, &text, &n, NULL) < 0)
		return;
	const char *flags = strstr(text, "\nflags");
	if (flags)
		XXH3_128bits_update(hash, flags + 1, strcspn(flags + 1, "\n"));
}

void cl_backend_identify(struct cl_backend *b)
{
	char platform[256] = "";
	XXH3_state_t *hash = XXH3_createState();

	device_text(b, CL_DEVICE_NAME, b->id.name, sizeof b->id.name);
	device_text(b, CL_DEVICE_VENDOR, b->id.vendor, sizeof b->id.vendor);
	device_text(b, CL_DEVICE_VERSION, b->id.version, sizeof b->id.version);
	device_text(b, CL_DRIVER_VERSION, b->id.driver, sizeof b->id.driver);
	clGetPlatformInfo(b->platform, CL_PLATFORM_VERSION, sizeof platform - 1, platform, NULL);
	if (!hash)
		return;
	XXH3_128bits_reset(hash);
	XXH3_128bits_update(hash, &b->id, sizeof b->id);
	XXH3_128bits_update(hash, platform, sizeof platform);
	hash_cpu_features(hash);
	XXH128_hash_t h = XXH3_128bits_digest(hash);
	snprintf(b->id.key, sizeof b->id.key, "%016llx%016llx", (unsigned long long)h.high64,
		(unsigned long long)h.low64);
	XXH3_freeState(hash);
}
