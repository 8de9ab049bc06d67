// SPDX-License-Identifier: Apache-2.0
// Queues, memory, kernels and commands on the host's OpenCL.
#include "vgpu/backend/cl_backend.h"
#include "vgpu/backend/cl_binary.h"
#include "vgpu/protocol/protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static cl_command_queue cl_queue(struct be_queue *q)
{
	return (cl_command_queue)q;
}

static cl_event cl_event_of(struct be_ticket *t)
{
	return (cl_event)t;
}

// ---- opening

// The n-th device that shares host memory, over all platforms: CPU devices first.
static bool find_device(struct cl_backend *b, cl_device_type type, unsigned *left)
{
	cl_platform_id platforms[8];
	cl_uint n_platforms = 0;

	if (clGetPlatformIDs(8, platforms, &n_platforms) != CL_SUCCESS)
		return false;
	for (cl_uint i = 0; i < n_platforms && i < 8; i++) {
		cl_device_id devices[16];
		cl_uint n = 0;
		if (clGetDeviceIDs(platforms[i], type, 16, devices, &n) != CL_SUCCESS)
			continue;
		for (cl_uint k = 0; k < n && k < 16; k++) {
			if ((*left)-- > 0)
				continue;
			b->platform = platforms[i];
			b->device = devices[k];
			return true;
		}
	}
	return false;
}

static void cl_close(struct backend *be)
{
	if (!be)
		return;
	struct cl_backend *b = cl_of(be);
	if (b->context)
		clReleaseContext(b->context);
	cl_parts_free(b);
	free(b);
}

static int cl_open(const struct be_config *config, struct backend **ret, struct ferry_error *e)
{
	struct cl_backend *b = calloc(1, sizeof *b);
	unsigned left = config->device;
	cl_int err = CL_SUCCESS;

	if (!b)
		return ferry_fail(e, ENOMEM, "no-memory", "no memory for the OpenCL backend");
	b->be.ops = &backend_cl;
	b->config = *config;
	if (!find_device(b, CL_DEVICE_TYPE_CPU, &left)) {
		ferry_error_remedy(e, "install an OpenCL CPU driver (Debian: pocl-opencl-icd)");
		cl_close(&b->be);
		return ferry_fail(e, ENODEV, "no-device", "no OpenCL CPU device with number %u",
			config->device);
	}
	b->context = clCreateContext(NULL, 1, &b->device, NULL, NULL, &err);
	if (!b->context) {
		cl_close(&b->be);
		return ferry_fail(e, EIO, "no-device", "clCreateContext: error %d", err);
	}
	int r = cl_part_own(b, e);
	if (r < 0) {
		cl_close(&b->be);
		return r;
	}
	cl_backend_identify(b);
	*ret = &b->be;
	return 0;
}

static const struct be_device *cl_device(const struct backend *be)
{
	return &((const struct cl_backend *)be)->id;
}

static uint64_t cl_svm_base(const struct backend *be)
{
	const struct cl_backend *b = (const struct cl_backend *)be;
	cl_device_svm_capabilities can = 0;

	if (!b->config.base_is_fixed)
		return 0;
	clGetDeviceInfo(b->device, CL_DEVICE_SVM_CAPABILITIES, sizeof can, &can, NULL);
	return can & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER ? (uintptr_t)b->config.base : 0;
}

// ---- queues and memory

static void cl_queue_free(struct be_queue *q)
{
	if (q)
		clReleaseCommandQueue(cl_queue(q));
}

static void cl_queue_flush(struct be_queue *q)
{
	clFlush(cl_queue(q));
}

cl_int cl_wrap_mem(cl_mem mem, uint8_t *at, struct be_mem **ret)
{
	struct be_mem *m = malloc(sizeof *m);

	if (!m) {
		clReleaseMemObject(mem);
		return CL_OUT_OF_HOST_MEMORY;
	}
	*m = (struct be_mem){ .mem = mem, .at = at };
	*ret = m;
	return CL_SUCCESS;
}

static cl_int cl_mem_new(
	struct backend *be, cl_mem_flags flags, uint64_t offset, size_t size, struct be_mem **ret)
{
	struct cl_backend *b = cl_of(be);
	uint8_t *at = b->config.base + offset;
	cl_int err;
	cl_mem mem = clCreateBuffer(
		b->context, cl_mem_access(flags) | CL_MEM_USE_HOST_PTR, size, at, &err);

