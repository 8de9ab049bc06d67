// SPDX-License-Identifier: Apache-2.0
// What the control socket's files share.
#pragma once

#include <stdatomic.h>
#include "pages/tracker.h"
#include "vgpu/control/control.h"
#include "vgpu/move/move_dest.h"
#include "vgpu/move/move_root.h"
#include "vgpu/move/move_sample.h"
#include "vgpu/move/move_source.h"
#include "vgpu/session/port.h"
#include "vgpu/state/state.h"
#include "wire/link.h"

enum control_state {
	CONTROL_ACTIVE,
	CONTROL_GATED, // the gate is closed, or closing
	CONTROL_INCOMING,
	CONTROL_RECEIVED, // all has arrived and is built; not ours to run yet
	CONTROL_FROZEN,   // after COMMIT: never runs again
	CONTROL_STATES,
};

// Points where a test may make this process stop, fail or die.
enum control_point { POINT_ROUND, POINT_FINAL, POINT_RECEIVE, POINTS };

enum control_action { ACTION_NONE, ACTION_HOLD, ACTION_KILL, ACTION_FAIL };

struct control;
typedef void (*control_point_fn)(struct control *c, const struct ferry_error *e);

struct control_fault {
	enum control_action action;
	bool once;
	control_point_fn held; // goes on when the fault is cleared; NULL: nothing is held
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
	struct control_fault faults[POINTS];

	// The source's side of a move.
	struct move_source *source; // NULL: no move
	struct state_source objects;
	bool taking_natives;
	struct move_source_spec spec; // of a move that begins, until the natives are taken
	int begin_fds[MOVE_MAX_CHANNELS];
	void (*natives_taken)(struct control *c);
	int64_t move_ask; // the request under way: move.begin, move.round, move.final; -1: none
	uint32_t round;   // of that request
	struct move_sample *sample;
	int64_t sample_ask;

	// The destination's.
	struct move_dest *dest;
	bool arrived; // all of it; programs may still be built
	struct digest_root root;
	uint64_t received_bytes;
	int64_t receive_ask;
	int receive_fds[MOVE_MAX_CHANNELS];
	size_t n_receive_fds;

	struct move_root *scan;
	int64_t scan_ask;
};

typedef void (*control_op_fn)(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);

void control_set_state(struct control *c, enum control_state to, const char *why);
const char *control_state_name(enum control_state s);

// Answers, to whoever is connected now; `ok` is stolen.
void control_answer(struct control *c, int64_t id, json_t *ok);
void control_refuse(struct control *c, int64_t id, const struct ferry_error *e);
void control_event(struct control *c, const char *event, json_t *message);

// control_gate.c
void control_open(struct control *c, const char *why); // active, and the gate open
void control_gate_close(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_gate_open(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_ports_closed(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_ports_drain(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_ports_take_back(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);

// control_source.c
void control_move_begin(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_move_round(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_move_rate(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_move_final(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_move_abort(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_freeze(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_end_move(struct control *c);

// control_scan.c
void control_sample(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_root(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);

void control_end_sample(struct control *c);

// control_dest.c
void control_move_receive(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
void control_own(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);

// control_fault.c
void control_on_fault(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds);
// Calls fn now, or when the point is no longer held, or with the error that was asked for.
void control_reached(struct control *c, enum control_point p, control_point_fn fn);
