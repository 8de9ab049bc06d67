// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/device.h"
#include "vgpu/session/session.h"

#include <errno.h>
#include <stdlib.h>

static void destroy(struct object *o)
{
	struct device *d = (struct device *)o;
	struct device *parent = d->parent;

	object_fini(o);
	if (parent)
		object_unref(&parent->o);
	free(d);
}

int device_new(struct session *s, uint64_t serial, struct device *parent,
	const struct be_partition *how, struct device **ret)
{
	struct device *d = calloc(1, sizeof *d);

	if (!d)
		return -ENOMEM;
	int r = object_init(&d->o, &s->v->registry, OBJECT_DEVICE, s, serial, destroy);
	if (r < 0) {
		free(d);
		return r;
	}
	d->how = *how;
	d->parent = parent;
	if (parent)
		object_ref(&parent->o);
	d->o.failed = parent ? parent->o.failed : CL_SUCCESS;
	if (d->o.failed == CL_SUCCESS && (!how->n || how->index >= BE_PARTS_MAX))
		d->o.failed = CL_INVALID_VALUE;
	if (d->o.failed == CL_SUCCESS)
		d->o.failed =
			s->v->be->ops->part_new(s->v->be, parent ? parent->be : NULL, how, &d->be);
	*ret = d;
	return 0;
}
