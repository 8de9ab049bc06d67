// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.6.1: program objects.
#include "guest/cl/program.h"

#include <stdlib.h>
#include <string.h>
#include "guest/cl/device.h"
#include "guest/cl/include.h"
#include "guest/stream/request.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"
#include "guest/stream/transfer.h"

static void destroy(struct object *o)
{
	cl_program p = (cl_program)o;

	free(p->source);
	free(p->options);
	buf_free(&p->binary);
	build_unref(p->build);
	devices_drop(&p->devices);
	object_unref(p->context);
}

const struct object_class program_class = { CL_INVALID_PROGRAM, destroy };

cl_program program_new(cl_context c)
{
	cl_program p = object_new(&program_class, sizeof *p, true);

	if (!p)
		return NULL;
	p->context = c;
	object_ref(c);
	p->status = CL_BUILD_NONE;
	if (!devices_take(&p->devices, c->devices.n, c->devices.at))
		return p;
	object_unref(p);
	return NULL;
}

bool program_is_executable(const struct _cl_program *p)
{
	return p->build && p->status == CL_BUILD_SUCCESS &&
	       p->build->binary_type == CL_PROGRAM_BINARY_TYPE_EXECUTABLE;
}

static cl_program finish(cl_program p, cl_int err, cl_int *errcode_ret)
{
	refuse(errcode_ret, err);
	if (!err)
		return p;
	object_unref(p);
	return NULL;
}

// ---- from source

static char *join(cl_uint n, const char **strings, const size_t *lengths)
{
	struct buf b = { 0 };

	for (cl_uint i = 0; i < n; i++) {
		size_t length = lengths && lengths[i] ? lengths[i] : strlen(strings[i]);
		buf_put(&b, strings[i], length);
	}
	buf_put_u8(&b, 0);
	if (b.failed)
		buf_free(&b);
	return (char *)b.data;
}

// A program of nothing is one, but no message has nothing to say.
static cl_int send_text(cl_program p, const char *text, size_t n)
{
	struct region r = n ? region_flat(text, n) : region_flat("\n", 1);
	size_t first = r.row < PROTO_INLINE_MAX ? r.row : PROTO_INLINE_MAX;
	struct p_program_source m = { p->o.id, p->context->o.id, r.row, { r.base, first } };
	uint32_t seq;

	if (r.row > PROTO_SOURCE_MAX)
		return CL_OUT_OF_HOST_MEMORY;
	cl_int err = send_program_source(0, &m, &seq);
	p->o.announced = !err;
	return err ? err : transfer_rest(seq, &r, first);
}

static cl_int expand_and_send(cl_program p, const char *options)
{
	struct buf text = { 0 };
	int r = include_expand(p->source, options, &text);
	bool numbered = r == 0 && (!p->o.announced || object_renumber(p));

	cl_int err =
		numbered ? send_text(p, (const char *)text.data, text.len) : CL_OUT_OF_HOST_MEMORY;
	buf_free(&text);
	return err;
}

cl_int program_send_source(cl_program p, const char *options)
{
	return p->o.announced || !p->has_source ? CL_SUCCESS : expand_and_send(p, options);
}

cl_int program_send_source_anew(cl_program p, const char *options)
{
	bool includes = p->has_source && include_present(p->source);

	return includes ? expand_and_send(p, options) : program_send_source(p, options);
}

// What includes files waits for the build, whose options say where they are.
static cl_int send_complete(cl_program p)
{
	return include_present(p->source) ? CL_SUCCESS : send_text(p, p->source, strlen(p->source));
}

cl_program ferry_clCreateProgramWithSource(
	cl_context c, cl_uint n, const char **strings, const size_t *lengths, cl_int *errcode_ret)
{
	LOCKED;
	cl_int err = object_check(c, &context_class);

	if (!err && (!n || !strings))
		err = CL_INVALID_VALUE;
	for (cl_uint i = 0; !err && i < n; i++)
		if (!strings[i])
			err = CL_INVALID_VALUE;
	if (err)
		return refuse(errcode_ret, err);
	cl_program p = program_new(c);
	if (!p)
		return refuse(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	p->has_source = true;
	p->source = join(n, strings, lengths);
	return finish(p, p->source ? send_complete(p) : CL_OUT_OF_HOST_MEMORY, errcode_ret);
}

// ---- from a binary

// Parts of one device run the same code, so that the first binary is for all.
static cl_int check_binaries(cl_context c, cl_uint n, const cl_device_id *devices,
	const size_t *lengths, const unsigned char **binaries)
{
	if (!n || !devices || !lengths || !binaries)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < n; i++) {
		cl_int err = devices_check(&c->devices, devices[i]);
		if (err)
			return err;
		if (!lengths[i] || !binaries[i])
			return CL_INVALID_VALUE;
	}
	return CL_SUCCESS;
}

// Whether it is a binary at all only the host can tell, so this waits.
static cl_int load(cl_program p, const unsigned char *binary, size_t n)
{
	struct region r = region_flat(binary, n);
	size_t first = n < PROTO_INLINE_MAX ? n : PROTO_INLINE_MAX;
	struct p_program_binary m = { p->o.id, p->context->o.id, n, { binary, first } };
	struct request answer = { 0 };
	uint32_t seq;

	if (n > PROTO_SOURCE_MAX)
		return CL_OUT_OF_HOST_MEMORY;
	cl_int err = send_program_binary(P_ANSWER, &m, &seq);
	if (err)
		return err;
	p->o.announced = true;
	request_begin(&answer, seq);
	err = transfer_rest(seq, &r, first);
	if (!err)
		return request_wait(&answer);
	request_forget(&answer);
	return err;
}

cl_program ferry_clCreateProgramWithBinary(cl_context c, cl_uint n, const cl_device_id *devices,
	const size_t *lengths, const unsigned char **binaries, cl_int *binary_status,
	cl_int *errcode_ret)
{
	LOCKED;
	cl_int err = object_check(c, &context_class);

	if (!err)
		err = check_binaries(c, n, devices, lengths, binaries);
	if (err)
		return refuse(errcode_ret, err);
	cl_program p = program_new(c);
	if (!p)
		return refuse(errcode_ret, CL_OUT_OF_HOST_MEMORY);
	p->has_binary = true;
	devices_drop(&p->devices);
	err = devices_take(&p->devices, n, devices);
	if (!err && p->devices.n != n)
		err = CL_INVALID_DEVICE; // one is there twice
	if (!err)
		err = load(p, binaries[0], lengths[0]);
	for (cl_uint i = 0; binary_status && i < n; i++)
		binary_status[i] = err;
	return finish(p, err, errcode_ret);
}

cl_int ferry_clRetainProgram(cl_program p)
{
	return object_retain(p, &program_class);
}

cl_int ferry_clReleaseProgram(cl_program p)
{
	return object_release(p, &program_class);
}
