// SPDX-License-Identifier: Apache-2.0
// OpenCL 3.0, section 5.9.2: clSetKernelArg and clSetKernelArgSVMPointer. Nothing is sent: changed arguments travel with the next
// launch, and one that is set to what it was is not changed.
#include <stdlib.h>
#include <string.h>
#include "guest/stream/session.h"
#include "guest/cl/argtype.h"
#include "guest/cl/svm.h"
#include "guest/cl/types.h"
#include "vgpu/protocol/protocol.h"

static void changed(cl_kernel k, struct kernel_arg *a)
{
	if (a->state == ARG_UNSET)
		k->n_unset--;
	if (a->state != ARG_CHANGED)
		k->n_changed++;
	a->state = ARG_CHANGED;
}

static cl_int set_local(cl_kernel k, struct kernel_arg *a, size_t size, const void *value)
{
	if (value)
		return CL_INVALID_ARG_VALUE;
	if (!size)
		return CL_INVALID_ARG_SIZE;
	if (a->state != ARG_UNSET && a->kind == PROTO_ARG_LOCAL && a->value == size)
		return CL_SUCCESS;
	a->kind = PROTO_ARG_LOCAL;
	a->value = size;
	changed(k, a);
	return CL_SUCCESS;
}

// An object that the argument names; NULL for a buffer that is none. `offset`: of shared virtual memory.
static void set_object(cl_kernel k, struct kernel_arg *a, uint32_t kind,
	const struct object *object, uint64_t offset)
{
	uint32_t id = object ? object->id : 0, serial = object ? object->serial : 0;

	if (a->state != ARG_UNSET && a->kind == kind && a->value == id && a->serial == serial &&
		a->offset == offset)
		return;
	a->kind = kind;
	a->value = id;
	a->serial = serial;
	a->offset = offset;
	changed(k, a);
}

static cl_int set_buffer(cl_kernel k, struct kernel_arg *a, size_t size, const void *value)
{
	cl_mem m = NULL;

	if (size != sizeof m)
		return CL_INVALID_ARG_SIZE;
	if (value)
		memcpy(&m, value, sizeof m);
	cl_int err = m ? object_check(m, &mem_class) : CL_SUCCESS;
	if (err)
		return err;
	if (m && m->context != k->context)
		return CL_INVALID_MEM_OBJECT;
	if (m && m->type != CL_MEM_OBJECT_BUFFER)
		return CL_INVALID_ARG_VALUE;
	set_object(k, a, PROTO_ARG_BUFFER, m ? &m->o : NULL, 0);
	return CL_SUCCESS;
}

static cl_int set_image(cl_kernel k, struct kernel_arg *a, const struct kernel_arg_info *info,
	size_t size, const void *value)
{
	cl_mem m = NULL;

	if (!value)
		return CL_INVALID_ARG_VALUE;
	if (size != sizeof m)
		return CL_INVALID_ARG_SIZE;
	memcpy(&m, value, sizeof m);
	cl_int err = object_check(m, &mem_class);
	if (err)
		return err;
	if (m->context != k->context || m->type == CL_MEM_OBJECT_BUFFER)
		return CL_INVALID_MEM_OBJECT;
	cl_mem_object_type type = argtype_image(info->type_name);
	if (type && m->type != type)
		return CL_INVALID_ARG_VALUE;
	if ((info->access == CL_KERNEL_ARG_ACCESS_READ_ONLY && m->flags & CL_MEM_WRITE_ONLY) ||
		(info->access == CL_KERNEL_ARG_ACCESS_WRITE_ONLY && m->flags & CL_MEM_READ_ONLY))
		return CL_INVALID_ARG_VALUE;
	set_object(k, a, PROTO_ARG_IMAGE, &m->o, 0);
	return CL_SUCCESS;
}

static cl_int set_sampler(cl_kernel k, struct kernel_arg *a, size_t size, const void *value)
{
	cl_sampler s = NULL;

	if (!value)
		return CL_INVALID_SAMPLER;
	if (size != sizeof s)
		return CL_INVALID_ARG_SIZE;
	memcpy(&s, value, sizeof s);
	cl_int err = object_check(s, &sampler_class);
	if (err)
		return err;
	if (s->context != k->context)
		return CL_INVALID_SAMPLER;
	set_object(k, a, PROTO_ARG_SAMPLER, &s->o, 0);
	return CL_SUCCESS;
}

static cl_int set_bytes(cl_kernel k, struct kernel_arg *a, size_t size, const void *value)
{
	if (!value)
		return CL_INVALID_ARG_VALUE;
	if (a->state != ARG_UNSET && a->kind == PROTO_ARG_BYTES && a->n == size &&
		!memcmp(a->bytes, value, size))
		return CL_SUCCESS;
	if (a->n != size) {
		uint8_t *bytes = realloc(a->bytes, size);
		if (!bytes)
			return CL_OUT_OF_HOST_MEMORY;
		a->bytes = bytes;
		a->n = size;
	}
	memcpy(a->bytes, value, size);
	a->kind = PROTO_ARG_BYTES;
	a->value = 0;
	changed(k, a);
	return CL_SUCCESS;
}

static bool is_pointer(const struct kernel_arg_info *info)
{
	return info->access == CL_KERNEL_ARG_ACCESS_NONE &&
	       (info->address == CL_KERNEL_ARG_ADDRESS_GLOBAL ||
		       info->address == CL_KERNEL_ARG_ADDRESS_CONSTANT);
}

cl_int ferry_clSetKernelArgSVMPointer(cl_kernel k, cl_uint index, const void *value)
{
	LOCKED;
	cl_int err = object_check(k, &kernel_class);

	if (err)
		return err;
	if (!svm_is_there())
		return CL_INVALID_OPERATION;
	if (index >= k->info->n_args)
		return CL_INVALID_ARG_INDEX;
	cl_mem m = value ? svm_at(value, k->context) : NULL;
	if (!is_pointer(&k->info->args[index]) || (value && !m))
		return CL_INVALID_ARG_VALUE;
	set_object(k, &k->args[index], m ? PROTO_ARG_SVM : PROTO_ARG_BUFFER, m ? &m->o : NULL,
		m ? svm_offset(m, value) : 0);
	return CL_SUCCESS;
}

cl_int ferry_clSetKernelArg(cl_kernel k, cl_uint index, size_t size, const void *value)
{
	LOCKED;
	cl_int err = object_check(k, &kernel_class);

	if (err)
		return err;
	if (index >= k->info->n_args)
		return CL_INVALID_ARG_INDEX;
	const struct kernel_arg_info *info = &k->info->args[index];
	if (info->access == CL_KERNEL_ARG_ACCESS_READ_ONLY ||
		info->access == CL_KERNEL_ARG_ACCESS_WRITE_ONLY ||
		info->access == CL_KERNEL_ARG_ACCESS_READ_WRITE)
		return set_image(k, &k->args[index], info, size, value);
	if (!strcmp(info->type_name, "sampler_t"))
		return set_sampler(k, &k->args[index], size, value);
	switch (info->address) {
	case CL_KERNEL_ARG_ADDRESS_LOCAL:
		return set_local(k, &k->args[index], size, value);
	case CL_KERNEL_ARG_ADDRESS_GLOBAL:
	case CL_KERNEL_ARG_ADDRESS_CONSTANT:
		return set_buffer(k, &k->args[index], size, value);
	default:
		if (!size || size > PROTO_ARG_MAX || (info->size && info->size != size))
			return CL_INVALID_ARG_SIZE;
		return set_bytes(k, &k->args[index], size, value);
	}
}
