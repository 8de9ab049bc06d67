// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/kernel.h"
#include "vgpu/session/image.h"
#include "vgpu/session/program.h"
#include "vgpu/session/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

// ---- argument sets

static void clear_arg(struct arg *a)
{
	if (a->kind == PROTO_ARG_BYTES && a->bytes > sizeof a->value.small)
		free(a->value.large);
	a->kind = PROTO_ARG_BYTES;
	a->bytes = 0;
}

struct arg_set *arg_set_new(uint32_t n)
{
	struct arg_set *set = calloc(1, sizeof *set + n * sizeof set->args[0]);

	if (set)
		*set = (struct arg_set){ .refs = 1, .n = n };
	return set;
}

struct arg_set *arg_set_unref(struct arg_set *set)
{
	if (!set || --set->refs)
		return NULL;
	for (uint32_t i = 0; i < set->n; i++)
		clear_arg(&set->args[i]);
	free(set);
	return NULL;
}

const uint8_t *arg_bytes(const struct arg *a)
{
	return a->bytes > sizeof a->value.small ? a->value.large : a->value.small;
}

int arg_set_bytes(struct arg *a, const void *bytes, size_t n)
{
	uint8_t *large = NULL;

	if (n > sizeof a->value.small && !(large = malloc(n)))
		return -ENOMEM;
	clear_arg(a);
	if (n)
		memcpy(large ? large : a->value.small, bytes, n);
	if (large)
		a->value.large = large;
	a->bytes = (uint32_t)n;
	return 0;
}

enum object_type arg_object_type(uint32_t kind)
{
	switch (kind) {
	case PROTO_ARG_BUFFER:
	case PROTO_ARG_SVM:
		return OBJECT_BUFFER;
	case PROTO_ARG_IMAGE:
		return OBJECT_IMAGE;
	case PROTO_ARG_SAMPLER:
		return OBJECT_SAMPLER;
	default:
		return 0;
	}
}

static struct arg_set *clone_set(const struct arg_set *from)
{
	struct arg_set *set = arg_set_new(from->n);

	for (uint32_t i = 0; set && i < from->n; i++) {
		const struct arg *a = &from->args[i];
		struct arg *to = &set->args[i];
		if (a->kind != PROTO_ARG_BYTES)
			*to = *a;
		else if (arg_set_bytes(to, arg_bytes(a), a->bytes) < 0)
			return arg_set_unref(set);
		to->version = a->version;
	}
	return set;
}

// The kernel's set, changed by nobody else: a launch that waits keeps the old one.
static struct arg_set *own_set(struct kernel *k)
{
	if (k->args->refs > 1) {
		struct arg_set *set = clone_set(k->args);
		if (!set)
			return NULL;
		arg_set_unref(k->args);
		k->args = set;
	}
	return k->args;
}

// ---- kernels

static void destroy(struct object *o)
{
	struct kernel *k = (struct kernel *)o;
	struct program *p = k->program;

	if (k->be)
		o->session->v->be->ops->kernel_free(k->be);
	arg_set_unref(k->args);
	free(k->applied);
	free(k->kinds);
	free(k->svm);
	free(k->name);
	object_fini(o);
	object_unref(&p->o);
	free(k);
}

int kernel_new(struct program *p, uint64_t serial, const char *name, struct kernel **ret)
{
	struct session *s = p->o.session;
	struct kernel *k = calloc(1, sizeof *k);
	int r = -ENOMEM;

	if (k && (k->name = strdup(name)))
		r = object_init(&k->o, &s->v->registry, OBJECT_KERNEL, s, serial, destroy);
	if (r < 0) {
		if (k)
			free(k->name);
		free(k);
		return r;
	}
	k->program = p;
	k->fits = KERNEL_FITS_UNKNOWN;
	object_ref(&p->o);
	*ret = k;
	return 0;
}

