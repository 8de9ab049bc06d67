// SPDX-License-Identifier: Apache-2.0
// Messages about contexts, queues, buffers and user events; bulk data; releases.
#include "vgpu/gate/command.h"
#include "vgpu/session/device.h"
#include "vgpu/session/program.h"
#include "vgpu/session/session.h"
#include "vgpu/session/transfer.h"

#include <errno.h>
#include <stdlib.h>

int session_on_context_create(
	struct session *s, const struct p_frame *f, const struct p_context_create *m)
{
	struct context *c = NULL;

	if (session_check_new_id(s, m->id) < 0)
		return -EBADMSG;
	int r = context_new(s, 0, &c);
	return session_enter_made(s, f, r, m->id, c);
}

static int need_context(struct session *s, uint32_t id)
{
	return session_need(s, id, OBJECT_CONTEXT) ? 0 : -EBADMSG;
}

int session_on_queue_create(
	struct session *s, const struct p_frame *f, const struct p_queue_create *m)
{
	struct queue *q = NULL;

	if (session_check_new_id(s, m->id) < 0 || need_context(s, m->context) < 0)
		return -EBADMSG;
	int r = queue_new(s, 0, m->properties, NULL, &q);
	return session_enter_made(s, f, r, m->id, q);
}

int session_on_queue_create_on(
	struct session *s, const struct p_frame *f, const struct p_queue_create_on *m)
{
	struct queue *q = NULL;

	if (session_check_new_id(s, m->id) < 0 || need_context(s, m->context) < 0)
		return -EBADMSG;
	struct object *device = session_need(s, m->device, OBJECT_DEVICE);
	if (!device)
		return -EBADMSG;
	int r = queue_new(s, 0, m->properties, (struct device *)device, &q);
	return session_enter_made(s, f, r, m->id, q);
}

int session_on_sub_device_create(
	struct session *s, const struct p_frame *f, const struct p_sub_device_create *m)
{
	struct device *device = NULL;

	if (session_check_new_id(s, m->id) < 0)
		return -EBADMSG;
	struct object *parent = m->parent ? session_need(s, m->parent, OBJECT_DEVICE) : NULL;
	if (m->parent && !parent)
		return -EBADMSG;
	struct be_partition how = { .kind = m->property, .index = m->index, .n = m->units.n };
	for (uint32_t i = 0; i < m->units.n; i++)
		how.units[i] = p_id_at(&m->units, i);
	int r = device_new(s, 0, (struct device *)parent, &how, &device);
	return session_enter_made(s, f, r, m->id, device);
}

int session_on_buffer_create(
	struct session *s, const struct p_frame *f, const struct p_buffer_create *m)
{
	struct buffer *b = NULL;

	if (session_check_new_id(s, m->id) < 0 || need_context(s, m->context) < 0)
		return -EBADMSG;
	int r = buffer_new(s, 0, m->flags, m->size, NULL, &b);
	if (r == 0 && b->o.failed == CL_SUCCESS && s->shares)
		session_place(s, f->seq, m->id, b->run.first * PAGE_BYTES);
	return session_enter_made(s, f, r, m->id, b);
}

int session_on_svm_create(struct session *s, const struct p_frame *f, const struct p_svm_create *m)
{
	struct buffer *b = NULL;

	if (session_check_new_id(s, m->id) < 0 || need_context(s, m->context) < 0)
		return -EBADMSG;
	int r = buffer_new_svm(s, 0, m->flags, m->size, NULL, &b);
	if (r == 0 && b->o.failed == CL_SUCCESS)
		session_place(s, f->seq, m->id, b->run.first * PAGE_BYTES);
	return session_enter_made(s, f, r, m->id, b);
}

int session_on_sub_buffer_create(
	struct session *s, const struct p_frame *f, const struct p_sub_buffer_create *m)
{
	struct buffer *b = NULL;

	if (session_check_new_id(s, m->id) < 0)
		return -EBADMSG;
	struct object *parent = session_need(s, m->parent, OBJECT_BUFFER);
	if (!parent)
		return -EBADMSG;
	int r = buffer_new_sub((struct buffer *)parent, 0, m->flags, m->origin, m->size, &b);
	return session_enter_made(s, f, r, m->id, b);
}

