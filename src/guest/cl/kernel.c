// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.7: kernels. All that can be asked about one came with its program's build.
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "guest/cl/device.h"
#include "guest/cl/info.h"
#include "guest/cl/program.h"
#include "guest/cl/svm.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"

static void destroy(struct object *o)
{
	cl_kernel k = (cl_kernel)o;

	for (cl_uint i = 0; k->args && i < k->info->n_args; i++)
		free(k->args[i].bytes);
	free(k->args);
	free(k->svm);
	k->program->attached--;
	build_unref(k->build);
	object_unref(k->program);
	object_unref(k->context);
}

const struct object_class kernel_class = { CL_INVALID_KERNEL, destroy };

static cl_int kernel_new(cl_kernel *ret, cl_program p, const struct kernel_info *info)
{
	cl_kernel k = object_new(&kernel_class, sizeof *k, true);

	if (!k)
		return CL_OUT_OF_HOST_MEMORY;
	k->context = p->context;
	object_ref(k->context);
	k->program = p;
	object_ref(p);
	p->attached++;
	k->build = p->build;
	k->build->refs++;
	k->info = info;
	k->n_unset = info->n_args;
	k->args = calloc(info->n_args + 1, sizeof *k->args);
	struct p_kernel_create m = { k->o.id, p->o.id,
		{ (const uint8_t *)info->name, strlen(info->name) } };
	cl_int err = k->args ? send_kernel_create(0, &m, NULL) : CL_OUT_OF_HOST_MEMORY;
	if (err) {
		object_unref(k);
		return err;
	}
	k->o.announced = true;
	*ret = k;
	return CL_SUCCESS;
}

static cl_int check_built(cl_program p)
{
	cl_int err = object_check(p, &program_class);

	if (err)
		return err;
	return program_is_executable(p) ? CL_SUCCESS : CL_INVALID_PROGRAM_EXECUTABLE;
}

cl_kernel ferry_clCreateKernel(cl_program p, const char *name, cl_int *errcode_ret)
{
	LOCKED;
	cl_kernel k = NULL;
	cl_int err = check_built(p);

	if (!err && !name)
		err = CL_INVALID_VALUE;
	const struct kernel_info *info = err ? NULL : build_find(p->build, name);
	if (!err && !info)
		err = CL_INVALID_KERNEL_NAME;
	if (!err)
		err = kernel_new(&k, p, info);
	refuse(errcode_ret, err);
	return k;
}

cl_int ferry_clCreateKernelsInProgram(cl_program p, cl_uint n, cl_kernel *kernels, cl_uint *n_ret)
{
	LOCKED;
	cl_int err = check_built(p);
	cl_uint made = 0;

	if (err)
		return err;
	if (kernels && n < p->build->n_kernels)
		return CL_INVALID_VALUE;
	for (; kernels && !err && made < p->build->n_kernels; made++)
		err = kernel_new(&kernels[made], p, &p->build->kernels[made]);
	if (err) {
		while (made-- > 1)
			object_unref(kernels[made - 1]);
		return err;
	}
	if (n_ret)
		*n_ret = (cl_uint)p->build->n_kernels;
	return CL_SUCCESS;
}

// The arguments go to the host with the clone's first launch.
static cl_int copy_args(cl_kernel to, cl_kernel from)
{
	for (cl_uint i = 0; i < from->info->n_args; i++) {
		struct kernel_arg *a = &to->args[i];
		if (from->args[i].state == ARG_UNSET)
			continue;
		*a = from->args[i];
		a->state = ARG_CHANGED;
		a->bytes = a->n ? malloc(a->n) : NULL;
		if (a->n && !a->bytes)
			return CL_OUT_OF_HOST_MEMORY;
		if (a->n)
			memcpy(a->bytes, from->args[i].bytes, a->n);
		to->n_changed++;
		to->n_unset--;
	}
	return CL_SUCCESS;
}

cl_kernel ferry_clCloneKernel(cl_kernel from, cl_int *errcode_ret)
{
	LOCKED;
	cl_kernel k = NULL;
	cl_int err = object_check(from, &kernel_class);

	if (!err)
		err = kernel_new(&k, from->program, from->info);
	if (!err)
		err = copy_args(k, from);
	if (!err)
		err = svm_name_copy(k, from);
	refuse(errcode_ret, err);
	if (!err)
		return k;
	object_unref(k);
	return NULL;
}