static int32_t set_up_args(struct kernel *k, uint32_t n)
{
	const struct backend_ops *ops = k->o.session->v->be->ops;

	if (n > KERNEL_ARGS_MAX || (k->args && k->args->n != n))
		return CL_INVALID_KERNEL_DEFINITION;
	if (!k->args)
		k->args = arg_set_new(n);
	k->applied = calloc(n + 1, sizeof *k->applied);
	k->kinds = calloc(n + 1, 1);
	if (!k->args || !k->applied || !k->kinds)
		return CL_OUT_OF_HOST_MEMORY;
	for (uint32_t i = 0; i < n; i++)
		k->kinds[i] = (int8_t)ops->kernel_arg_kind(k->be, i);
	return CL_SUCCESS;
}

void kernel_make(struct kernel *k)
{
	const struct backend_ops *ops = k->o.session->v->be->ops;
	uint32_t n = 0;

	if (k->be || k->o.failed != CL_SUCCESS)
		return;
	if (!program_is_executable(k->program)) {
		k->o.failed = CL_INVALID_PROGRAM_EXECUTABLE;
		return;
	}
	k->o.failed = ops->kernel_new(k->program->be, k->name, &k->be, &n);
	if (k->o.failed == CL_SUCCESS)
		k->o.failed = set_up_args(k, n);
}

// ---- arguments

static bool svm_holds(const struct object *o, uint64_t offset)
{
	const struct buffer *b = (const struct buffer *)o;

	return b->svm && offset < b->size;
}

// The offset of an SVM argument that names `o`; false where that is not inside it.
static bool take_offset(struct p_blob bytes, const struct object *o, uint64_t *ret)
{
	struct rd r = rd_make(bytes.at, bytes.n);

	*ret = rd_u64(&r);
	return !r.failed && !r.left && o && svm_holds(o, *ret);
}

static int change_arg(struct kernel *k, struct session *s, const struct p_arg *m)
{
	struct arg_set *set = own_set(k);
	enum object_type names = arg_object_type(m->kind);
	struct object *named = NULL;
	uint64_t offset = 0;

	if (!set)
		return -ENOMEM;
	if (m->index >= set->n || m->kind > PROTO_ARG_SVM)
		return -EBADMSG;
	struct arg *a = &set->args[m->index];
	if (m->kind == PROTO_ARG_BYTES) {
		if (arg_set_bytes(a, m->bytes.at, m->bytes.n) < 0)
			return -ENOMEM;
	} else {
		if (names && (m->value || m->kind != PROTO_ARG_BUFFER) &&
			!(named = session_find(s, (uint32_t)m->value, names)))
			return -EBADMSG;
		if (m->kind == PROTO_ARG_SVM && !take_offset(m->bytes, named, &offset))
			return -EBADMSG;
		clear_arg(a);
		a->kind = m->kind;
		a->bytes = m->kind != PROTO_ARG_LOCAL ? 0
			   : m->value > UINT32_MAX    ? UINT32_MAX
						      : (uint32_t)m->value;
		a->value.serial = named ? named->serial : 0;
		a->offset = offset;
	}
	a->version = ++k->versions;
	return 0;
}

int kernel_change_args(struct kernel *k, struct session *s, struct p_blob items)
{
	struct rd r = rd_make(items.at, items.n);
	struct p_arg m;

	while (r.left) {
		if (p_get_arg_item(&r, &m) < 0)
			return -EBADMSG;
		int err = k->args ? change_arg(k, s, &m) : 0;
		if (err < 0)
			return err;
	}
	if (items.n)
		object_touch(&k->o);
	return 0;
}

int kernel_change_svm(struct kernel *k, struct session *s, const struct p_ids *allocations)
{
	uint64_t *serials = calloc(allocations->n + 1, sizeof *serials);

	if (!serials)
		return -ENOMEM;
	for (uint32_t i = 0; i < allocations->n; i++) {
		struct object *o = session_find(s, p_id_at(allocations, i), OBJECT_BUFFER);
		if (!o || !((struct buffer *)o)->svm) {
			free(serials);
			return -EBADMSG;
		}
		serials[i] = o->serial;
	}
	kernel_set_svm(k, serials, allocations->n);
	object_touch(&k->o);
	return 0;
}

