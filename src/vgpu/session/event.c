// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/event.h"
#include "vgpu/session/session.h"

#include <errno.h>
#include <stdlib.h>

static void destroy(struct object *o)
{
	object_fini(o);
	free((struct event *)o);
}

int event_new(struct session *s, uint64_t serial, struct event **ret)
{
	struct event *e = calloc(1, sizeof *e);

	if (!e)
		return -ENOMEM;
	int r = object_init(&e->o, &s->v->registry, OBJECT_EVENT, s, serial, destroy);
	if (r < 0) {
		free(e);
		return r;
	}
	e->status = CL_QUEUED;
	*ret = e;
	return 0;
}

bool event_over(const struct event *e)
{
	return e->status <= CL_COMPLETE;
}

void event_end(struct event *e, int32_t status, const struct be_times *times)
{
	e->status = status;
	if (times)
		e->times = *times;
	e->command = NULL;
	object_touch(&e->o);
	if (!e->user && e->o.id)
		session_event_status(e->o.session, e);
}
