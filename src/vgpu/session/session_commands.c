// SPDX-License-Identifier: Apache-2.0
// Messages that become commands of a queue.
#include "vgpu/gate/command.h"
#include "vgpu/session/session.h"
#include "vgpu/session/transfer.h"

#include <errno.h>
#include <string.h>

// A command with its queue, waits and event; checked against the session's own objects.
static int begin(struct session *s, const struct p_frame *f, uint32_t queue, uint32_t event,
	const struct p_ids *waits, struct command **ret)
{
	struct queue *q = (struct queue *)session_need(s, queue, OBJECT_QUEUE);
	struct command *c;
	int r = 0;

	if (!q)
		return -EBADMSG;
	if (event && session_check_new_id(s, event) < 0)
		return -EBADMSG;
	c = command_new(q, (enum p_op)f->op);
	if (!c)
		return session_breach(s, "more than %u commands wait", VGPU_PENDING_MAX);
	c->seq = f->seq;
	c->cost = f->length;
	c->later = f->flags & P_LATER;
	c->status = q->o.failed;
	for (uint32_t i = 0; waits && r == 0 && i < waits->n; i++) {
		struct object *e = session_need(s, p_id_at(waits, i), OBJECT_EVENT);
		r = e ? command_wait_for(c, (struct event *)e) : -EBADMSG;
	}
	if (r == 0 && event)
		r = event_new(s, 0, &c->event);
	if (r == 0 && event) {
		c->event->command = c;
		object_ref(&c->event->o); // one is the table's, one the command's
		r = session_enter(s, event, &c->event->o);
	}
	if (r < 0) {
		command_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

// `r`: of preparing it.
static int finish(struct command *c, int r)
{
	if (r < 0)
		command_free(c);
	else
		queue_push(c->queue, c);
	return r;
}

// A failed buffer makes its uses fail when their turn comes.
static int hold_buffer(struct session *s, struct command *c, uint32_t id, struct buffer **ret)
{
	struct object *o = session_find_memory(s, id);

	if (!o)
		return session_breach(s, "no buffer or image %u", id);
	if (o->failed != CL_SUCCESS)
		c->status = o->failed;
	*ret = (struct buffer *)o;
	return command_hold(c, o);
}

// ---- launches

static int hold_args(struct session *s, struct command *c, const struct arg_set *set)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < set->n; i++) {
		const struct arg *a = &set->args[i];
		enum object_type type = arg_object_type(a->kind);
		if (!type || !a->value.serial)
			continue;
		struct object *o = registry_find(&s->v->registry, a->value.serial);
		if (!o || o->type != type)
			c->status = CL_INVALID_MEM_OBJECT;
		else
			r = command_hold(c, o);
	}
	return r;
}

// What is gone was freed after it was named: the program's own fault.
static int hold_svm(struct session *s, struct command *c, const struct kernel *k)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < k->n_svm; i++) {
		struct object *o = registry_find(&s->v->registry, k->svm[i]);
		r = o && o->type == OBJECT_BUFFER ? command_hold(c, o) : 0;
	}
	return r;
}

static int prepare_launch(struct session *s, struct command *c, const struct p_launch *m)
{
	struct kernel *k = (struct kernel *)session_need(s, m->kernel, OBJECT_KERNEL);

	if (!k)
		return -EBADMSG;
	if (m->dims < 1 || m->dims > 3)
		return session_breach(s, "a launch in %u dimensions", m->dims);
	int r = kernel_change_args(k, s, m->args);
	if (r == 0)
		r = command_hold(c, &k->o);
	if (r < 0)
		return r;
	if (!k->args) {
		c->status = k->o.failed != CL_SUCCESS ? k->o.failed : CL_INVALID_KERNEL;
		return 0;
	}
	c->u.launch = (struct launch){ .kernel = k,
		.args = k->args,
		.dims = m->dims,
		.offset = m->offset,
		.global = m->global,
		.local = m->local };
	k->args->refs++;
	int held = hold_args(s, c, k->args);
	return held < 0 ? held : hold_svm(s, c, k);
}

