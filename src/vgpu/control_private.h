// SPDX-License-Identifier: Apache-2.0
// What the control socket's files share.
#pragma once

#include <stdatomic.h>
#include "pages/tracker.h"
#include "vgpu/control.h"
#include "vgpu/port.h"
#include "wire/link.h"

enum control_state {
	CONTROL_ACTIVE,
	CONTROL_GATED, // the gate is closed, or closing
	CONTROL_INCOMING,
	CONTROL_RECEIVED, // all has arrived and is built; not ours to run yet
	CONTROL_FROZEN,   // after COMMIT: never runs again
	CONTROL_STATES,
};

struct control {
	struct vgpu *v;
	const struct options *o;
	enum control_state state;
	int listen_fd;
	struct watch *watch;
	struct link *link; // NULL: nobody is connected
	int vm_log;        // -1: none
	const struct tracker_ops *tracker;
	char tracker_reason[TRACKER_REASON_MAX];
	int64_t gate_ask; // the request that waits for the drain; -1: none
	int64_t gate_at_ns;
};

typedef void (*control_op_fn)(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);

void control_set_state(struct control *c, enum control_state to, const char *why);
const char *control_state_name(enum control_state s);

// Answers, to whoever is connected now; `ok` is stolen.
void control_answer(struct control *c, int64_t id, json_t *ok);
void control_refuse(struct control *c, int64_t id, const struct ferry_error *e);
void control_event(struct control *c, const char *event, json_t *message);

// control_gate.c
void control_gate_close(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_gate_open(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_ports_drain(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_ports_take_back(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
