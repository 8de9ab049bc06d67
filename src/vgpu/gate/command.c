// SPDX-License-Identifier: Apache-2.0
#include "vgpu/gate/command.h"
#include "vgpu/session/session.h"
#include "vgpu/session/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_MAX 1024 // commands kept for reuse

struct command *command_new(struct queue *q, enum p_op op)
{
	struct vgpu *v = q->v;
	struct command *c = v->spare_commands;

	if (v->n_commands >= VGPU_PENDING_MAX)
		return NULL;
	if (c) {
		v->spare_commands = c->next;
		v->n_spare_commands--;
		memset(c, 0, sizeof *c);
	} else {
		c = calloc(1, sizeof *c);
	}
	if (!c)
		return NULL;
	c->op = op;
	c->queue = q;
	c->refs = c->refs_inline;
	c->cap_refs = COMMAND_REFS;
	c->queued_ns = vgpu_now_ns(v);
	object_ref(&q->o);
	v->n_commands++;
	return c;
}

bool command_is_transfer(const struct command *c)
{
	return c->op >= p_op_write && c->op <= p_op_read_rect;
}

bool command_is_write(const struct command *c)
{
	return c->op == p_op_write || c->op == p_op_write_rect;
}

bool command_is_order(const struct command *c)
{
	return c->op >= p_op_marker && c->op <= p_op_finish;
}

bool command_is_local(const struct command *c)
{
	return command_is_transfer(c) || command_is_order(c);
}

bool command_answers(const struct command *c)
{
	return c->op == p_op_finish || (command_is_transfer(c) && !command_is_write(c));
}

static bool is_pattern_size(size_t n)
{
	return n >= 1 && n <= 128 && (n & (n - 1)) == 0;
}

bool command_fill_fits(const struct fill *f)
{
	return is_pattern_size(f->pattern_bytes) && f->size % f->pattern_bytes == 0 &&
	       f->offset % f->pattern_bytes == 0 && buffer_holds(f->buffer, f->offset, f->size);
}

static void unlink_live(struct command *c)
{
	struct queue *q = c->queue;

	if (c->op == p_op_barrier && (c->prev || q->head == c))
		q->n_barriers--;
	if (q->first_pending == c)
		q->first_pending = c->next;
	if (c->prev)
		c->prev->next = c->next;
	else if (q->head == c)
		q->head = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else if (q->tail == c)
		q->tail = c->prev;
	c->prev = c->next = NULL;
}

static void drop_body(struct command *c)
{
	if (c->op == p_op_launch)
		arg_set_unref(c->u.launch.args);
	if (!command_is_transfer(c))
		return;
	const struct transfer *t = &c->u.transfer;
	bool is_unfinished = t->done + t->payload.len < t->total; // bytes are still coming
	buf_free(&c->u.transfer.payload);
	if (!command_is_write(c))
		return;
	transfer_ask(c);
	if (is_unfinished)
		session_upload_orphan(c->queue->o.session, c, NULL);
}

void command_free(struct command *c)
{
	struct queue *q = c->queue;
	struct vgpu *v = q->v;

	unlink_live(c);
	drop_body(c);
	if (c->ticket)
		v->be->ops->ticket_free(c->ticket);
	if (c->event) {
		c->event->command = NULL;
		object_unref(&c->event->o);
	}
	for (uint32_t i = 0; i < c->n_refs; i++)
		object_unref(c->refs[i]);
	if (c->refs != c->refs_inline)
		free(c->refs);
	v->n_commands--;
	if (v->n_spare_commands < SPARE_MAX) {
		c->next = v->spare_commands;
		v->spare_commands = c;
		v->n_spare_commands++;
	} else {
		free(c);
	}
	object_unref(&q->o);
}

int command_hold(struct command *c, struct object *o)
{
	if (c->n_refs == c->cap_refs) {
		uint32_t cap = c->cap_refs * 4;
		bool was_inline = c->refs == c->refs_inline;
		struct object **refs = realloc(was_inline ? NULL : c->refs, cap * sizeof *refs);
		if (!refs)
			return -ENOMEM;
		if (was_inline)
			memcpy(refs, c->refs_inline, sizeof c->refs_inline);
		c->refs = refs;
		c->cap_refs = cap;
	}
	c->refs[c->n_refs++] = o;
	object_ref(o);
	return 0;
}

int command_wait_for(struct command *c, struct event *e)
{
	int r = command_hold(c, &e->o);

	if (r == 0)
		c->n_waits = c->n_refs;
	return r;
}