// ---- transfers

static void check_window(struct command *c)
{
	int32_t err = transfer_check(&c->u.transfer);

	if (c->status == CL_SUCCESS)
		c->status = err;
}

// The first bytes of a write; the rest, when there is more, as data frames. A window that is wrong
// still has its bytes coming, as many as its sizes say.
static int begin_write(struct session *s, struct command *c, uint64_t total, struct p_blob bytes)
{
	struct upload *u;
	int r = 0;

	if (bytes.n > total)
		return session_breach(s, "a write with more bytes than its size");
	if (bytes.n < total) {
		r = session_upload(s, c->seq, total, bytes.n, &u);
		if (r == 0 && c->status == CL_SUCCESS)
			u->command = c;
	}
	if (c->status != CL_SUCCESS)
		transfer_ask(c); // nothing else will
	if (r < 0 || c->status != CL_SUCCESS)
		return r;
	buf_put(&c->u.transfer.payload, bytes.at, bytes.n);
	return c->u.transfer.payload.failed ? -ENOMEM : 0;
}

static struct transfer linear(uint64_t offset, uint64_t size)
{
	return (struct transfer){ .origin = { { offset, 0, 0 } },
		.region = { { size, 1, 1 } },
		.row_pitch = size,
		.slice_pitch = size };
}

static struct transfer rectangle(const struct p_vec3 *origin, const struct p_vec3 *region,
	uint64_t row_pitch, uint64_t slice_pitch)
{
	return (struct transfer){ .origin = *origin,
		.region = *region,
		.row_pitch = row_pitch,
		.slice_pitch = slice_pitch };
}

static int prepare_transfer(
	struct session *s, struct command *c, uint32_t buffer, const struct transfer *what)
{
	c->u.transfer = *what;
	int r = hold_buffer(s, c, buffer, &c->u.transfer.buffer);
	if (r == 0)
		check_window(c);
	return r;
}

static int prepare_write(struct session *s, struct command *c, const struct p_write *m)
{
	struct transfer t = linear(m->offset, m->size);
	int r = prepare_transfer(s, c, m->buffer, &t);

	return r < 0 ? r : begin_write(s, c, m->size, m->bytes);
}

static int prepare_write_rect(struct session *s, struct command *c, const struct p_write_rect *m)
{
	struct transfer t = rectangle(&m->origin, &m->region, m->row_pitch, m->slice_pitch);
	uint64_t total;

	if (__builtin_mul_overflow(m->region.v[0], m->region.v[1], &total) ||
		__builtin_mul_overflow(total, m->region.v[2], &total))
		return session_breach(s, "a rectangle without bounds");
	int r = prepare_transfer(s, c, m->buffer, &t);
	return r < 0 ? r : begin_write(s, c, total, m->bytes);
}

static int prepare_read(struct session *s, struct command *c, const struct p_read *m)
{
	struct transfer t = linear(m->offset, m->size);

	return prepare_transfer(s, c, m->buffer, &t);
}

static int prepare_read_rect(struct session *s, struct command *c, const struct p_read_rect *m)
{
	struct transfer t = rectangle(&m->origin, &m->region, m->row_pitch, m->slice_pitch);

	return prepare_transfer(s, c, m->buffer, &t);
}

// ---- copies and fills: the driver's, but their bounds are checked here

static void check_bounds(struct command *c, struct buffer *b, const struct p_vec3 *origin,
	const struct p_vec3 *region, uint64_t row_pitch, uint64_t slice_pitch)
{
	struct transfer t = rectangle(origin, region, row_pitch, slice_pitch);

	t.buffer = b;
	if (c->status == CL_SUCCESS)
		c->status = transfer_check(&t);
}

