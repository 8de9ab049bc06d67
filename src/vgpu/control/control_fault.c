// SPDX-License-Identifier: Apache-2.0
// Fault points (docs/interfaces.md, section 8): how tests stop, fail or kill this process at a
// chosen step.
#include "vgpu/control/control_private.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char *const points[POINTS] = {
	[POINT_ROUND] = "vgpu.round",
	[POINT_FINAL] = "vgpu.final",
	[POINT_RECEIVE] = "vgpu.receive",
};

static const struct {
	const char *word;
	enum control_action action;
} actions[] = { { "clear", ACTION_NONE }, { "hold", ACTION_HOLD }, { "kill", ACTION_KILL },
	{ "fail", ACTION_FAIL } };

static int parse(const json_t *args, enum control_point *ret_point, struct control_fault *ret,
	struct ferry_error *e)
{
	char name[40], action[20];
	int r = json_get_string(args, "name", name, sizeof name, e);

	if (r == 0)
		r = json_get_string(args, "action", action, sizeof action, e);
	if (r < 0)
		return r;
	ret->once = !strncmp(action, "once-", 5);
	const char *word = ret->once ? action + 5 : action;
	for (int p = 0; p < POINTS; p++) {
		if (strcmp(points[p], name))
			continue;
		for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
			if (strcmp(actions[i].word, word))
				continue;
			*ret_point = (enum control_point)p;
			ret->action = actions[i].action;
			return 0;
		}
	}
	return ferry_fail(e, EINVAL, "no-fault", "no fault point %s with action %s", name, action);
}

void control_on_fault(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct control_fault set = { 0 };
	enum control_point p = POINT_ROUND;

	if (!c->o->faults)
		ferry_fail(&e, EPERM, "faults-off", "ferry-vgpu was started without --faults");
	else
		parse(args, &p, &set, &e);
	if (e.err) {
		control_refuse(c, id, &e);
		return;
	}
	control_point_fn held = c->faults[p].held;
	set.held = set.action == ACTION_NONE ? NULL : held;
	c->faults[p] = set;
	control_answer(c, id, NULL);
	if (set.action == ACTION_NONE && held)
		held(c, NULL);
}

void control_reached(struct control *c, enum control_point p, control_point_fn fn)
{
	struct control_fault *f = &c->faults[p];
	struct ferry_error e = FERRY_ERROR_INIT;
	enum control_action action = f->action;

	if (action == ACTION_NONE) {
		fn(c, NULL);
		return;
	}
	log_warn("fault point %s reached", points[p]);
	if (f->once)
		f->action = ACTION_NONE;
	if (action == ACTION_KILL)
		_exit(128 + SIGKILL); // the init of its namespace cannot kill itself
	if (action == ACTION_HOLD) {
		f->held = fn;
		control_event(c, "fault.held", json_pack("{s:s}", "name", points[p]));
		return;
	}
	ferry_fail(&e, EIO, "fault", "fault point %s was set to fail", points[p]);
	fn(c, &e);
}
