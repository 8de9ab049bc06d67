// SPDX-License-Identifier: Apache-2.0
// Pending commands and the ports' streams: the records of the last collection, in both directions.
#include "vgpu/gate/command.h"
#include "vgpu/session/port.h"
#include "vgpu/session/program.h"
#include "vgpu/session/session.h"
#include "vgpu/state/state_private.h"
#include "vgpu/session/transfer.h"

#include <errno.h>
#include <string.h>

// ---- collecting

static void put_launch(struct buf *b, const struct launch *l)
{
	_cleanup_buf_ struct buf items = { 0 };

	state_put_args(&items, l->args);
	s_put_launch(b, &(struct s_launch){ .kernel = l->kernel ? l->kernel->o.serial : 0,
				.dims = l->dims,
				.args = l->args ? l->args->n : 0,
				.has_args = l->args != NULL,
				.offset = l->offset,
				.global = l->global,
				.local = l->local,
				.items = p_blob_of(&items) });
	if (items.failed)
		b->failed = true;
}

static void put_image_fill(struct buf *b, const struct image_fill *f)
{
	s_put_image_fill(b, &(struct s_image_fill){ f->image->b.o.serial, f->origin, f->region,
				    { f->color, sizeof f->color } });
}

static void put_body(struct buf *b, const struct command *c)
{
	const struct transfer *t = &c->u.transfer;
	const struct copy *k = &c->u.copy;
	const struct fill *f = &c->u.fill;

	if (c->op == p_op_launch)
		put_launch(b, &c->u.launch);
	else if (command_is_transfer(c))
		s_put_transfer(
			b, &(struct s_transfer){ t->buffer->o.serial, t->origin, t->region,
				   t->row_pitch, t->slice_pitch, t->done, p_blob_of(&t->payload) });
	else if (c->op == p_op_copy || c->op == p_op_copy_rect)
		s_put_copy(b, &(struct s_copy){ k->from->o.serial, k->to->o.serial, k->from_origin,
				      k->to_origin, k->region, k->from_row_pitch,
				      k->from_slice_pitch, k->to_row_pitch, k->to_slice_pitch });
	else if (c->op == p_op_fill)
		s_put_fill(b, &(struct s_fill){ f->buffer->o.serial, f->offset, f->size,
				      { f->pattern, f->pattern_bytes } });
	else if (c->op == p_op_image_fill)
		put_image_fill(b, &c->u.image_fill);
}

void state_put_command(struct buf *b, const struct command *c)
{
	_cleanup_buf_ struct buf waits = { 0 }, holds = { 0 };

	for (uint32_t i = 0; i < c->n_refs; i++)
		state_put_serial(i < c->n_waits ? &waits : &holds, c->refs[i]);
	state_put_head(b, STATE_COMMAND, 0, 0);
	s_put_command(b, &(struct s_command){ .queue = c->queue->o.serial,
				 .op = (uint32_t)c->op,
				 .status = c->status,
				 .seq = c->seq,
				 .cost = c->cost,
				 .queued_ns = c->queued_ns,
				 .event = c->event ? c->event->o.serial : 0,
				 .waits = p_blob_of(&waits),
				 .holds = p_blob_of(&holds) });
	put_body(b, c);
	if (waits.failed || holds.failed)
		b->failed = true;
}

void state_put_stream(struct buf *b, struct port *p)
{
	_cleanup_buf_ struct buf items = { 0 };
	struct session *s = p->session;
	struct s_stream m = { .port = (uint32_t)p->index,
		.searching = p->searching,
		.session = s ? s->o.serial : 0,
		.credit = s ? (uint64_t)s->credit : 0,
		.credit_due = s ? s->credit_due : 0,
		.unread = { p->in.data + p->in_at, p->in.len - p->in_at },
		.unsent = { p->out.data + p->out_at, p->out.len - p->out_at } };

	for (struct upload *u = s ? s->uploads : NULL; u; u = u->next) {
		s_put_upload(&items, &(struct s_upload){ .seq = u->seq,
					     .is_command = !u->command         ? 0
							   : u->command->later ? 2
									       : 1,
					     .program = u->program ? u->program->o.serial : 0,
					     .total = u->total,
					     .arrived = u->arrived });
		m.uploads++;
	}
	m.items = p_blob_of(&items);
	state_put_head(b, STATE_STREAM, 0, 0);
	s_put_stream(b, &m);
	if (items.failed)
		b->failed = true;
}