cl_int ferry_clRetainKernel(cl_kernel k)
{
	return object_retain(k, &kernel_class);
}

cl_int ferry_clReleaseKernel(cl_kernel k)
{
	return object_release(k, &kernel_class);
}

// ---- information

cl_int ferry_clGetKernelInfo(
	cl_kernel k, cl_kernel_info param, size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_KERNEL_REFERENCE_COUNT, struct _cl_kernel, o.users),
		INFO_OF(CL_KERNEL_CONTEXT, struct _cl_kernel, context),
		INFO_OF(CL_KERNEL_PROGRAM, struct _cl_kernel, program),
	};
	static const struct info_row told[] = {
		INFO_TEXT(CL_KERNEL_FUNCTION_NAME, struct kernel_info, name),
		INFO_TEXT(CL_KERNEL_ATTRIBUTES, struct kernel_info, attributes),
		INFO_OF(CL_KERNEL_NUM_ARGS, struct kernel_info, n_args),
	};
	LOCKED;
	cl_int err = object_check(k, &kernel_class);

	if (err)
		return err;
	if (info_has(rows, ARRAY_SIZE(rows), param))
		return info_get(rows, ARRAY_SIZE(rows), k, param, size, value, size_ret);
	return info_get(told, ARRAY_SIZE(told), k->info, param, size, value, size_ret);
}

// OpenCL 3.0, section 5.9.4: the sizes of its __local arguments count, once they are set.
static cl_ulong local_bytes(const struct _cl_kernel *k)
{
	cl_ulong n = k->info->local_bytes;

	for (cl_uint i = 0; i < k->info->n_args; i++)
		if (k->args[i].state != ARG_UNSET && k->args[i].kind == PROTO_ARG_LOCAL)
			n += k->args[i].value;
	return n;
}

cl_int ferry_clGetKernelWorkGroupInfo(cl_kernel k, cl_device_id d, cl_kernel_work_group_info param,
	size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_KERNEL_WORK_GROUP_SIZE, struct kernel_info, work_group_size),
		INFO_OF(CL_KERNEL_COMPILE_WORK_GROUP_SIZE, struct kernel_info, compile_size),
		INFO_OF(CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, struct kernel_info,
			preferred_multiple),
		INFO_OF(CL_KERNEL_PRIVATE_MEM_SIZE, struct kernel_info, private_bytes),
	};
	LOCKED;
	cl_int err = object_check(k, &kernel_class);

	if (!err && (d || k->program->devices.n > 1))
		err = devices_check(&k->program->devices, d);
	if (!err && param == CL_KERNEL_LOCAL_MEM_SIZE) {
		cl_ulong n = local_bytes(k);
		return info_value(&n, sizeof n, size, value, size_ret);
	}
	return err ? err : info_get(rows, ARRAY_SIZE(rows), k->info, param, size, value, size_ret);
}

cl_int ferry_clGetKernelArgInfo(cl_kernel k, cl_uint index, cl_kernel_arg_info param, size_t size,
	void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_KERNEL_ARG_ADDRESS_QUALIFIER, struct kernel_arg_info, address),
		INFO_OF(CL_KERNEL_ARG_ACCESS_QUALIFIER, struct kernel_arg_info, access),
		INFO_OF(CL_KERNEL_ARG_TYPE_QUALIFIER, struct kernel_arg_info, type_qualifier),
		INFO_TEXT(CL_KERNEL_ARG_TYPE_NAME, struct kernel_arg_info, type_name),
		INFO_TEXT(CL_KERNEL_ARG_NAME, struct kernel_arg_info, name),
	};
	LOCKED;
	cl_int err = object_check(k, &kernel_class);

	if (err)
		return err;
	if (index >= k->info->n_args)
		return CL_INVALID_ARG_INDEX;
	if (!k->info->has_arg_info)
		return CL_KERNEL_ARG_INFO_NOT_AVAILABLE;
	return info_get(
		rows, ARRAY_SIZE(rows), &k->info->args[index], param, size, value, size_ret);
}
