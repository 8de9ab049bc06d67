// SPDX-License-Identifier: Apache-2.0
// The gate between the pending commands and the driver.
#include "vgpu/session/port.h"
#include "vgpu/session/queue.h"
#include "vgpu/tokens/tokens.h"
#include "vgpu/vgpu.h"

#include <errno.h>

void gate_check_drained(struct vgpu *v)
{
	void (*drained)(void *arg) = v->drained;

	if (!v->gate_closed || v->in_flight || !drained)
		return;
	v->drained = NULL;
	drained(v->drained_arg);
}

int gate_close(struct vgpu *v, void (*drained)(void *arg), void *arg)
{
	if (v->drained)
		return -EBUSY;
	queues_kick(v); // what was given must be reported
	v->gate_closed = true;
	tokens_look(v->tokens);
	v->drained = drained;
	v->drained_arg = arg;
	gate_check_drained(v);
	return 0;
}

void gate_open(struct vgpu *v)
{
	v->gate_closed = false;
	v->ports_held = false;
	v->drained = NULL;
	queues_advance_all(v);
	for (size_t i = 0; i < v->n_ports; i++)
		if (v->ports[i])
			port_parse(v->ports[i]);
	ports_pump(v);
}