void kernel_set_svm(struct kernel *k, uint64_t *serials, uint32_t n)
{
	free(k->svm);
	k->svm = serials;
	k->n_svm = n;
}

// An object that an argument names: a buffer, image or sampler; NULL only for a buffer.
static int32_t apply_object(struct kernel *k, uint32_t i, const struct arg *a)
{
	struct vgpu *v = k->o.session->v;
	const struct backend_ops *ops = v->be->ops;
	enum object_type type = arg_object_type(a->kind);
	struct object *o = a->value.serial ? registry_find(&v->registry, a->value.serial) : NULL;

	if (!o && !a->value.serial && a->kind == PROTO_ARG_BUFFER)
		return ops->kernel_set_mem(k->be, i, NULL);
	if (!o || o->type != type)
		return type == OBJECT_SAMPLER ? CL_INVALID_SAMPLER : CL_INVALID_MEM_OBJECT;
	if (o->failed != CL_SUCCESS)
		return o->failed;
	if (type == OBJECT_SAMPLER)
		return ops->kernel_set_sampler(k->be, i, ((struct sampler *)o)->be);
	struct be_mem *mem = ((struct buffer *)o)->mem;
	if (a->kind != PROTO_ARG_SVM)
		return ops->kernel_set_mem(k->be, i, mem);
	return svm_holds(o, a->offset) ? ops->kernel_set_svm(k->be, i, mem, a->offset)
				       : CL_INVALID_ARG_VALUE;
}

static int32_t apply(struct kernel *k, uint32_t i, const struct arg *a)
{
	const struct backend_ops *ops = k->o.session->v->be->ops;

	if (!a->version)
		return CL_INVALID_KERNEL_ARGS;
	if (k->kinds[i] != (a->kind == PROTO_ARG_SVM ? PROTO_ARG_BUFFER : (int8_t)a->kind))
		return CL_INVALID_ARG_VALUE;
	switch (a->kind) {
	case PROTO_ARG_BYTES:
		return ops->kernel_set(k->be, i, arg_bytes(a), a->bytes);
	case PROTO_ARG_LOCAL:
		return ops->kernel_set(k->be, i, NULL, a->bytes);
	default:
		return apply_object(k, i, a);
	}
}

int32_t kernel_apply_args(struct kernel *k, const struct arg_set *set)
{
	const struct backend_ops *ops = k->o.session->v->be->ops;

	for (uint32_t i = 0; i < set->n; i++) {
		const struct arg *a = &set->args[i];
		if (a->version && a->version == k->applied[i])
			continue;
		int32_t err = apply(k, i, a);
		if (err != CL_SUCCESS) {
			k->applied[i] = 0;
			return err;
		}
		k->applied[i] = a->version;
		if (a->kind == PROTO_ARG_LOCAL)
			k->fits = KERNEL_FITS_UNKNOWN;
	}
	if (k->fits == KERNEL_FITS_UNKNOWN)
		k->fits = ops->kernel_fits(k->o.session->v->be, k->be);
	return k->fits;
}

#define FEW_GROUPS 65535 // below, PoCL 3.1 specialises (grid_width_specialization_limit)

uint64_t kernel_shape(const struct kernel *k, const struct be_launch *how)
{
	uint64_t key[8] = { how->dims, how->has_local };

	for (uint32_t i = 0; i < how->dims && i < 3; i++) {
		size_t local = how->local[i] ? how->local[i] : 1;
		key[2 + i] = how->has_local ? how->local[i] : how->global[i];
		key[5] |= how->offset[i] != 0;
		key[6] |= how->global[i] / local >= FEW_GROUPS;
	}
	return XXH3_64bits_withSeed(key, sizeof key, XXH3_64bits(k->name, strlen(k->name)));
}

bool kernel_note_shape(struct kernel *k, uint64_t shape)
{
	for (uint32_t i = 0; i < k->n_shapes; i++)
		if (k->shapes[i] == shape)
			return false;
	if (k->n_shapes == KERNEL_SHAPES)
		return false; // global sizes that change all the time, most likely
	k->shapes[k->n_shapes++] = shape;
	return !program_has_shape(k->program, shape);
}