	return mem ? cl_wrap_mem(mem, at, ret) : err;
}

static cl_int cl_mem_sub(
	struct be_mem *parent, cl_mem_flags flags, size_t origin, size_t size, struct be_mem **ret)
{
	cl_buffer_region region = { origin, size };
	cl_int err;
	cl_mem mem = clCreateSubBuffer(
		parent->mem, cl_mem_access(flags), CL_BUFFER_CREATE_TYPE_REGION, &region, &err);

	if (mem)
		err = cl_wrap_mem(mem, parent->at + origin, ret);
	if (err == CL_SUCCESS)
		(*ret)->is_part = true;
	return err;
}

static void cl_mem_free(struct be_mem *m)
{
	if (!m)
		return;
	if (m->image)
		clReleaseMemObject(m->image);
	clReleaseMemObject(m->mem);
	free(m);
}

static void cl_mem_read(struct be_mem *m, size_t offset, void *to, size_t n)
{
	memcpy(to, m->at + offset, n);
}

static void cl_mem_write(struct be_mem *m, size_t offset, const void *from, size_t n)
{
	memcpy(m->at + offset, from, n);
}

// ---- kernels

static cl_int cl_kernel_new(
	struct be_program *p, const char *name, struct be_kernel **ret, uint32_t *ret_args)
{
	cl_int err;
	cl_kernel k = clCreateKernel((cl_program)p, name, &err);
	cl_uint args = 0;

	if (!k)
		return err;
	err = clGetKernelInfo(k, CL_KERNEL_NUM_ARGS, sizeof args, &args, NULL);
	if (err != CL_SUCCESS) {
		clReleaseKernel(k);
		return err;
	}
	*ret = (struct be_kernel *)k;
	*ret_args = args;
	return CL_SUCCESS;
}

cl_kernel_arg_address_qualifier cl_arg_address(cl_kernel k, cl_uint index)
{
	cl_kernel_arg_address_qualifier address = 0;
	cl_mem none = NULL;

	if (clGetKernelArgInfo(k, index, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof address, &address,
		    NULL) == CL_SUCCESS)
		return address;
	if (clSetKernelArg(k, index, sizeof none, NULL) != CL_SUCCESS)
		return CL_KERNEL_ARG_ADDRESS_PRIVATE;
	return clSetKernelArg(k, index, sizeof none, &none) == CL_SUCCESS
		       ? CL_KERNEL_ARG_ADDRESS_GLOBAL
		       : CL_KERNEL_ARG_ADDRESS_LOCAL;
}

static int cl_kernel_arg_kind(struct be_kernel *kernel, uint32_t index)
{
	cl_kernel k = (cl_kernel)kernel;
	cl_kernel_arg_access_qualifier access = CL_KERNEL_ARG_ACCESS_NONE;
	char type[64] = "";

	clGetKernelArgInfo(k, index, CL_KERNEL_ARG_ACCESS_QUALIFIER, sizeof access, &access, NULL);
	clGetKernelArgInfo(k, index, CL_KERNEL_ARG_TYPE_NAME, sizeof type - 1, type, NULL);
	if (access == CL_KERNEL_ARG_ACCESS_READ_ONLY || access == CL_KERNEL_ARG_ACCESS_WRITE_ONLY ||
		access == CL_KERNEL_ARG_ACCESS_READ_WRITE)
		return PROTO_ARG_IMAGE;
	if (!strcmp(type, "sampler_t"))
		return PROTO_ARG_SAMPLER;
	switch (cl_arg_address(k, index)) {
	case CL_KERNEL_ARG_ADDRESS_GLOBAL:
	case CL_KERNEL_ARG_ADDRESS_CONSTANT:
		return PROTO_ARG_BUFFER;
	case CL_KERNEL_ARG_ADDRESS_LOCAL:
		return PROTO_ARG_LOCAL;
	case CL_KERNEL_ARG_ADDRESS_PRIVATE:
		return PROTO_ARG_BYTES;
	default:
		return -1;
	}
}

static void cl_kernel_free(struct be_kernel *k)
{
	if (k)
		clReleaseKernel((cl_kernel)k);
}

static cl_int cl_kernel_set(struct be_kernel *k, uint32_t index, const void *bytes, size_t n)
{
	return clSetKernelArg((cl_kernel)k, index, n, bytes);
}

