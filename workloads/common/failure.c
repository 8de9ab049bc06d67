// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define NAME(code)                                                                                 \
	{                                                                                          \
		code, #code                                                                        \
	}

static const struct {
	cl_int status;
	const char *name;
} status_names[] = {
	NAME(CL_SUCCESS),
	NAME(CL_DEVICE_NOT_FOUND),
	NAME(CL_DEVICE_NOT_AVAILABLE),
	NAME(CL_COMPILER_NOT_AVAILABLE),
	NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE),
	NAME(CL_OUT_OF_RESOURCES),
	NAME(CL_OUT_OF_HOST_MEMORY),
	NAME(CL_PROFILING_INFO_NOT_AVAILABLE),
	NAME(CL_MEM_COPY_OVERLAP),
	NAME(CL_BUILD_PROGRAM_FAILURE),
	NAME(CL_MAP_FAILURE),
	NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET),
	NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
	NAME(CL_INVALID_VALUE),
	NAME(CL_INVALID_DEVICE_TYPE),
	NAME(CL_INVALID_PLATFORM),
	NAME(CL_INVALID_DEVICE),
	NAME(CL_INVALID_CONTEXT),
	NAME(CL_INVALID_QUEUE_PROPERTIES),
	NAME(CL_INVALID_COMMAND_QUEUE),
	NAME(CL_INVALID_HOST_PTR),
	NAME(CL_INVALID_MEM_OBJECT),
	NAME(CL_INVALID_BINARY),
	NAME(CL_INVALID_BUILD_OPTIONS),
	NAME(CL_INVALID_PROGRAM),
	NAME(CL_INVALID_PROGRAM_EXECUTABLE),
	NAME(CL_INVALID_KERNEL_NAME),
	NAME(CL_INVALID_KERNEL_DEFINITION),
	NAME(CL_INVALID_KERNEL),
	NAME(CL_INVALID_ARG_INDEX),
	NAME(CL_INVALID_ARG_VALUE),
	NAME(CL_INVALID_ARG_SIZE),
	NAME(CL_INVALID_KERNEL_ARGS),
	NAME(CL_INVALID_WORK_DIMENSION),
	NAME(CL_INVALID_WORK_GROUP_SIZE),
	NAME(CL_INVALID_WORK_ITEM_SIZE),
	NAME(CL_INVALID_GLOBAL_OFFSET),
	NAME(CL_INVALID_EVENT_WAIT_LIST),
	NAME(CL_INVALID_EVENT),
	NAME(CL_INVALID_OPERATION),
	NAME(CL_INVALID_BUFFER_SIZE),
	NAME(CL_INVALID_GLOBAL_WORK_SIZE),
	{ -1001, "CL_PLATFORM_NOT_FOUND_KHR" },
};

const char *cl_status_name(cl_int status)
{
	for (size_t i = 0; i < sizeof status_names / sizeof *status_names; i++)
		if (status_names[i].status == status)
			return status_names[i].name;
	return "unknown OpenCL error";
}

int fail(struct failure *f, int err, const char *fmt, ...)
{
	va_list ap;

	if (f) {
		va_start(ap, fmt);
		vsnprintf(f->text, sizeof f->text, fmt, ap);
		va_end(ap);
	}
	return err < 0 ? err : -err;
}

static int errno_of(cl_int status)
{
	switch (status) {
	case CL_MEM_OBJECT_ALLOCATION_FAILURE:
	case CL_OUT_OF_RESOURCES:
	case CL_OUT_OF_HOST_MEMORY:
	case CL_INVALID_BUFFER_SIZE:
		return -ENOMEM;
	case CL_DEVICE_NOT_FOUND:
	case CL_DEVICE_NOT_AVAILABLE:
	case -1001:
		return -ENODEV;
	default:
		return status <= CL_INVALID_VALUE ? -EINVAL : -EIO;
	}
}

int fail_cl(struct failure *f, cl_int status, const char *what)
{
	return fail(f, errno_of(status), "%s: %s (%d)", what, cl_status_name(status), status);
}