int session_on_image_create(
	struct session *s, const struct p_frame *f, const struct p_image_create *m)
{
	struct image *image = NULL;

	if (session_check_new_id(s, m->id) < 0 || need_context(s, m->context) < 0)
		return -EBADMSG;
	struct object *parent = m->buffer ? session_need(s, m->buffer, OBJECT_BUFFER) : NULL;
	if (m->buffer && !parent)
		return -EBADMSG;
	const struct image_shape shape = { m->type, m->order, m->data_type,
		{ m->extent.v[0], m->extent.v[1], m->extent.v[2] }, m->array_size };
	int r = image_new(s, 0, m->flags, &shape, (struct buffer *)parent, NULL, &image);
	return session_enter_made(s, f, r, m->id, image);
}

int session_on_sampler_create(
	struct session *s, const struct p_frame *f, const struct p_sampler_create *m)
{
	struct sampler *sampler = NULL;

	if (session_check_new_id(s, m->id) < 0 || need_context(s, m->context) < 0)
		return -EBADMSG;
	const struct be_sampler_state state = { m->normalized != 0, m->addressing, m->filter };
	int r = sampler_new(s, 0, &state, &sampler);
	return session_enter_made(s, f, r, m->id, sampler);
}

int session_on_user_event_create(
	struct session *s, const struct p_frame *f, const struct p_user_event_create *m)
{
	struct event *e = NULL;

	if (session_check_new_id(s, m->id) < 0 || need_context(s, m->context) < 0)
		return -EBADMSG;
	int r = event_new(s, 0, &e);
	if (r == 0)
		e->user = true;
	return session_enter_made(s, f, r, m->id, e);
}

int session_on_user_event_set(
	struct session *s, const struct p_frame *f, const struct p_user_event_set *m)
{
	struct event *e = (struct event *)session_find(s, m->event, OBJECT_EVENT);
	if (!e || !e->user || event_over(e) || m->status > CL_COMPLETE)
		return session_breach(s, "user event %u cannot be set to %d", m->event, m->status);
	event_end(e, m->status, NULL);
	s->v->recheck = true;
	if (f->flags & P_ANSWER)
		session_answer(s, f->seq, CL_SUCCESS, 0);
	return 0;
}

int session_on_release(struct session *s, const struct p_frame *f, const struct p_release *m)
{
	for (uint32_t i = 0; i < m->objects.n; i++) {
		uint32_t id = p_id_at(&m->objects, i);
		struct object *o = id < s->n_table ? s->table[id] : NULL;
		if (!o)
			return session_breach(s, "object %u to be released is not there", id);
		s->table[id] = NULL;
		o->id = 0;
		object_touch(o);
		object_unref(o);
	}
	return 0;
}

// ---- bulk data

static struct upload **find_upload(struct session *s, uint32_t seq)
{
	struct upload **u = &s->uploads;

	while (*u && (*u)->seq != seq)
		u = &(*u)->next;
	return u;
}

static int to_program(struct program *p, const struct p_data *m)
{
	buf_put(&p->text, m->bytes.at, m->bytes.n);
	object_touch(&p->o);
	if (p->text.failed)
		return -ENOMEM;
	if (p->origin == PROGRAM_BINARY && program_is_complete(p))
		program_binary_arrived(p, m->stream);
	return 0;
}

int session_on_data(struct session *s, const struct p_frame *f, const struct p_data *m)
{
	struct upload **place = find_upload(s, m->stream), *u = *place;
	if (!u || m->offset != u->arrived || !m->bytes.n || m->bytes.n > u->total - u->arrived)
		return session_breach(s, "data that stream %u does not expect", m->stream);
	struct command *c = u->command;
	struct program *p = u->program;
	u->arrived += m->bytes.n;
	if (u->arrived == u->total) {
		*place = u->next;
		s->n_uploads--;
		free(u);
	}
	if (c) {
		struct queue *q = c->queue;
		int r = transfer_arrived(c, m->bytes.at, m->bytes.n, f->length);
		if (r == 0 && c->state == COMMAND_RUNNING &&
			c->u.transfer.done == c->u.transfer.total)
			queue_advance(q);
		return r;
	}
	session_return_credit(s, f->length);
	return p ? to_program(p, m) : 0;
}