// ---- applying

// What a command may name: of its own session, and nothing that could hold commands itself.
static bool may_hold(const struct command *c, const struct object *o, bool waits)
{
	if (!o || o->session != c->queue->o.session)
		return false;
	if (waits)
		return o->type == OBJECT_EVENT;
	return o->type == OBJECT_BUFFER || o->type == OBJECT_IMAGE || o->type == OBJECT_SAMPLER ||
	       o->type == OBJECT_KERNEL;
}

static int hold_list(struct vgpu *v, struct command *c, struct p_blob list, bool waits)
{
	struct rd r = rd_make(list.at, list.n);
	int err = 0;

	while (r.left && err == 0) {
		struct object *o = registry_find(&v->registry, rd_u64(&r));
		if (r.failed || !may_hold(c, o, waits))
			return -EBADMSG;
		err = waits ? command_wait_for(c, (struct event *)o) : command_hold(c, o);
	}
	return err;
}

// An object that the command holds.
static struct object *held(
	struct vgpu *v, const struct command *c, uint64_t serial, enum object_type type)
{
	struct object *o = state_find(v, serial, type);

	for (uint32_t i = c->n_waits; o && i < c->n_refs; i++)
		if (c->refs[i] == o)
			return o;
	return NULL;
}

// A buffer or an image that the command holds.
static struct buffer *held_memory(struct vgpu *v, const struct command *c, uint64_t serial)
{
	struct object *o = held(v, c, serial, OBJECT_BUFFER);

	return (struct buffer *)(o ? o : held(v, c, serial, OBJECT_IMAGE));
}

static int get_launch(struct vgpu *v, struct command *c, struct rd *r)
{
	struct s_launch m;

	if (s_get_launch(r, &m) < 0 || (c->status == CL_SUCCESS && (m.dims < 1 || m.dims > 3)))
		return -EBADMSG;
	struct kernel *k = (struct kernel *)held(v, c, m.kernel, OBJECT_KERNEL);
	if (!k || (!m.has_args && c->status == CL_SUCCESS))
		return c->status == CL_SUCCESS ? -EBADMSG : 0;
	c->u.launch = (struct launch){ .kernel = k,
		.dims = m.dims,
		.offset = m.offset,
		.global = m.global,
		.local = m.local };
	if (!m.has_args)
		return 0;
	if (!k->args || k->args->n != m.args)
		return -EBADMSG;
	int err = state_get_args(m.items, m.args, &c->u.launch.args);
	// Versions of the destination's own kernel, so that nothing counts as applied.
	for (uint32_t i = 0; err == 0 && i < m.args; i++)
		if (c->u.launch.args->args[i].version)
			c->u.launch.args->args[i].version = ++k->versions;
	return err;
}

static int get_transfer(struct vgpu *v, struct command *c, struct rd *r)
{
	struct s_transfer m;
	struct transfer *t = &c->u.transfer;

	if (s_get_transfer(r, &m) < 0)
		return -EBADMSG;
	struct buffer *b = held_memory(v, c, m.buffer);
	if (!b)
		return -EBADMSG;
	*t = (struct transfer){ .buffer = b,
		.origin = m.origin,
		.region = m.region,
		.row_pitch = m.row_pitch,
		.slice_pitch = m.slice_pitch };
	if (c->status != CL_SUCCESS)
		return 0;
	if (transfer_check(t) != CL_SUCCESS || m.done > t->total ||
		m.payload.n > t->total - m.done || (m.payload.n && !command_is_write(c)))
		return -EBADMSG;
	t->done = m.done;
	buf_put(&t->payload, m.payload.at, m.payload.n);
	return t->payload.failed ? -ENOMEM : 0;
}

