// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/image.h"
#include "vgpu/session/session.h"

#include <errno.h>
#include <stdlib.h>

static int make(struct session *s, uint64_t serial, uint64_t flags, const struct image_shape *shape,
	struct image **ret)
{
	struct buffer *b;
	int r = buffer_make(s, serial, OBJECT_IMAGE, sizeof(struct image), flags, 0, &b);

	if (r < 0)
		return r;
	struct image *m = (struct image *)b;
	m->shape = *shape;
	if (image_layout(shape, &m->layout))
		b->size = m->layout.bytes;
	else if (b->o.failed == CL_SUCCESS)
		b->o.failed = CL_INVALID_IMAGE_DESCRIPTOR;
	*ret = m;
	return 0;
}

static int32_t check_parent(const struct image *m, const struct buffer *parent)
{
	if ((parent != NULL) != (m->shape.type == CL_MEM_OBJECT_IMAGE1D_BUFFER))
		return CL_INVALID_IMAGE_DESCRIPTOR;
	if (!parent)
		return CL_SUCCESS;
	if (parent->o.failed != CL_SUCCESS)
		return parent->o.failed;
	return parent->size < m->layout.bytes ? CL_INVALID_IMAGE_DESCRIPTOR : CL_SUCCESS;
}

static int32_t make_on_device(struct image *m)
{
	struct vgpu *v = m->b.o.session->v;
	struct be_image how = { m->b.flags, m->shape, m->layout };

	return v->be->ops->image_new(v->be, &how, m->b.run.first * PAGE_BYTES,
		m->b.parent ? m->b.parent->mem : NULL, &m->b.mem);
}

int image_new(struct session *s, uint64_t serial, uint64_t flags, const struct image_shape *shape,
	struct buffer *parent, const struct page_run *claim, struct image **ret)
{
	struct image *m;
	int r = make(s, serial, flags, shape, &m);

	if (r < 0)
		return r;
	if (m->b.o.failed == CL_SUCCESS)
		m->b.o.failed = check_parent(m, parent);
	if (parent) {
		m->b.parent = parent;
		object_ref(&parent->o);
	} else {
		r = buffer_place(&m->b, claim);
	}
	if (r < 0) {
		object_unref(&m->b.o);
		return r;
	}
	if (m->b.o.failed == CL_SUCCESS)
		m->b.o.failed = make_on_device(m);
	*ret = m;
	return 0;
}

int image_new_failed(struct session *s, uint64_t serial, uint64_t flags,
	const struct image_shape *shape, struct image **ret)
{
	int r = make(s, serial, flags, shape, ret);

	if (r == 0)
		(*ret)->b.o.failed = CL_MEM_OBJECT_ALLOCATION_FAILURE;
	return r;
}

// ---- samplers

static void sampler_destroy(struct object *o)
{
	struct sampler *p = (struct sampler *)o;

	if (p->be)
		o->session->v->be->ops->sampler_free(p->be);
	object_fini(o);
	free(p);
}

int sampler_new(struct session *s, uint64_t serial, const struct be_sampler_state *state,
	struct sampler **ret)
{
	struct sampler *p = calloc(1, sizeof *p);

	if (!p)
		return -ENOMEM;
	int r = object_init(&p->o, &s->v->registry, OBJECT_SAMPLER, s, serial, sampler_destroy);
	if (r < 0) {
		free(p);
		return r;
	}
	p->state = *state;
	p->o.failed = s->v->be->ops->sampler_new(s->v->be, state, &p->be);
	*ret = p;
	return 0;
}
