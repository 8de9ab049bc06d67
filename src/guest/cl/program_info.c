// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.6.7: what is known about programs.
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "guest/cl/device.h"
#include "guest/cl/info.h"
#include "guest/cl/program.h"
#include "guest/stream/request.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"

#define BINARY_MAX (256u << 20)

// Asks the host anew: a program's binary grows with its launches.
static cl_int fetch_binary(cl_program p)
{
	struct request answer = { .body.limit = BINARY_MAX };
	struct p_program_query_binary m = { p->o.id };
	uint32_t seq;
	cl_int err = send_program_query_binary(0, &m, &seq);

	if (err)
		return err;
	request_begin(&answer, seq);
	err = request_wait(&answer);
	if (err) {
		buf_free(&answer.body);
		return err;
	}
	buf_free(&p->binary);
	p->binary = answer.body;
	return CL_SUCCESS;
}

// The size is that of what CL_PROGRAM_BINARIES will hand out. 0: there is none (yet).
static cl_int binary_size(cl_program p, size_t *ret)
{
	cl_int err = p->build || p->has_binary ? fetch_binary(p) : CL_SUCCESS;

	*ret = p->binary.len;
	return err == CL_INVALID_PROGRAM_EXECUTABLE ? CL_SUCCESS : err;
}

// One size for each device: they run the same code.
static cl_int get_sizes(cl_program p, size_t size, void *value, size_t *size_ret)
{
	size_t n, all = p->devices.n * sizeof n, *sizes = value;
	cl_int err = binary_size(p, &n);

	if (!err && value && size < all)
		err = CL_INVALID_VALUE;
	for (cl_uint i = 0; !err && value && i < p->devices.n; i++)
		sizes[i] = n;
	if (!err && size_ret)
		*size_ret = all;
	return err;
}

// `binaries` holds one pointer for each device, to as many bytes as were told, or NULL where none is
// wanted.
static cl_int get_binaries(cl_program p, size_t size, unsigned char **binaries, size_t *size_ret)
{
	size_t n, all = p->devices.n * sizeof *binaries;

	if (binaries && size < all)
		return CL_INVALID_VALUE;
	if (size_ret)
		*size_ret = all;
	cl_int err = p->binary.len ? CL_SUCCESS : binary_size(p, &n);
	for (cl_uint i = 0; !err && binaries && i < p->devices.n; i++)
		if (binaries[i] && p->binary.len)
			memcpy(binaries[i], p->binary.data, p->binary.len);
	return err;
}

// "a;b;c"
static cl_int kernel_names(cl_program p, size_t size, void *value, size_t *size_ret)
{
	_cleanup_buf_ struct buf b = { 0 };

	for (size_t i = 0; i < p->build->n_kernels; i++) {
		const char *name = p->build->kernels[i].name;
		if (i)
			buf_put_u8(&b, ';');
		buf_put(&b, name, strlen(name));
	}
	buf_put_u8(&b, 0);
	return b.failed ? CL_OUT_OF_HOST_MEMORY : info_value(b.data, b.len, size, value, size_ret);
}

cl_int ferry_clGetProgramInfo(
	cl_program p, cl_program_info param, size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_PROGRAM_REFERENCE_COUNT, struct _cl_program, o.users),
		INFO_OF(CL_PROGRAM_CONTEXT, struct _cl_program, context),
		INFO_OF(CL_PROGRAM_NUM_DEVICES, struct _cl_program, devices.n),
		INFO_TEXT(CL_PROGRAM_SOURCE, struct _cl_program, source),
	};
	static const cl_bool no = CL_FALSE;
	LOCKED;
	cl_int err = object_check(p, &program_class);

	if (err)
		return err;
	switch (param) {
	case CL_PROGRAM_DEVICES:
		return info_value(
			p->devices.at, p->devices.n * sizeof(cl_device_id), size, value, size_ret);
	case CL_PROGRAM_IL:
		return info_value(NULL, 0, size, value, size_ret);
	case CL_PROGRAM_SCOPE_GLOBAL_CTORS_PRESENT:
	case CL_PROGRAM_SCOPE_GLOBAL_DTORS_PRESENT:
		return info_value(&no, sizeof no, size, value, size_ret);
	case CL_PROGRAM_BINARY_SIZES:
		return get_sizes(p, size, value, size_ret);
	case CL_PROGRAM_BINARIES:
		return get_binaries(p, size, value, size_ret);
	case CL_PROGRAM_NUM_KERNELS:
		if (!program_is_executable(p))
			return CL_INVALID_PROGRAM_EXECUTABLE;
		return info_value(&p->build->n_kernels, sizeof(size_t), size, value, size_ret);
	case CL_PROGRAM_KERNEL_NAMES:
		if (!program_is_executable(p))
			return CL_INVALID_PROGRAM_EXECUTABLE;
		return kernel_names(p, size, value, size_ret);
	default:
		return info_get(rows, ARRAY_SIZE(rows), p, param, size, value, size_ret);
	}
}

// What a program made of a binary is before it is built only the host can tell; nothing, when it is no
// binary.
static cl_int fetch_type(cl_program p)
{
	struct request answer = { .body.limit = BINARY_MAX };
	struct p_program_query_type m = { p->o.id };
	uint32_t seq;
	cl_int err = send_program_query_type(0, &m, &seq);

	if (err)
		return err;
	request_begin(&answer, seq);
	err = request_wait(&answer);
	if (!err && !p->build)
		p->build = build_parse(&answer.body);
	buf_free(&answer.body);
	return err;
}

static cl_int get_type(cl_program p, size_t size, void *value, size_t *size_ret)
{
	cl_program_binary_type type = CL_PROGRAM_BINARY_TYPE_NONE;
	bool loaded = p->has_binary && p->status == CL_BUILD_NONE;

	if (loaded && !p->build && fetch_type(p) == CL_DEVICE_NOT_AVAILABLE)
		return CL_DEVICE_NOT_AVAILABLE;
	if (p->build && (loaded || p->status == CL_BUILD_SUCCESS))
		type = p->build->binary_type;
	return info_value(&type, sizeof type, size, value, size_ret);
}

cl_int ferry_clGetProgramBuildInfo(cl_program p, cl_device_id d, cl_program_build_info param,
	size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_PROGRAM_BUILD_STATUS, struct _cl_program, status),
		INFO_TEXT(CL_PROGRAM_BUILD_OPTIONS, struct _cl_program, options),
	};
	static const size_t no_variables;
	LOCKED;
	cl_int err = object_check(p, &program_class);

	if (!err)
		err = devices_check(&p->devices, d);
	if (err)
		return err;
	if (param == CL_PROGRAM_BUILD_LOG)
		return info_text(p->build ? p->build->log : "", size, value, size_ret);
	if (param == CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE)
		return info_value(&no_variables, sizeof no_variables, size, value, size_ret);
	if (param == CL_PROGRAM_BINARY_TYPE)
		return get_type(p, size, value, size_ret);
	return info_get(rows, ARRAY_SIZE(rows), p, param, size, value, size_ret);
}
