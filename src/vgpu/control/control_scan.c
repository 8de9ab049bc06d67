// SPDX-License-Identifier: Apache-2.0
// Looking at the framebuffer without moving it: how fast it is written, and its root.
#include "vgpu/control/control_private.h"

#include <errno.h>

#define SAMPLE_MS_MAX 10000

static void on_sample(void *arg, uint64_t dirty_bytes, double ms, const struct ferry_error *e)
{
	struct control *c = arg;
	int64_t id = c->sample_ask;

	c->sample_ask = -1;
	c->sample = move_sample_end(c->sample);
	if (e)
		control_refuse(c, id, e);
	else
		control_answer(c, id,
			json_pack("{s:I, s:I, s:f}", "allocated_bytes",
				(json_int_t)page_space_allocated_bytes(c->v->space), "dirty_bytes",
				(json_int_t)dirty_bytes, "ms", ms));
}

void control_sample(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	uint64_t ms = 0;

	if (c->sample || c->source)
		ferry_fail(&e, EBUSY, "busy", "the tracker is in use");
	else if (json_get_u64(args, "ms", SAMPLE_MS_MAX, &ms, &e) == 0)
		move_sample_begin(c->v->loop, c->v->space, c->tracker, (uint32_t)ms, on_sample, c,
			&c->sample, &e);
	if (e.err)
		control_refuse(c, id, &e);
	else
		c->sample_ask = id;
}

void control_end_sample(struct control *c)
{
	struct ferry_error e = FERRY_ERROR_INIT;
	int64_t id = c->sample_ask;

	if (!c->sample)
		return;
	c->sample = move_sample_end(c->sample);
	c->sample_ask = -1;
	ferry_fail(&e, ECANCELED, "aborted", "a move begins");
	control_refuse(c, id, &e);
}

static void on_root(void *arg, struct digest_root root, double ms, const struct ferry_error *e)
{
	struct control *c = arg;
	int64_t id = c->scan_ask;
	char text[DIGEST_ROOT_TEXT];

	c->scan_ask = -1;
	c->scan = move_root_end(c->scan);
	if (e) {
		control_refuse(c, id, e);
		return;
	}
	digest_root_format(root, text);
	control_answer(c, id,
		json_pack("{s:s, s:I, s:f}", "root", text, "pages", (json_int_t)root.pages, "ms",
			ms));
}

void control_root(struct control *c, int64_t id, json_t *args, int *fds, size_t n_fds)
{
	struct ferry_error e = FERRY_ERROR_INIT;

	if (c->scan || c->v->in_flight)
		ferry_fail(&e, EBUSY, "busy", "the framebuffer is in use");
	else
		move_root_begin(c->v->loop, c->v->space, on_root, c, &c->scan, &e);
	if (e.err)
		control_refuse(c, id, &e);
	else
		c->scan_ask = id;
}
