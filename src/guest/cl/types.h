// SPDX-License-Identifier: Apache-2.0
// The library's objects. Every field needs the session's lock, except those said to be fixed after
// creation. An object keeps a reference to each object that it points to, unless it says otherwise.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "guest/cl/callback.h"
#include "guest/cl/object.h"
#include "guest/cl/region.h"

extern const struct object_class platform_class, device_class, context_class, queue_class,
	mem_class, sampler_class, program_class, kernel_class, event_class;

struct _cl_platform_id {
	struct object o;
};

struct _cl_device_id {
	struct object o;
	cl_device_id parent;                     // of a sub-device; NULL: the device itself
	cl_uint units;                           // of a sub-device
	cl_device_partition_property *partition; // what the parent was divided by
	size_t partition_bytes;
};

struct devices {
	cl_uint n;
	cl_device_id *at; // a reference to each
};

// The one platform and the one root device: static, never destroyed.
extern struct _cl_platform_id the_platform;
extern struct _cl_device_id the_device;
// Fixed after session_open(); what validation needs of clGetDeviceInfo.
struct device_limits {
	cl_uint dimensions;
	size_t item_sizes[3];
	size_t group_size;
	cl_ulong alloc_bytes, memory_bytes, local_bytes;
	cl_uint base_align_bits;
	size_t parameter_bytes;
	cl_command_queue_properties queue_properties;
	cl_uint units, parts; // of the root device: compute units, and parts at most
	cl_device_partition_property partitions[8];
	size_t n_partitions;
	cl_bool images;
	cl_version version;            // 0: older than OpenCL 3.0
	cl_name_version languages[16]; // of OpenCL C
	size_t n_languages;
	size_t image2d[2], image3d[3], image_pixels, image_array; // at most; 1D images: image2d[0]
};
const struct device_limits *device_limits(void);
cl_uint device_units(cl_device_id d);
cl_uint device_parts(cl_device_id d); // that it can be divided into

struct _cl_context {
	struct object o;
	struct devices devices;
	cl_context_properties *properties;
	size_t properties_bytes;
	void (*notify)(void);
	void *notify_data;
	struct callback *destructors; // last registered first
	cl_command_queue
		setup_queue; // for initial contents; NULL until needed; has no reference back
};

// The session is over: tells the program, when it asked to be told. Needs the lock.
void context_lost(cl_context c);

struct _cl_command_queue {
	struct object o;
	cl_context context;
	cl_device_id device;
	cl_command_queue_properties properties;
	cl_queue_properties *asked; // as the program gave them; NULL: it gave none
	size_t asked_bytes;
	unsigned reads;        // that the program did not wait for, unfinished
	uint64_t begun, ended; // commands; so many of the first of them are known to have ended
};

// One clEnqueueMapBuffer or clEnqueueMapImage.
struct mapping {
	struct mapping *next;
	void *at;
	size_t offset, size;         // of a buffer: bytes
	size_t origin[3], region[3]; // of an image: pixels
	cl_map_flags flags;
	bool direct; // `at` is the buffer itself
};

// What an image is besides memory (OpenCL 1.2, section 5.3). Pitches are those of the program's memory:
// of what it gave and of maps; on the host an image's bytes lie packed.
struct image_info {
	cl_image_format format;
	size_t pixel; // bytes
	size_t width, height, depth, array_size;
	size_t row_pitch, slice_pitch;
	cl_uint mip_levels, samples; // 0
};

struct _cl_mem {
	struct object o;
	cl_context context;
	cl_mem parent; // of a sub-buffer or a 1D buffer image, else NULL
	cl_mem_object_type type;
	cl_mem_flags flags;
	size_t size, origin;
	struct image_info image; // of an image
	uint32_t seq;            // of the message that made it
	uint64_t place;  // of its first byte in the vGPU's memory, once the host has said it
	uint8_t *direct; // its first byte in memory shared with the host; NULL: not known to be
	void *host_ptr;  // the program's, with CL_MEM_USE_HOST_PTR
	cl_uint map_count;
	cl_bool uses_svm;
	bool is_svm;         // it is a clSVMAlloc's, at host_ptr: no program has the handle
	cl_mem svm;          // which of those it lies in, with CL_MEM_USE_HOST_PTR; or NULL
	bool has_properties; // it was made with a list of them, which is empty: there are none
	struct mapping *mappings;
	unsigned shadow_users; // of the shadow: maps, those of parts too, and native kernels
	void *shadow;          // the mapped contents, `size` bytes; with a parent, inside its
	struct callback *destructors; // last registered first
};

struct _cl_sampler {
	struct object o;
	cl_context context;
	cl_bool normalized;
	cl_addressing_mode addressing;
	cl_filter_mode filter;
	cl_sampler_properties *properties;
	size_t properties_bytes;
};

struct kernel_arg_info {
	cl_kernel_arg_address_qualifier address;
	cl_kernel_arg_access_qualifier access;
	cl_kernel_arg_type_qualifier type_qualifier;
	char *type_name, *name;
	size_t size; // of the type; 0: unknown
};

// What the host said about a kernel of a built program.
struct kernel_info {
	char *name, *attributes;
	size_t work_group_size, compile_size[3], preferred_multiple;
	cl_ulong local_bytes, private_bytes;
	cl_uint n_args;
	bool has_arg_info;
	struct kernel_arg_info *args;
};

// One build's outcome; kernels keep that of the build that they came from.
struct build {
	unsigned refs;
	cl_build_status status;
	cl_program_binary_type binary_type;
	char *log;
	size_t n_kernels;
	struct kernel_info *kernels;
};

struct _cl_program {
	struct object o;
	cl_context context;
	struct devices devices; // the context's, or those that a binary was for
	char *source;           // "" where there is none
	bool has_source, has_binary;
	char *options;
	cl_build_status status;
	unsigned attached;   // kernels
	struct build *build; // NULL: never built
	struct buf binary;   // as last asked for
};

enum arg_state { ARG_UNSET, ARG_CHANGED, ARG_SENT };

struct kernel_arg {
	enum arg_state state;
	uint32_t kind; // PROTO_ARG_*
	uint64_t value;
	uint64_t offset; // PROTO_ARG_SVM
	uint32_t serial; // of the object with that number; the argument keeps no reference
	uint8_t *bytes;
	size_t n;
};

// What a kernel reaches by pointers, without a reference.
struct svm_name {
	uint32_t id, serial;
};

struct _cl_kernel {
	struct object o;
	cl_context context;
	cl_program program;
	struct build *build;
	const struct kernel_info *info; // inside build
	struct kernel_arg *args;
	cl_uint n_changed; // in state ARG_CHANGED
	cl_uint n_unset;
	struct svm_name *svm; // clSetKernelExecInfo
	cl_uint n_svm;
	bool svm_changed; // the host does not know it yet
};

struct _cl_event {
	struct object o; // the stream keeps a reference until the status is there
	cl_context context;
	cl_command_queue queue; // NULL: user event
	cl_command_type type;
	cl_int status;
	bool user;
	uint32_t seq; // of its command
	cl_ulong times[4];
	cl_ulong before[2]; // of a native kernel: when it was queued, and when its turn came
	struct callback *callbacks;
};