static bool fits(struct buffer *b, const struct p_vec3 *origin, const struct p_vec3 *region,
	uint64_t row_pitch, uint64_t slice_pitch)
{
	struct transfer t = { .buffer = b,
		.origin = *origin,
		.region = *region,
		.row_pitch = row_pitch,
		.slice_pitch = slice_pitch };

	return transfer_check(&t) == CL_SUCCESS;
}

static int get_copy(struct vgpu *v, struct command *c, struct rd *r)
{
	struct s_copy m;

	if (s_get_copy(r, &m) < 0)
		return -EBADMSG;
	struct buffer *from = held_memory(v, c, m.from);
	struct buffer *to = held_memory(v, c, m.to);
	if (!from || !to)
		return -EBADMSG;
	if (c->status == CL_SUCCESS &&
		(!fits(from, &m.from_origin, &m.region, m.from_row_pitch, m.from_slice_pitch) ||
			!fits(to, &m.to_origin, &m.region, m.to_row_pitch, m.to_slice_pitch)))
		return -EBADMSG;
	c->u.copy = (struct copy){ from, to, m.from_origin, m.to_origin, m.region, m.from_row_pitch,
		m.from_slice_pitch, m.to_row_pitch, m.to_slice_pitch };
	return 0;
}

static int get_fill(struct vgpu *v, struct command *c, struct rd *r)
{
	struct s_fill m;

	if (s_get_fill(r, &m) < 0)
		return -EBADMSG;
	struct buffer *b = held_memory(v, c, m.buffer);
	if (!b)
		return -EBADMSG;
	c->u.fill = (struct fill){ .buffer = b,
		.offset = m.offset,
		.size = m.size,
		.pattern_bytes = (uint32_t)m.pattern.n };
	if (m.pattern.n)
		memcpy(c->u.fill.pattern, m.pattern.at, m.pattern.n);
	return c->status == CL_SUCCESS && !command_fill_fits(&c->u.fill) ? -EBADMSG : 0;
}

static int get_image_fill(struct vgpu *v, struct command *c, struct rd *r)
{
	struct s_image_fill m;

	if (s_get_image_fill(r, &m) < 0)
		return -EBADMSG;
	struct image *image = (struct image *)held(v, c, m.image, OBJECT_IMAGE);
	if (!image || (c->status == CL_SUCCESS &&
			      (m.color.n != sizeof c->u.image_fill.color ||
				      !image_holds(&image->layout, m.origin.v, m.region.v))))
		return -EBADMSG;
	c->u.image_fill = (struct image_fill){ image, m.origin, m.region, { 0 } };
	if (m.color.n)
		memcpy(c->u.image_fill.color, m.color.at, m.color.n);
	return 0;
}

static int get_body(struct vgpu *v, struct command *c, struct rd *r)
{
	if (c->op == p_op_launch)
		return get_launch(v, c, r);
	if (command_is_transfer(c))
		return get_transfer(v, c, r);
	if (c->op == p_op_copy || c->op == p_op_copy_rect)
		return get_copy(v, c, r);
	if (c->op == p_op_image_fill)
		return get_image_fill(v, c, r);
	return c->op == p_op_fill ? get_fill(v, c, r) : 0;
}

static bool is_command(uint32_t op)
{
	return (op >= p_op_launch && op <= p_op_finish) || op == p_op_image_fill;
}

