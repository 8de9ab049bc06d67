// SPDX-License-Identifier: Apache-2.0
// The destination's side of a move, as the control socket asks for it.
#include "vgpu/control/control_private.h"

#include "base/log.h"

#include <errno.h>
#include <unistd.h>

static int apply(void *arg, const void *bytes, size_t n, struct ferry_error *e)
{
	struct control *c = arg;

	return state_apply(c->v, bytes, n, e);
}

static void on_round(void *arg, uint32_t n)
{
	control_event(arg, "round", json_pack("{s:i}", "n", (int)n));
}

static void tell_failed(struct control *c, const struct ferry_error *e)
{
	log_warn("the move failed: %s", e->message);
	control_event(c, "failed", json_pack("{s:o}", "error", ferry_error_to_json(e)));
}

static bool settled(void *arg)
{
	const struct control *c = arg;

	return !c->v->restoring;
}

// Everything is here when the pages are, and when every program is built.
static void check_complete(void *arg)
{
	struct control *c = arg;
	char root[DIGEST_ROOT_TEXT];

	if (!c->arrived || c->state != CONTROL_INCOMING || !state_is_complete(c->v) ||
		c->v->not_rebuilt)
		return;
	control_set_state(c, CONTROL_RECEIVED, "complete");
	digest_root_format(c->root, root);
	control_event(c, "received",
		json_pack("{s:s, s:I, s:I}", "root", root, "pages", (json_int_t)c->root.pages,
			"bytes", (json_int_t)c->received_bytes));
}

// A program that was made of a binary has no source to build it of for another device. The channels stay
// open until ferryd ends this process: the source is to hear why before it finds them broken.
static void refuse_programs(struct control *c)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	ferry_fail(&e, ENOEXEC, "program-not-built",
		"a program of the guest cannot be built for the device here (OpenCL error %d)",
		c->v->not_rebuilt);
	ferry_error_remedy(&e, "move it to a host with the same device");
	ferry_error_remedy(&e, "in the guest, end the program that uses a stored binary");
	c->v->restored = NULL;
	tell_failed(c, &e);
}

// A program is to be built, or is built, perhaps the last.
static void on_restored(void *arg)
{
	struct control *c = arg;

	if (c->v->not_rebuilt) {
		refuse_programs(c);
		return;
	}
	control_event(c, "building",
		json_pack("{s:I, s:I}", "built", (json_int_t)c->v->built, "programs",
			(json_int_t)(c->v->built + c->v->restoring)));
	if (c->v->restoring)
		return;
	if (c->dest)
		move_dest_settled(c->dest);
	check_complete(c);
}

static void on_received(void *arg, struct digest_root root, uint64_t bytes)
{
	struct control *c = arg;
	struct ferry_error e = FERRY_ERROR_INIT;

	if (!c->v->state_ended) {
		ferry_fail(&e, EBADMSG, "bad-state-record", "object state has no end");
		tell_failed(c, &e);
		return;
	}
	c->arrived = true;
	c->root = root;
	c->received_bytes = bytes;
	check_complete(c);
}

static void on_failed(void *arg, const struct ferry_error *e)
{
	struct control *c = arg;

	tell_failed(c, e);
	c->dest = move_dest_close(c->dest);
}

static int64_t take_ask(int64_t *ask)
{
	int64_t id = *ask;

	*ask = -1;
	return id;
}

static void receive_reached(struct control *c, const struct ferry_error *fault)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	struct move_dest_spec spec = { .loop = c->v->loop,
		.space = c->v->space,
		.fds = c->receive_fds,
		.n_fds = c->n_receive_fds,
		.vm_log = c->vm_log,
		.objects = { .apply = apply, .settled = settled, .arg = c },
		.events = { on_round, on_received, on_failed, c } };

	c->v->restored = on_restored;
	c->v->restored_arg = c;
	if (fault) {
		for (size_t i = 0; i < c->n_receive_fds; i++)
			close(c->receive_fds[i]);
		control_refuse(c, take_ask(&c->receive_ask), fault);
	} else if (move_dest_receive(&spec, &c->dest, &e) < 0) {
		control_refuse(c, take_ask(&c->receive_ask), &e);
	} else {
		control_answer(c, take_ask(&c->receive_ask), NULL);
	}
}

void control_move_receive(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	uint64_t channels = 0;

	if (c->dest || c->n_receive_fds)
		ferry_fail(&e, EBUSY, "bad-state", "a move is being received, or was");
	else if (json_get_u64(args, "channels", MOVE_MAX_CHANNELS, &channels, &e) == 0 &&
		 (!channels || channels != n_fds))
		ferry_fail(&e, EINVAL, "bad-message", "%llu channels but %zu descriptors",
			(unsigned long long)channels, n_fds);
	if (e.err) {
		control_refuse(c, id, &e);
		return;
	}
	for (size_t i = 0; i < n_fds; i++) {
		c->receive_fds[i] = fds[i];
		fds[i] = -1;
	}
	c->n_receive_fds = n_fds;
	c->receive_ask = id;
	control_reached(c, POINT_RECEIVE, receive_reached);
}

void control_own(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (move_dest_own(c->dest, &e) < 0) {
		control_refuse(c, id, &e);
		return;
	}
	c->dest = NULL;
	c->n_receive_fds = 0;
	state_own(c->v);
	control_open(c, "own");
	control_answer(c, id, NULL);
}