static cl_int cl_kernel_set_mem(struct be_kernel *k, uint32_t index, struct be_mem *m)
{
	cl_mem mem = !m ? NULL : m->image ? m->image : m->mem;

	return clSetKernelArg((cl_kernel)k, index, sizeof(cl_mem), &mem);
}

static cl_int cl_kernel_set_svm(
	struct be_kernel *k, uint32_t index, struct be_mem *m, size_t offset)
{
	return clSetKernelArgSVMPointer((cl_kernel)k, index, m->at + offset);
}

// PoCL 3.1 looks at it in the launch, by an assertion.
static cl_int cl_kernel_fits(struct backend *be, struct be_kernel *k)
{
	struct cl_backend *b = cl_of(be);
	cl_ulong needed = 0, most = 0;
	cl_int err = clGetDeviceInfo(b->device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof most, &most, NULL);

	if (err == CL_SUCCESS)
		err = clGetKernelWorkGroupInfo((cl_kernel)k, b->device, CL_KERNEL_LOCAL_MEM_SIZE,
			sizeof needed, &needed, NULL);
	return err == CL_SUCCESS && needed > most ? CL_OUT_OF_RESOURCES : err;
}

// ---- commands

static cl_int cl_launch(struct be_queue *q, const struct be_launch *l, struct be_ticket **ret)
{
	return clEnqueueNDRangeKernel(cl_queue(q), (cl_kernel)l->kernel, l->dims, l->offset,
		l->global, l->has_local ? l->local : NULL, 0, NULL, (cl_event *)ret);
}

static cl_int cl_copy(struct be_queue *q, struct be_mem *from, size_t from_offset,
	struct be_mem *to, size_t to_offset, size_t n, struct be_ticket **ret)
{
	return clEnqueueCopyBuffer(cl_queue(q), from->mem, to->mem, from_offset, to_offset, n, 0,
		NULL, (cl_event *)ret);
}

// Another buffer over the same bytes, which lives as long as the command.
static cl_int buffer_over(struct be_mem *m, cl_mem *ret)
{
	cl_context context;
	size_t size;
	cl_int err;

	err = clGetMemObjectInfo(m->mem, CL_MEM_CONTEXT, sizeof(cl_context), &context, NULL);
	if (err == CL_SUCCESS)
		err = clGetMemObjectInfo(m->mem, CL_MEM_SIZE, sizeof size, &size, NULL);
	if (err == CL_SUCCESS)
		*ret = clCreateBuffer(context, CL_MEM_USE_HOST_PTR, size, m->at, &err);
	return err;
}

// Where a part of a buffer is copied by rectangles PoCL 3.1 follows a bad pointer; where both boxes are in
// one buffer it fails the command for some that share no byte (check_copy_overlap, the example in the
// specification's appendix on overlaps), and for two images of it all whose pitches differ. Whether they do is the
// guest library's to say.
static cl_int copied_buffer(struct be_mem *m, bool is_other_too, cl_mem *ret)
{
	if (m->is_part || is_other_too)
		return buffer_over(m, ret);
	*ret = m->mem;
	return clRetainMemObject(m->mem);
}

static cl_int cl_copy_rect(struct be_queue *q, struct be_mem *from, const struct be_rect *from_rect,
	struct be_mem *to, const struct be_rect *to_rect, const size_t region[3],
	struct be_ticket **ret)
{
	cl_mem source, target;
	cl_int err = copied_buffer(from, false, &source);

	if (err != CL_SUCCESS)
		return err;
	err = copied_buffer(to, to->mem == from->mem, &target);
	if (err == CL_SUCCESS) {
		err = clEnqueueCopyBufferRect(cl_queue(q), source, target, from_rect->origin,
			to_rect->origin, region, from_rect->row_pitch, from_rect->slice_pitch,
			to_rect->row_pitch, to_rect->slice_pitch, 0, NULL, (cl_event *)ret);
		clReleaseMemObject(target);
	}
	clReleaseMemObject(source);
	return err;
}

static cl_int cl_fill(struct be_queue *q, struct be_mem *m, const void *pattern, size_t pattern_n,
	size_t offset, size_t n, struct be_ticket **ret)
{
	return clEnqueueFillBuffer(
		cl_queue(q), m->mem, pattern, pattern_n, offset, n, 0, NULL, (cl_event *)ret);
}

