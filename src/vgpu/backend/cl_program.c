// SPDX-License-Identifier: Apache-2.0
// Programs on the host's OpenCL: compiling, and everything that the guest may ask of the result.
#include "vgpu/backend/cl_backend.h"
#include "vgpu/backend/cl_builtins.h"
#include "base/cleanup.h"
#include "vgpu/protocol/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cl_program cl_program_of(struct be_program *p)
{
	return (cl_program)p;
}

cl_int cl_program_source(struct backend *be, const char *text, size_t n, struct be_program **ret)
{
	const char *texts[] = { cl_builtins_before(&cl_of(be)->id, text, n), text };
	size_t lengths[] = { strlen(texts[0]), n };
	unsigned first = lengths[0] ? 0 : 1;
	cl_int err;

	*ret = (struct be_program *)clCreateProgramWithSource(
		cl_of(be)->context, 2 - first, texts + first, lengths + first, &err);
	return err;
}

cl_int cl_program_binary(struct backend *be, const void *bytes, size_t n, struct be_program **ret)
{
	struct cl_backend *b = cl_of(be);
	const unsigned char *binary = bytes;
	cl_int err, status = CL_SUCCESS;

	*ret = (struct be_program *)clCreateProgramWithBinary(
		b->context, 1, &b->device, &n, &binary, &status, &err);
	return err != CL_SUCCESS ? err : status;
}

void cl_program_free(struct be_program *p)
{
	if (p)
		clReleaseProgram(cl_program_of(p));
}

// Argument information is always asked for: without it nobody could tell a buffer argument from eight
// bytes of a guest's choosing, which the driver would take for a handle. PoCL tells it of a linked program when the linker was asked for it.
static const char arg_info[] = "-cl-kernel-arg-info";

