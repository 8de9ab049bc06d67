// SPDX-License-Identifier: Apache-2.0
// The gate and the ports, as the control socket asks for them.
#include "vgpu/control/control_private.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

static void on_drained(void *arg)
{
	struct control *c = arg;
	double ms = (double)(clock_now_ns() - c->gate_at_ns) / NSEC_PER_MSEC;
	int64_t id = c->gate_ask;

	c->gate_ask = -1;
	if (id >= 0)
		control_answer(c, id, json_pack("{s:f}", "drain_ms", ms));
}

// Asked again while it drains (a new connection): the new one gets the answer.
void control_gate_close(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (c->gate_ask >= 0) {
		ferry_fail(&e, EBUSY, "busy", "the gate is closing already");
		control_refuse(c, id, &e);
		return;
	}
	c->gate_ask = id;
	if (c->state == CONTROL_ACTIVE)
		c->gate_at_ns = clock_now_ns();
	control_set_state(c, CONTROL_GATED, "gate.close");
	c->v->drained = NULL;
	gate_close(c->v, on_drained, c);
}

void control_open(struct control *c, const char *why)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (c->gate_ask >= 0) {
		ferry_fail(&e, ECANCELED, "aborted", "the gate was opened again");
		control_refuse(c, c->gate_ask, &e);
		c->gate_ask = -1;
	}
	if (c->scan) {
		c->scan = move_root_end(c->scan);
		ferry_fail(&e, ECANCELED, "aborted", "the vGPU is about to run");
		control_refuse(c, c->scan_ask, &e);
		c->scan_ask = -1;
	}
	control_set_state(c, CONTROL_ACTIVE, why);
	gate_open(c->v);
}

void control_gate_open(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	control_open(c, "gate.open");
	control_answer(c, id, NULL);
}

void control_ports_closed(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int64_t index = json_int_or(args, "index", -1), session = json_int_or(args, "session", 0);
	struct port *p = index >= 0 && (uint64_t)index < c->o->ports ? c->v->ports[index] : NULL;

	if (!p || session < 0) {
		ferry_fail(&e, EINVAL, "bad-args", "ports.closed: no such port or session");
		control_refuse(c, id, &e);
		return;
	}
	session = (int64_t)port_closed(p, (uint64_t)session);
	control_answer(c, id, json_pack("{s:I}", "session", (json_int_t)session));
}

typedef ssize_t (*port_fn)(struct port *p);

static void for_all_ports(struct control *c, int64_t id, port_fn fn, const char *what)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	json_int_t total = 0;

	for (size_t i = 0; i < c->v->n_ports && !e.err; i++) {
		ssize_t n = c->v->ports[i] ? fn(c->v->ports[i]) : 0;
		if (n < 0)
			ferry_fail(&e, (int)n, "port-failed", "port %zu cannot be %s: %s", i, what,
				strerror((int)-n));
		else
			total += n;
	}
	if (e.err)
		control_refuse(c, id, &e);
	else
		control_answer(c, id, json_pack("{s:I}", "bytes", total));
}

// The VM is stopped: from here on nothing is written to QEMU until it is decided where it runs.
void control_ports_drain(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	c->v->ports_held = true;
	for_all_ports(c, id, port_drain, "drained");
}

void control_ports_take_back(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	c->v->ports_held = true;
	for_all_ports(c, id, port_take_back, "taken back");
}