static int hold_both(struct session *s, struct command *c, uint32_t from, uint32_t to)
{
	struct copy *k = &c->u.copy;
	int r = hold_buffer(s, c, from, &k->from);

	if (r == 0)
		r = hold_buffer(s, c, to, &k->to);
	if (r < 0)
		return r;
	check_bounds(
		c, k->from, &k->from_origin, &k->region, k->from_row_pitch, k->from_slice_pitch);
	check_bounds(c, k->to, &k->to_origin, &k->region, k->to_row_pitch, k->to_slice_pitch);
	return 0;
}

static int prepare_copy(struct session *s, struct command *c, const struct p_copy *m)
{
	c->u.copy = (struct copy){ .from_origin = { { m->from_offset, 0, 0 } },
		.to_origin = { { m->to_offset, 0, 0 } },
		.region = { { m->size, 1, 1 } },
		.from_row_pitch = m->size,
		.from_slice_pitch = m->size,
		.to_row_pitch = m->size,
		.to_slice_pitch = m->size };
	return hold_both(s, c, m->from, m->to);
}

static int prepare_copy_rect(struct session *s, struct command *c, const struct p_copy_rect *m)
{
	c->u.copy = (struct copy){ .from_origin = m->from_origin,
		.to_origin = m->to_origin,
		.region = m->region,
		.from_row_pitch = m->from_row_pitch,
		.from_slice_pitch = m->from_slice_pitch,
		.to_row_pitch = m->to_row_pitch,
		.to_slice_pitch = m->to_slice_pitch };
	return hold_both(s, c, m->from, m->to);
}

static int prepare_fill(struct session *s, struct command *c, const struct p_fill *m)
{
	struct fill *fill = &c->u.fill;

	fill->offset = m->offset;
	fill->size = m->size;
	fill->pattern_bytes = (uint32_t)m->pattern.n;
	for (size_t i = 0; i < m->pattern.n; i++)
		fill->pattern[i] = m->pattern.at[i];
	int r = hold_buffer(s, c, m->buffer, &fill->buffer);
	if (r == 0 && c->status == CL_SUCCESS && !command_fill_fits(fill))
		c->status = CL_INVALID_VALUE;
	return r;
}

static int prepare_image_fill(struct session *s, struct command *c, const struct p_image_fill *m)
{
	struct image *image = (struct image *)session_find(s, m->image, OBJECT_IMAGE);
	struct image_fill *fill = &c->u.image_fill;

	if (!image || m->color.n != sizeof fill->color)
		return session_breach(s, "no image %u, or no colour", m->image);
	*fill = (struct image_fill){ .image = image, .origin = m->origin, .region = m->region };
	memcpy(fill->color, m->color.at, sizeof fill->color);
	if (image->b.o.failed != CL_SUCCESS)
		c->status = image->b.o.failed;
	else if (c->status == CL_SUCCESS && !image_holds(&image->layout, m->origin.v, m->region.v))
		c->status = CL_INVALID_VALUE;
	return command_hold(c, &image->b.o);
}

// ---- the messages

static int prepare_marker(struct session *s, struct command *c, const struct p_marker *m)
{
	return 0;
}

static int prepare_barrier(struct session *s, struct command *c, const struct p_barrier *m)
{
	return 0;
}

#define COMMAND(name)                                                                              \
	int session_on_##name(                                                                     \
		struct session *s, const struct p_frame *f, const struct p_##name *m)              \
	{                                                                                          \
		struct command *c;                                                                 \
		int r = begin(s, f, m->queue, m->event, &m->waits, &c);                            \
		return r < 0 ? r : finish(c, prepare_##name(s, c, m));                             \
	}

COMMAND(launch)
COMMAND(write)
COMMAND(write_rect)
COMMAND(read)
COMMAND(read_rect)
COMMAND(copy)
COMMAND(copy_rect)
COMMAND(fill)
COMMAND(image_fill)
COMMAND(marker)
COMMAND(barrier)

int session_on_finish(struct session *s, const struct p_frame *f, const struct p_finish *m)
{
	struct command *c;
	int r = begin(s, f, m->queue, 0, NULL, &c);

	return r < 0 ? r : finish(c, 0);
}
