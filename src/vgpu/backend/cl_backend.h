// SPDX-License-Identifier: Apache-2.0
// The OpenCL backend's own parts. One cl_context for the whole vGPU: guests' contexts are kept apart
// by their sessions' object tables, and every kernel runs in this process anyway.
#pragma once

#include "base/cores.h"
#include "vgpu/backend/backend.h"

struct cl_backend {
	struct backend be;
	struct be_config config;
	struct be_device id;
	cl_platform_id platform;
	cl_device_id device;
	cl_device_id own; // what queues run on: the device, or this vGPU's part of it
	cl_context context;
	struct division *divisions; // the latest first
	unsigned n_divisions;
	struct cores cores; // of the own part, where they are its own
};

struct be_mem {
	cl_mem mem;   // a buffer, also over an image's bytes
	cl_mem image; // NULL for a buffer
	uint8_t *at;  // host address of its first byte
	bool is_part; // `mem` is a sub-buffer
};

static inline struct cl_backend *cl_of(struct backend *be)
{
	return (struct cl_backend *)be;
}

// Of the guest's flags what a kernel may do. What the host may do with the memory the guest's library looks at; the
// vGPU itself must always be able to read and write it: a map for writing reads first.
static inline cl_mem_flags cl_mem_access(cl_mem_flags flags)
{
	return flags & (CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY);
}

// Takes over the reference, also on error. No image.
cl_int cl_wrap_mem(cl_mem mem, uint8_t *at, struct be_mem **ret);

// cl_image.c
cl_int cl_image_new(struct backend *be, const struct be_image *how, uint64_t offset,
	struct be_mem *parent, struct be_mem **ret);
cl_int cl_sampler_new(
	struct backend *be, const struct be_sampler_state *how, struct be_sampler **ret);
void cl_sampler_free(struct be_sampler *s);
cl_int cl_kernel_set_sampler(struct be_kernel *k, uint32_t index, struct be_sampler *s);
void cl_image_put_formats(struct cl_backend *b, struct buf *items);

// cl_image_fill.c
cl_int cl_image_fill(struct be_queue *q, struct be_mem *m, const void *color,
	const size_t origin[3], const size_t region[3], struct be_ticket **ret);

// cl_part.c
// Sets b->own from b->config.slices; code "no-units" where they hold no compute unit.
int cl_part_own(struct cl_backend *b, struct ferry_error *e);
cl_int cl_part_new(struct backend *be, struct be_part *parent, const struct be_partition *how,
	struct be_part **ret);
void cl_parts_free(struct cl_backend *b);
cl_int cl_queue_new(
	struct backend *be, struct be_part *part, bool profiling, struct be_queue **ret);

// cl_info.c
int cl_backend_info(struct backend *be, struct buf *items);
// cl_info_3.c: for a host of OpenCL 3.0; `extensions`: those that are offered.
bool cl_backend_is_3(struct cl_backend *b);
void cl_backend_info_3(struct cl_backend *b, struct buf *items, const char *extensions);
void cl_backend_identify(struct cl_backend *b);

// cl_program.c
void cl_backend_warm_up(struct backend *be);
cl_int cl_program_source(struct backend *be, const char *text, size_t n, struct be_program **ret);
cl_int cl_program_binary(struct backend *be, const void *bytes, size_t n, struct be_program **ret);
void cl_program_free(struct be_program *p);
cl_int cl_program_build(struct backend *be, struct be_program **p, const struct be_build *how);
int cl_program_result(struct be_program *p, struct buf *body);

// The address qualifier of a kernel's argument. Where the driver keeps no argument information (a
// linked program, a binary) it is found by what clSetKernelArg refuses (OpenCL 1.2, section 5.7.2):
// no value for what is passed by value, any value for local memory. The kernel's argument is then
// set to nothing; the caller sets it before it launches.
cl_kernel_arg_address_qualifier cl_arg_address(cl_kernel k, cl_uint index);
