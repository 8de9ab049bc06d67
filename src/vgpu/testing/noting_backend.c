// SPDX-License-Identifier: Apache-2.0
#include "vgpu/testing/noting_backend.h"
#include "vgpu/testing/fake_backend.h"
#include "vgpu/protocol/protocol.h"

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct be_program {
	bool is_built, is_native;
	int kind;
	char text[64], made_with[64]; // options; of a linked one its parts'
};

struct noted noted;
static struct backend_ops ops;

static int open_device(const struct be_config *config, struct backend **ret, struct ferry_error *e)
{
	int r = backend_fake.open(config, ret, e);

	if (r == 0)
		(*ret)->ops = &ops;
	return r;
}

static struct be_program *new_program(const char *text, size_t n)
{
	struct be_program *p = calloc(1, sizeof *p);

	CHECK(p && n < sizeof p->text);
	memcpy(p->text, text, n);
	return p;
}

static cl_int note_source(struct backend *be, const char *text, size_t n, struct be_program **ret)
{
	*ret = new_program(text, n);
	return CL_SUCCESS;
}

static cl_int note_binary(struct backend *be, const void *bytes, size_t n, struct be_program **ret)
{
	if (atomic_load(&noted.refuses_natives))
		return CL_INVALID_BINARY;
	*ret = new_program("", 0);
	(*ret)->is_native = true;
	CHECK(n < sizeof(*ret)->made_with);
	memcpy((*ret)->made_with, bytes, n);
	return CL_SUCCESS;
}

static void note_free(struct be_program *p)
{
	free(p);
}

static cl_int compile(struct be_program *p, const struct be_build *how)
{
	while (atomic_load(&noted.holds))
		usleep(1000);
	atomic_fetch_add(&noted.compiles, 1);
	for (uint32_t i = 0; i < how->n_inputs; i++)
		snprintf(noted.last_header, sizeof noted.last_header, "%s", how->inputs[i]->text);
	p->is_built = !strstr(p->text, "wrong");
	return p->is_built ? CL_SUCCESS : CL_COMPILE_PROGRAM_FAILURE;
}

static cl_int link_parts(struct be_program **ret, const struct be_build *how)
{
	atomic_fetch_add(&noted.links, 1);
	*ret = new_program("", 0);
	for (uint32_t i = 0; i < how->n_inputs; i++) {
		const struct be_program *part = how->inputs[i];
		if (!part->is_built || part->kind != BE_COMPILE)
			return CL_INVALID_OPERATION;
		size_t n = strlen((*ret)->made_with);
		snprintf((*ret)->made_with + n, sizeof(*ret)->made_with - n, "%s", part->made_with);
	}
	(*ret)->is_built = true;
	return CL_SUCCESS;
}

static cl_int note_build(struct backend *be, struct be_program **p, const struct be_build *how)
{
	cl_int err = CL_SUCCESS;

	if (how->kind == BE_LINK)
		err = link_parts(p, how);
	else if (how->kind == BE_COMPILE)
		err = compile(*p, how);
	else if (how->kind == BE_LOAD)
		(*p)->is_built = (*p)->is_native;
	else if (!(*p)->is_native)
		atomic_fetch_add(&noted.builds, 1);
	(*p)->kind = how->kind == BE_LOAD ? BE_COMPILE : how->kind;
	if (how->kind == BE_LINK || (*p)->is_native)
		return err;
	snprintf((*p)->made_with, sizeof(*p)->made_with, "%s", how->options);
	return err;
}

static int note_result(struct be_program *p, struct buf *body)
{
	return p_put_build_result_item(
		body, &(struct p_build_result){ .build_status = CL_BUILD_SUCCESS,
			      .binary_type = p->kind == BE_COMPILE
						     ? CL_PROGRAM_BINARY_TYPE_COMPILED_OBJECT
						     : CL_PROGRAM_BINARY_TYPE_EXECUTABLE });
}

static void put_binary(const struct be_origin *from, struct buf *binary)
{
	if (from->binary)
		buf_put(binary, from->bytes.data, from->bytes.len);
	else if (from->kind == BE_LINK)
		for (uint32_t i = 0; i < from->n_inputs; i++) {
			noted.last_input = from->inputs[i].binary ? "native" : "text";
			put_binary(&from->inputs[i], binary);
		}
	else
		buf_put(binary, from->options, strlen(from->options));
}

// The bytes are what it was made with.
static cl_int note_get_binary(struct backend *be, const struct be_origin *from, struct buf *binary)
{
	while (atomic_load(&noted.holds_binaries))
		usleep(1000);
	atomic_fetch_add(&noted.takes, 1);
	put_binary(from, binary);
	return CL_SUCCESS;
}

static void note_lacks(struct backend *be, const struct be_origin *from, struct buf *name)
{
	if (from->bytes.len && memmem(from->bytes.data, from->bytes.len, "nobody", 6))
		buf_put(name, "nobody", 6);
	for (uint32_t i = 0; i < from->n_inputs; i++)
		note_lacks(be, &from->inputs[i], name);
}

static cl_int note_kernel(
	struct be_program *p, const char *name, struct be_kernel **ret, uint32_t *ret_args)
{
	snprintf(noted.running, sizeof noted.running, "%s", p->made_with);
	return backend_fake.kernel_new(p, name, ret, ret_args);
}

const struct backend_ops *backend_noting(void)
{
	if (ops.open)
		return &ops;
	ops = backend_fake;
	ops.open = open_device;
	ops.program_source = note_source;
	ops.program_binary = note_binary;
	ops.program_free = note_free;
	ops.build = note_build;
	ops.build_result = note_result;
	ops.program_get_binary = note_get_binary;
	ops.program_lacks = note_lacks;
	ops.kernel_new = note_kernel;
	return &ops;
}