static void blank(char *options, const char *word)
{
	size_t n = strlen(word);

	for (char *at = options; (at = strstr(at, word)); at += n)
		if ((at == options || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			memset(at, ' ', n);
}

// What a program promises not to use of features that the vGPU does not have means nothing to it, and
// PoCL 3.1 does not know the options.
static char *driver_options(const char *options, const char *more)
{
	char *all = NULL;

	if (asprintf(&all, "%s %s", options, more) < 0)
		return NULL;
	blank(all, "-cl-uniform-work-group-size");
	blank(all, "-cl-no-subgroup-ifp");
	return all;
}

static cl_int link_inputs(struct cl_backend *b, struct be_program **p, const struct be_build *how)
{
	_cleanup_free_ char *options = driver_options(how->options, arg_info);
	_cleanup_free_ char *plain = driver_options(how->options, "");
	cl_int err;

	if (!options || !plain)
		return CL_OUT_OF_HOST_MEMORY;
	*p = (struct be_program *)clLinkProgram(b->context, 1, &b->device, options, how->n_inputs,
		(const cl_program *)how->inputs, NULL, NULL, &err);
	if (err != CL_INVALID_LINKER_OPTIONS)
		return err;
	*p = (struct be_program *)clLinkProgram(b->context, 1, &b->device, plain, how->n_inputs,
		(const cl_program *)how->inputs, NULL, NULL, &err);
	return err;
}

static cl_int build_or_compile(
	struct cl_backend *b, struct be_program *program, const struct be_build *how)
{
	_cleanup_free_ char *options = driver_options(how->options, arg_info);
	const cl_program *headers = how->n_inputs ? (const cl_program *)how->inputs : NULL;
	const char **names = how->n_inputs ? (const char **)how->names : NULL;
	cl_program p = cl_program_of(program);

	if (!options)
		return CL_OUT_OF_HOST_MEMORY;
	if (how->kind == BE_BUILD)
		return clBuildProgram(p, 1, &b->device, options, NULL, NULL);
	return clCompileProgram(
		p, 1, &b->device, options, how->n_inputs, headers, names, NULL, NULL);
}

// The same text as a new program of the driver's.
static struct be_program *copy_of(struct cl_backend *b, struct be_program *program)
{
	size_t n = 0;
	_cleanup_free_ char *text = NULL;
	cl_program copy = NULL;
	cl_int err;

	clGetProgramInfo(cl_program_of(program), CL_PROGRAM_SOURCE, 0, NULL, &n);
	if (n > 1)
		text = calloc(1, n);
	if (text && clGetProgramInfo(cl_program_of(program), CL_PROGRAM_SOURCE, n, text, NULL) ==
			    CL_SUCCESS)
		copy = clCreateProgramWithSource(b->context, 1, (const char **)&text, NULL, &err);
	return (struct be_program *)copy;
}

cl_int cl_program_build(struct backend *be, struct be_program **p, const struct be_build *how)
{
	struct cl_backend *b = cl_of(be);

	if (how->kind == BE_LOAD)
		return CL_SUCCESS;
	if (how->kind == BE_LINK)
		return link_inputs(b, p, how);
	cl_int err = build_or_compile(b, *p, how);
	if (err != CL_INVALID_OPERATION)
		return err;
	// The guest has released every kernel, but a launch that is just over may still hold one: the
	// driver then refuses to build.
	struct be_program *copy = copy_of(b, *p);
	if (!copy)
		return err;
	cl_program_free(*p);
	*p = copy;
	return build_or_compile(b, copy, how);
}

// ---- the result

static cl_device_id device_of(cl_program p)
{
	cl_device_id device = NULL;

	clGetProgramInfo(p, CL_PROGRAM_DEVICES, sizeof device, &device, NULL);
	return device;
}

static struct p_blob text_blob(const char *text, size_t most)
{
	size_t n = text ? strlen(text) : 0;

	return (struct p_blob){ (const uint8_t *)text, n > most ? most : n };
}

// A string answer of unknown length; "" when there is none. The caller frees.
static char *kernel_text(cl_kernel k, cl_kernel_info what)
{
	size_t n = 0;
	char *text = NULL;

	if (clGetKernelInfo(k, what, 0, NULL, &n) == CL_SUCCESS && n && n < (1u << 20))
		text = calloc(1, n + 1);
	if (text && clGetKernelInfo(k, what, n, text, NULL) != CL_SUCCESS)
		text[0] = 0;
	return text;
}

static char *arg_text(cl_kernel k, cl_uint i, cl_kernel_arg_info what)
{
	size_t n = 0;
	char *text = NULL;

	if (clGetKernelArgInfo(k, i, what, 0, NULL, &n) == CL_SUCCESS && n && n < (1u << 20))
		text = calloc(1, n + 1);
	if (text && clGetKernelArgInfo(k, i, what, n, text, NULL) != CL_SUCCESS)
		text[0] = 0;
	return text;
}

static bool put_arg(cl_kernel k, cl_uint i, struct buf *body)
{
	struct p_kernel_arg_info m = { 0 };
	cl_kernel_arg_type_qualifier type_qualifier = 0;
	_cleanup_free_ char *type_name = arg_text(k, i, CL_KERNEL_ARG_TYPE_NAME);
	_cleanup_free_ char *name = arg_text(k, i, CL_KERNEL_ARG_NAME);
	bool known = clGetKernelArgInfo(k, i, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof m.address,
			     &m.address, NULL) == CL_SUCCESS;

	m.address = cl_arg_address(k, i);
	clGetKernelArgInfo(k, i, CL_KERNEL_ARG_ACCESS_QUALIFIER, sizeof m.access, &m.access, NULL);
	clGetKernelArgInfo(
		k, i, CL_KERNEL_ARG_TYPE_QUALIFIER, sizeof type_qualifier, &type_qualifier, NULL);
	m.type_qualifier = type_qualifier;
	m.type_name = text_blob(type_name, PROTO_NAME_MAX);
	m.name = text_blob(name, PROTO_NAME_MAX);
	p_put_kernel_arg_info_item(body, &m);
	return known;
}

static void put_work_group(cl_kernel k, cl_device_id device, struct p_kernel_info *m)
{
	size_t compile_size[3] = { 0 }, size = 0, multiple = 0;
	cl_ulong local = 0, private = 0;

	clGetKernelWorkGroupInfo(k, device, CL_KERNEL_WORK_GROUP_SIZE, sizeof size, &size, NULL);
	clGetKernelWorkGroupInfo(k, device, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof compile_size,
		compile_size, NULL);
	clGetKernelWorkGroupInfo(k, device, CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE,
		sizeof multiple, &multiple, NULL);
	clGetKernelWorkGroupInfo(k, device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local, &local, NULL);
	clGetKernelWorkGroupInfo(
		k, device, CL_KERNEL_PRIVATE_MEM_SIZE, sizeof private, &private, NULL);
	m->work_group_size = size;
	m->preferred_multiple = multiple;
	m->local_bytes = local;
	m->private_bytes = private;
	for (int i = 0; i < 3; i++)
		m->compile_work_group_size.v[i] = compile_size[i];
}

static void put_kernel(cl_kernel k, cl_device_id device, struct buf *body)
{
	struct p_kernel_info m = { 0 };
	cl_uint args = 0;
	_cleanup_free_ char *name = kernel_text(k, CL_KERNEL_FUNCTION_NAME);
	_cleanup_free_ char *attributes = kernel_text(k, CL_KERNEL_ATTRIBUTES);
	_cleanup_buf_ struct buf infos = { 0 };

	clGetKernelInfo(k, CL_KERNEL_NUM_ARGS, sizeof args, &args, NULL);
	m.has_arg_info = 1;
	for (cl_uint i = 0; i < args; i++)
		if (!put_arg(k, i, &infos))
			m.has_arg_info = 0;
	m.args = args;
	m.name = text_blob(name, PROTO_NAME_MAX);
	m.attributes = text_blob(attributes, PROTO_NAME_MAX);
	put_work_group(k, device, &m);
	p_put_kernel_info_item(body, &m);
	buf_put(body, infos.data, infos.len);
	if (infos.failed)
		body->failed = true;
}

// The kernels of an executable; none for a compiled or failed program.
static cl_kernel *kernels_of(cl_program p, cl_uint *ret_n)
{
	cl_uint n = 0;
	cl_kernel *kernels = NULL;

	*ret_n = 0;
	if (clCreateKernelsInProgram(p, 0, NULL, &n) == CL_SUCCESS && n)
		kernels = calloc(n, sizeof(cl_kernel));
	if (kernels && clCreateKernelsInProgram(p, n, kernels, NULL) == CL_SUCCESS)
		*ret_n = n;
	return kernels;
}

static char *build_log(cl_program p, cl_device_id device)
{
	size_t n = 0;
	char *log = NULL;

	clGetProgramBuildInfo(p, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &n);
	if (n)
		log = calloc(1, n + 1);
	if (log)
		clGetProgramBuildInfo(p, device, CL_PROGRAM_BUILD_LOG, n, log, NULL);
	return log;
}

int cl_program_result(struct be_program *program, struct buf *body)
{
	cl_program p = cl_program_of(program);
	cl_device_id device = device_of(p);
	_cleanup_free_ char *log = build_log(p, device);
	_cleanup_free_ cl_kernel *kernels = NULL;
	struct p_build_result m = { .build_status = CL_BUILD_ERROR };
	cl_uint n_kernels = 0;

	clGetProgramBuildInfo(
		p, device, CL_PROGRAM_BUILD_STATUS, sizeof m.build_status, &m.build_status, NULL);
	clGetProgramBuildInfo(
		p, device, CL_PROGRAM_BINARY_TYPE, sizeof m.binary_type, &m.binary_type, NULL);
	if (m.binary_type == CL_PROGRAM_BINARY_TYPE_EXECUTABLE)
		kernels = kernels_of(p, &n_kernels);
	m.kernels = n_kernels;
	m.log = text_blob(log, PROTO_LOG_MAX);
	p_put_build_result_item(body, &m);
	for (cl_uint i = 0; i < n_kernels; i++) {
		put_kernel(kernels[i], device, body);
		clReleaseKernel(kernels[i]);
	}
	return body->failed ? -ENOMEM : 0;
}

void cl_backend_warm_up(struct backend *be)
{
	static const char text[] = "__kernel void ferry_warm_up(__global int *a) { a[0] = 1; }";
	struct be_build how = { .kind = BE_BUILD, .options = "" };
	struct be_program *p = NULL;

	if (cl_program_source(be, text, sizeof text - 1, &p) != CL_SUCCESS)
		return;
	cl_program_build(be, &p, &how);
	cl_program_free(p);
}
