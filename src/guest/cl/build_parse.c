// SPDX-License-Identifier: Apache-2.0
// The body of a build's answer, made into what clGetKernel*Info and the argument checks need.
#include <stdlib.h>
#include <string.h>
#include "guest/cl/argtype.h"
#include "guest/cl/program.h"
#include "vgpu/protocol/protocol.h"

#define KERNELS_MAX 16384
#define ARGS_MAX    1024

static char *text_of(const struct p_blob *b)
{
	return strndup((const char *)b->at, b->n);
}

static void free_kernel(struct kernel_info *k)
{
	for (cl_uint i = 0; k->args && i < k->n_args; i++) {
		free(k->args[i].type_name);
		free(k->args[i].name);
	}
	free(k->args);
	free(k->name);
	free(k->attributes);
}

void build_unref(struct build *b)
{
	if (!b || --b->refs)
		return;
	for (size_t i = 0; b->kernels && i < b->n_kernels; i++)
		free_kernel(&b->kernels[i]);
	free(b->kernels);
	free(b->log);
	free(b);
}

static bool parse_arg(struct rd *r, struct kernel_arg_info *a)
{
	struct p_kernel_arg_info m;

	if (p_get_kernel_arg_info_item(r, &m) < 0)
		return false;
	a->address = m.address;
	a->access = m.access;
	a->type_qualifier = m.type_qualifier;
	a->type_name = text_of(&m.type_name);
	a->name = text_of(&m.name);
	if (!a->type_name || !a->name)
		return false;
	a->size = argtype_size(a->type_name);
	return true;
}

static bool parse_kernel(struct rd *r, struct kernel_info *k)
{
	struct p_kernel_info m;

	if (p_get_kernel_info_item(r, &m) < 0 || m.args > ARGS_MAX)
		return false;
	k->name = text_of(&m.name);
	k->attributes = text_of(&m.attributes);
	k->work_group_size = m.work_group_size;
	for (int i = 0; i < 3; i++)
		k->compile_size[i] = m.compile_work_group_size.v[i];
	k->local_bytes = m.local_bytes;
	k->preferred_multiple = m.preferred_multiple;
	k->private_bytes = m.private_bytes;
	k->n_args = m.args;
	k->has_arg_info = m.has_arg_info;
	k->args = calloc(m.args + 1, sizeof *k->args);
	if (!k->name || !k->attributes || !k->args)
		return false;
	for (cl_uint i = 0; i < k->n_args; i++)
		if (!parse_arg(r, &k->args[i]))
			return false;
	return true;
}

static bool parse(struct rd *r, struct build *b)
{
	struct p_build_result m;

	if (p_get_build_result_item(r, &m) < 0 || m.kernels > KERNELS_MAX)
		return false;
	b->status = m.build_status;
	b->binary_type = m.binary_type;
	b->log = text_of(&m.log);
	b->kernels = calloc(m.kernels + 1, sizeof *b->kernels);
	if (!b->log || !b->kernels)
		return false;
	b->n_kernels = m.kernels;
	for (size_t i = 0; i < b->n_kernels; i++)
		if (!parse_kernel(r, &b->kernels[i]))
			return false;
	return r->left == 0;
}

struct build *build_parse(const struct buf *body)
{
	struct rd r = rd_make(body->data, body->len);
	struct build *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->refs = 1;
	if (parse(&r, b))
		return b;
	build_unref(b);
	return NULL;
}

const struct kernel_info *build_find(const struct build *b, const char *name)
{
	for (size_t i = 0; b && i < b->n_kernels; i++)
		if (!strcmp(b->kernels[i].name, name))
			return &b->kernels[i];
	return NULL;
}