int state_apply_command(struct vgpu *v, struct rd *r)
{
	struct s_command m;

	if (s_get_command(r, &m) < 0 || !is_command(m.op))
		return -EBADMSG;
	struct queue *q = (struct queue *)state_find(v, m.queue, OBJECT_QUEUE);
	struct event *e = (struct event *)state_find(v, m.event, OBJECT_EVENT);
	if (!q || !q->be || (m.event && (!e || e->command || event_over(e))))
		return -EBADMSG;
	struct session *s = q->o.session;
	if (s->over || (e && e->o.session != s) || m.status > CL_SUCCESS || m.cost > s->credit)
		return -EBADMSG;
	struct command *c = command_new(q, (enum p_op)m.op);
	if (!c)
		return -ENOMEM;
	c->status = m.status;
	c->seq = m.seq;
	c->cost = m.cost;
	c->queued_ns = m.queued_ns;
	s->credit -= m.cost; // until the stream's record says how much there is
	int err = hold_list(v, c, m.waits, true);
	if (err == 0)
		err = hold_list(v, c, m.holds, false);
	if (err == 0)
		err = get_body(v, c, r);
	if (err < 0) {
		command_free(c);
		return err;
	}
	if (e) {
		object_ref(&e->o);
		c->event = e;
		e->command = c;
	}
	queue_push(q, c); // the gate is closed: it waits
	return 0;
}

static struct command *find_write(struct vgpu *v, const struct session *s, uint32_t seq)
{
	for (struct queue *q = v->queues; q; q = q->next_queue)
		for (struct command *c = q->head; q->o.session == s && c; c = c->next)
			if (c->seq == seq && command_is_write(c))
				return c;
	return NULL;
}

// Text that still comes for a program of this session, from one message.
static bool may_grow(const struct session *s, const struct program *p, const struct s_upload *m)
{
	for (const struct upload *u = s->uploads; u; u = u->next)
		if (u->program == p)
			return false;
	return p->o.session == s && p->total == m->total && p->text.len == m->arrived;
}

static int apply_upload(struct vgpu *v, struct session *s, struct rd *r)
{
	struct s_upload m;
	struct upload *u;

	if (s_get_upload(r, &m) < 0 || m.arrived >= m.total)
		return -EBADMSG;
	int err = session_upload(s, m.seq, m.total, m.arrived, &u);
	if (err < 0)
		return err;
	if (m.is_command) {
		u->command = find_write(v, s, m.seq);
		const struct transfer *t = u->command ? &u->command->u.transfer : NULL;
		if (!t || t->total != m.total || t->done + t->payload.len != m.arrived)
			return -EBADMSG;
		u->command->later = m.is_command == 2;
	}
	struct program *p = (struct program *)state_find(v, m.program, OBJECT_PROGRAM);
	if (m.program && (!p || !may_grow(s, p, &m)))
		return -EBADMSG;
	u->program = p;
	return 0;
}

int state_apply_stream(struct vgpu *v, struct rd *r)
{
	struct s_stream m;
	int err = 0;

	if (s_get_stream(r, &m) < 0 || m.port >= v->n_ports || !v->ports[m.port])
		return -EBADMSG;
	struct port *p = v->ports[m.port];
	struct session *s = (struct session *)state_find(v, m.session, OBJECT_SESSION);
	if (p->session != s || (m.session && !s))
		return -EBADMSG;
	// What its commands have not given back yet has been taken off already.
	if (s && (m.credit > (uint64_t)s->credit || m.credit_due > (uint64_t)s->credit - m.credit))
		return -EBADMSG;
	p->searching = m.searching;
	buf_put(&p->in, m.unread.at, m.unread.n);
	buf_put(&p->out, m.unsent.at, m.unsent.n);
	if (s) {
		s->credit = (int64_t)m.credit;
		s->credit_due = m.credit_due;
	}
	struct rd items = rd_make(m.items.at, m.items.n);
	for (uint32_t i = 0; err == 0 && i < m.uploads; i++)
		err = s ? apply_upload(v, s, &items) : -EBADMSG;
	return p->in.failed || p->out.failed ? -ENOMEM : err;
}
