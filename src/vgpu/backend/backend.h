// SPDX-License-Identifier: Apache-2.0
// What executes commands. Everything above knows a device only through this table; the first backend
// is the host's OpenCL on a CPU device (cl_*.c), whose buffers lie in the page space's own mapping.
// A device with its own memory implements the same operations over slabs and staging.
//
// Results are OpenCL codes (cl_int), because they go to the guest as they are. Handles are opaque.
// Main thread only, unless it says otherwise. Nothing here waits for a command.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <CL/cl.h>
#include "base/buf.h"
#include "base/error.h"
#include "vgpu/protocol/image.h"

struct backend;
struct be_part; // of the device
struct be_queue;
struct be_mem; // a buffer or an image
struct be_sampler;
struct be_program;
struct be_kernel;
struct be_ticket; // one command that was given to the driver

struct be_device {
	char name[128], vendor[128], version[128], driver[128];
	// Equal exactly where native binaries may be shared: platform, driver, device, CPU features.
	char key[40];
};

// Compute units first * units / PROFILE_SLICES up to (first + count) * units / PROFILE_SLICES: what a
// partitioned vGPU has for itself. count 0: the whole device.
struct be_slices {
	unsigned first, count;
};

struct be_config {
	unsigned device; // the n-th device that can do it
	struct be_slices slices;
	uint8_t *base;         // the page space's mapping
	bool base_is_fixed;    // that address is the same on every host
	uint64_t memory_bytes; // the profile's memory: what the guest is told
	// A watched command is over. Any thread, perhaps before ticket_watch() returns; must not
	// block.
	void (*complete)(void *arg, void *token);
	void *arg;
};

#define BE_PARTS_MAX 256

// Part `index` of those that clCreateSubDevices makes.
struct be_partition {
	uint32_t kind; // CL_DEVICE_PARTITION_EQUALLY, _BY_COUNTS
	uint32_t index;
	uint32_t n;
	uint32_t units[BE_PARTS_MAX]; // EQUALLY: one number, for every part; else of each part
};

struct be_launch {
	struct be_kernel *kernel;
	uint32_t dims;
	size_t offset[3], global[3], local[3];
	bool has_local;
};

struct be_rect {
	size_t origin[3]; // bytes, rows, slices
	size_t row_pitch, slice_pitch;
};

struct be_image {
	cl_mem_flags flags;
	struct image_shape shape;
	struct image_layout layout; // of that shape
};

struct be_sampler_state {
	bool normalized;
	cl_addressing_mode addressing;
	cl_filter_mode filter;
};

struct be_times {
	uint64_t queued, submitted, started, ended; // ns, the device's clock
};

struct be_build {
	enum {
		BE_BUILD,
		BE_COMPILE,
		BE_LINK,
		BE_LOAD
	} kind; // BE_LOAD: only makes it of its binary
	const char *options;
	struct be_program *const *inputs; // headers or inputs
	const char *const *names;         // of headers
	uint32_t n_inputs;
};

// What a program was made of in this process: its text or binary, how it was built, and the programs
// that went into it.
struct be_origin {
	bool binary; // bytes are a native binary; otherwise source (none for a linked program)
	bool built;  // options, kind and inputs say how; otherwise only text (a header)
	int kind;    // of struct be_build
	struct buf bytes;
	char *options;
	struct be_origin *inputs; // headers of a compiled, parts of a linked program
	char **names;             // of headers; NULL otherwise
	uint32_t n_inputs;
};

struct backend_ops {
	const char *name;
	int (*open)(const struct be_config *config, struct backend **ret, struct ferry_error *e);
	void (*close)(struct backend *be); // NULL-safe

	// Makes the driver load its compiler, which takes the first build in a process most of a
	// second: with a kernel of our own, on any thread.
	void (*warm_up)(struct backend *be);

	const struct be_device *(*device)(const struct backend *be);
	// Appends the info items of hello_host: every constant answer.
	int (*info)(struct backend *be, struct buf *items);

	// The address at which kernels see the page space, the same on every host, where coarse-grained
	// shared virtual memory can lie in it: for a device whose buffers are the mapping itself. 0: not.
	uint64_t (*svm_base)(const struct backend *be);

	// `parent` NULL: of the whole device. The backend's own: a part stays until close().
	cl_int (*part_new)(struct backend *be, struct be_part *parent,
		const struct be_partition *how, struct be_part **ret);

	// Commands of a queue run in the order in which they are given; `part` NULL: on the whole
	// device.
	cl_int (*queue_new)(
		struct backend *be, struct be_part *part, bool profiling, struct be_queue **ret);
	void (*queue_free)(struct be_queue *q);
	void (*queue_flush)(struct be_queue *q);

