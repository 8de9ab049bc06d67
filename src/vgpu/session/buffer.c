// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/buffer.h"
#include "vgpu/session/session.h"

#include <errno.h>
#include <stdlib.h>

#define HOST_FLAGS (CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)
#define KNOWN_FLAGS                                                                                \
	(CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY | CL_MEM_HOST_WRITE_ONLY |       \
		CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS)

static void context_destroy(struct object *o)
{
	object_fini(o);
	free((struct context *)o);
}

int context_new(struct session *s, uint64_t serial, struct context **ret)
{
	struct context *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	int r = object_init(&c->o, &s->v->registry, OBJECT_CONTEXT, s, serial, context_destroy);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

static void buffer_destroy(struct object *o)
{
	struct buffer *b = (struct buffer *)o;
	struct vgpu *v = o->session->v;

	if (b->mem)
		v->be->ops->mem_free(b->mem);
	if (b->run.count)
		page_space_free(v->space, b->run.first);
	if (b->run.count && b->svm)
		v->svm_bytes -= b->size;
	struct buffer *parent = b->parent;
	object_fini(o);
	if (parent)
		object_unref(&parent->o);
	free(b);
}

int buffer_make(struct session *s, uint64_t serial, enum object_type type, size_t struct_bytes,
	uint64_t flags, uint64_t size, struct buffer **ret)
{
	struct buffer *b = calloc(1, struct_bytes);

	if (!b)
		return -ENOMEM;
	int r = object_init(&b->o, &s->v->registry, type, s, serial, buffer_destroy);
	if (r < 0) {
		free(b);
		return r;
	}
	b->flags = flags & KNOWN_FLAGS;
	b->size = size;
	if (flags & ~(uint64_t)(KNOWN_FLAGS | HOST_FLAGS))
		b->o.failed = CL_INVALID_VALUE;
	*ret = b;
	return 0;
}

static int make(
	struct session *s, uint64_t serial, uint64_t flags, uint64_t size, struct buffer **ret)
{
	return buffer_make(s, serial, OBJECT_BUFFER, sizeof **ret, flags, size, ret);
}

static int32_t allocate(struct vgpu *v, struct buffer *b)
{
	struct page_run run;

	if (!b->size)
		return CL_INVALID_BUFFER_SIZE;
	if (page_space_alloc(v->space, b->size, &run, NULL) < 0)
		return CL_MEM_OBJECT_ALLOCATION_FAILURE;
	b->run = run;
	return CL_SUCCESS;
}

int buffer_place(struct buffer *b, const struct page_run *claim)
{
	struct vgpu *v = b->o.session->v;

	if (claim) {
		int r = page_space_claim(v->space, *claim, NULL);
		if (r == 0)
			b->run = *claim;
		return r;
	}
	if (b->o.failed == CL_SUCCESS)
		b->o.failed = allocate(v, b);
	return 0;
}

int buffer_new(struct session *s, uint64_t serial, uint64_t flags, uint64_t size,
	const struct page_run *claim, struct buffer **ret)
{
	struct vgpu *v = s->v;
	struct buffer *b;
	int r = make(s, serial, flags, size, &b);

	if (r < 0)
		return r;
	r = buffer_place(b, claim);
	if (r < 0) {
		object_unref(&b->o);
		return r;
	}
	if (b->o.failed == CL_SUCCESS)
		b->o.failed = v->be->ops->mem_new(
			v->be, b->flags, b->run.first * PAGE_BYTES, b->size, &b->mem);
	*ret = b;
	return 0;
}

int buffer_new_svm(struct session *s, uint64_t serial, uint64_t flags, uint64_t size,
	const struct page_run *claim, struct buffer **ret)
{
	uint64_t base = s->v->be->ops->svm_base(s->v->be);

	if (!base && claim)
		return -EOPNOTSUPP;
	int r = base ? buffer_new(s, serial, flags, size, claim, ret)
		     : buffer_new_failed(s, serial, flags, size, ret);
	if (r == 0 && (*ret)->run.count) {
		(*ret)->svm = base + (*ret)->run.first * PAGE_BYTES;
		s->v->svm_bytes += (*ret)->size;
	}
	return r;
}

int buffer_new_failed(
	struct session *s, uint64_t serial, uint64_t flags, uint64_t size, struct buffer **ret)
{
	int r = make(s, serial, flags, size, ret);

	if (r == 0)
		(*ret)->o.failed = CL_MEM_OBJECT_ALLOCATION_FAILURE;
	return r;
}

// Parts of shared virtual memory need no alignment: to the device they are buffers of their own.
static int32_t make_part(struct buffer *b)
{
	const struct buffer *parent = b->parent;
	struct backend *be = b->o.session->v->be;

	if (parent->svm)
		return be->ops->mem_new(
			be, b->flags, parent->run.first * PAGE_BYTES + b->origin, b->size, &b->mem);
	return be->ops->mem_sub(parent->mem, b->flags, b->origin, b->size, &b->mem);
}

int buffer_new_sub(struct buffer *parent, uint64_t serial, uint64_t flags, uint64_t origin,
	uint64_t size, struct buffer **ret)
{
	struct session *s = parent->o.session;
	struct buffer *b;
	int r = make(s, serial, flags, size, &b);

	if (r < 0)
		return r;
	b->parent = parent;
	object_ref(&parent->o);
	b->origin = origin;
	if (parent->o.failed != CL_SUCCESS)
		b->o.failed = parent->o.failed;
	else if (parent->parent && !parent->parent->svm)
		b->o.failed = CL_INVALID_MEM_OBJECT;
	else if (!buffer_holds(parent, origin, size))
		b->o.failed = size ? CL_INVALID_VALUE : CL_INVALID_BUFFER_SIZE;
	if (b->o.failed == CL_SUCCESS)
		b->o.failed = make_part(b);
	*ret = b;
	return 0;
}

bool buffer_holds(const struct buffer *b, uint64_t offset, uint64_t n)
{
	return n && n <= b->size && offset <= b->size - n;
}