static cl_int cl_read(struct be_queue *q, struct be_mem *m, size_t offset, void *to, size_t n,
	struct be_ticket **ret)
{
	return clEnqueueReadBuffer(
		cl_queue(q), m->mem, CL_FALSE, offset, n, to, 0, NULL, (cl_event *)ret);
}

static cl_int cl_write(struct be_queue *q, struct be_mem *m, size_t offset, const void *from,
	size_t n, struct be_ticket **ret)
{
	return clEnqueueWriteBuffer(
		cl_queue(q), m->mem, CL_FALSE, offset, n, from, 0, NULL, (cl_event *)ret);
}

static cl_int cl_mark(struct be_queue *q, struct be_ticket **ret)
{
	return clEnqueueMarkerWithWaitList(cl_queue(q), 0, NULL, (cl_event *)ret);
}

struct watcher {
	struct cl_backend *b;
	void *token;
};

static void CL_CALLBACK on_complete(cl_event event, cl_int status, void *arg)
{
	struct watcher w = *(struct watcher *)arg;

	free(arg);
	w.b->config.complete(w.b->config.arg, w.token);
}

static cl_int cl_ticket_watch(struct backend *be, struct be_ticket *t, void *token)
{
	struct watcher *w = malloc(sizeof *w);

	if (!w)
		return CL_OUT_OF_HOST_MEMORY;
	*w = (struct watcher){ cl_of(be), token };
	cl_int err = clSetEventCallback(cl_event_of(t), CL_COMPLETE, on_complete, w);
	if (err != CL_SUCCESS)
		free(w);
	return err;
}

static uint64_t time_of(cl_event event, cl_profiling_info what)
{
	cl_ulong ns = 0;

	return clGetEventProfilingInfo(event, what, sizeof ns, &ns, NULL) == CL_SUCCESS ? ns : 0;
}

static cl_int cl_ticket_status(struct be_ticket *t, struct be_times *ret)
{
	cl_event event = cl_event_of(t);
	cl_int status = CL_COMPLETE;

	clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
	if (ret)
		*ret = (struct be_times){ time_of(event, CL_PROFILING_COMMAND_QUEUED),
			time_of(event, CL_PROFILING_COMMAND_SUBMIT),
			time_of(event, CL_PROFILING_COMMAND_START),
			time_of(event, CL_PROFILING_COMMAND_END) };
	return status;
}

static void cl_ticket_free(struct be_ticket *t)
{
	if (t)
		clReleaseEvent(cl_event_of(t));
}

const struct backend_ops backend_cl = {
	.name = "opencl",
	.open = cl_open,
	.close = cl_close,
	.warm_up = cl_backend_warm_up,
	.device = cl_device,
	.info = cl_backend_info,
	.svm_base = cl_svm_base,
	.part_new = cl_part_new,
	.queue_new = cl_queue_new,
	.queue_free = cl_queue_free,
	.queue_flush = cl_queue_flush,
	.mem_new = cl_mem_new,
	.mem_sub = cl_mem_sub,
	.image_new = cl_image_new,
	.mem_free = cl_mem_free,
	.mem_read = cl_mem_read,
	.mem_write = cl_mem_write,
	.sampler_new = cl_sampler_new,
	.sampler_free = cl_sampler_free,
	.program_source = cl_program_source,
	.program_binary = cl_program_binary,
	.program_free = cl_program_free,
	.build = cl_program_build,
	.build_result = cl_program_result,
	.program_get_binary = cl_program_get_binary,
	.program_lacks = cl_program_lacks,
	.kernel_new = cl_kernel_new,
	.kernel_arg_kind = cl_kernel_arg_kind,
	.kernel_free = cl_kernel_free,
	.kernel_set = cl_kernel_set,
	.kernel_set_mem = cl_kernel_set_mem,
	.kernel_set_sampler = cl_kernel_set_sampler,
	.kernel_set_svm = cl_kernel_set_svm,
	.kernel_fits = cl_kernel_fits,
	.launch = cl_launch,
	.copy = cl_copy,
	.copy_rect = cl_copy_rect,
	.fill = cl_fill,
	.read = cl_read,
	.write = cl_write,
	.mark = cl_mark,
	.image_fill = cl_image_fill,
	.ticket_watch = cl_ticket_watch,
	.ticket_status = cl_ticket_status,
	.ticket_free = cl_ticket_free,
};