	// Memory at base + offset.
	cl_int (*mem_new)(struct backend *be, cl_mem_flags flags, uint64_t offset, size_t size,
		struct be_mem **ret);
	cl_int (*mem_sub)(struct be_mem *parent, cl_mem_flags flags, size_t origin, size_t size,
		struct be_mem **ret);
	void (*mem_free)(struct be_mem *m);
	// Memory at base + offset, or `parent`'s (of at least that size; it must live longer) when not
	// NULL. Transfers and copies take it as layout.bytes of packed pixels.
	cl_int (*image_new)(struct backend *be, const struct be_image *how, uint64_t offset,
		struct be_mem *parent, struct be_mem **ret);
	// When nothing that was given touches these bytes.
	void (*mem_read)(struct be_mem *m, size_t offset, void *to, size_t n);
	void (*mem_write)(struct be_mem *m, size_t offset, const void *from, size_t n);

	cl_int (*sampler_new)(
		struct backend *be, const struct be_sampler_state *how, struct be_sampler **ret);
	void (*sampler_free)(struct be_sampler *s); // NULL-safe

	// Programs: any one thread at a time for each program.
	cl_int (*program_source)(
		struct backend *be, const char *text, size_t n, struct be_program **ret);
	cl_int (*program_binary)(
		struct backend *be, const void *bytes, size_t n, struct be_program **ret);
	void (*program_free)(struct be_program *p);
	// Compiles, builds, or links the inputs into *p (which is NULL before). Takes seconds.
	cl_int (*build)(struct backend *be, struct be_program **p, const struct be_build *how);
	// Appends the body of program_build's answer.
	int (*build_result)(struct be_program *p, struct buf *body);
	// Appends the native binary, as specialised by the launches so far. Any thread; waits.
	cl_int (*program_get_binary)(
		struct backend *be, const struct be_origin *from, struct buf *binary);

	// Appends the name of a function that a program needs and nobody defines, where that is found
	// out: the driver ends the process that loads such a program, so it is tried in another one,
	// which generates all its code. Any thread; waits.
	void (*program_lacks)(struct backend *be, const struct be_origin *from, struct buf *name);

	cl_int (*kernel_new)(
		struct be_program *p, const char *name, struct be_kernel **ret, uint32_t *ret_args);
	// What an argument must be: PROTO_ARG_*, or -1 for what is not supported.
	int (*kernel_arg_kind)(struct be_kernel *k, uint32_t index);
	void (*kernel_free)(struct be_kernel *k);
	// `bytes` NULL: a local argument of n bytes.
	cl_int (*kernel_set)(struct be_kernel *k, uint32_t index, const void *bytes, size_t n);
	cl_int (*kernel_set_mem)(struct be_kernel *k, uint32_t index, struct be_mem *m);
	cl_int (*kernel_set_sampler)(struct be_kernel *k, uint32_t index, struct be_sampler *s);
	// A pointer to byte `offset` of memory at svm_base().
	cl_int (*kernel_set_svm)(
		struct be_kernel *k, uint32_t index, struct be_mem *m, size_t offset);

	// CL_OUT_OF_RESOURCES where its local memory, that of its arguments included, is more than the
	// device's: such a kernel must not be launched.
	cl_int (*kernel_fits)(struct backend *be, struct be_kernel *k);

	cl_int (*launch)(struct be_queue *q, const struct be_launch *l, struct be_ticket **ret);
	cl_int (*copy)(struct be_queue *q, struct be_mem *from, size_t from_offset,
		struct be_mem *to, size_t to_offset, size_t n, struct be_ticket **ret);
	cl_int (*copy_rect)(struct be_queue *q, struct be_mem *from,
		const struct be_rect *from_rect, struct be_mem *to, const struct be_rect *to_rect,
		const size_t region[3], struct be_ticket **ret);
	cl_int (*fill)(struct be_queue *q, struct be_mem *m, const void *pattern, size_t pattern_n,
		size_t offset, size_t n, struct be_ticket **ret);

	// The bytes at `to` or `from` are the command's until it is over.
	cl_int (*read)(struct be_queue *q, struct be_mem *m, size_t offset, void *to, size_t n,
		struct be_ticket **ret);
	cl_int (*write)(struct be_queue *q, struct be_mem *m, size_t offset, const void *from,
		size_t n, struct be_ticket **ret);
	// Does nothing, in its turn.
	cl_int (*mark)(struct be_queue *q, struct be_ticket **ret);

	// `color`: 16 bytes; pixels.
	cl_int (*image_fill)(struct be_queue *q, struct be_mem *m, const void *color,
		const size_t origin[3], const size_t region[3], struct be_ticket **ret);

	// Calls complete(token) once. CL_SUCCESS or why it will not.
	cl_int (*ticket_watch)(struct backend *be, struct be_ticket *t, void *token);
	// CL_COMPLETE or negative, after completion.
	cl_int (*ticket_status)(struct be_ticket *t, struct be_times *ret);
	void (*ticket_free)(struct be_ticket *t); // NULL-safe
};

struct backend {
	const struct backend_ops *ops;
};

extern const struct backend_ops backend_cl;
