// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/transfer.h"
#include "vgpu/session/port.h"
#include "vgpu/session/session.h"

#include <errno.h>

// The last byte of the window, counted from the buffer's start; false on overflow.
static bool window_end(const struct transfer *t, uint64_t *ret)
{
	uint64_t slices, rows, end;

	return !__builtin_add_overflow(t->origin.v[2], t->region.v[2] - 1, &slices) &&
	       !__builtin_mul_overflow(slices, t->slice_pitch, &slices) &&
	       !__builtin_add_overflow(t->origin.v[1], t->region.v[1] - 1, &rows) &&
	       !__builtin_mul_overflow(rows, t->row_pitch, &rows) &&
	       !__builtin_add_overflow(slices, rows, &end) &&
	       !__builtin_add_overflow(end, t->origin.v[0], &end) &&
	       !__builtin_add_overflow(end, t->region.v[0], ret);
}

int32_t transfer_check(struct transfer *t)
{
	uint64_t plane, total, end;

	if (!t->region.v[0] || !t->region.v[1] || !t->region.v[2])
		return CL_INVALID_VALUE;
	if (__builtin_mul_overflow(t->row_pitch, t->region.v[1], &plane) ||
		t->row_pitch < t->region.v[0] || (t->region.v[2] > 1 && t->slice_pitch < plane))
		return CL_INVALID_VALUE;
	if (__builtin_mul_overflow(t->region.v[0], t->region.v[1], &total) ||
		__builtin_mul_overflow(total, t->region.v[2], &total))
		return CL_INVALID_VALUE;
	if (!window_end(t, &end) || end > t->buffer->size)
		return CL_INVALID_VALUE;
	t->total = total;
	return CL_SUCCESS;
}

// Where the packed byte `done` lies in the buffer, and how many follow it there without a gap.
static uint64_t place_of(const struct transfer *t, uint64_t done, uint64_t *ret_run)
{
	uint64_t column = done % t->region.v[0];
	uint64_t rows = done / t->region.v[0];
	uint64_t row = rows % t->region.v[1], slice = rows / t->region.v[1];

	*ret_run = t->region.v[0] - column;
	return (t->origin.v[2] + slice) * t->slice_pitch + (t->origin.v[1] + row) * t->row_pitch +
	       t->origin.v[0] + column;
}

static void move_bytes(struct command *c, uint8_t *bytes, uint64_t n, bool write)
{
	const struct backend_ops *ops = c->queue->v->be->ops;
	struct transfer *t = &c->u.transfer;

	while (n) {
		uint64_t run, at = place_of(t, t->done, &run);
		if (run > n)
			run = n;
		if (write)
			ops->mem_write(t->buffer->mem, at, bytes, run);
		else
			ops->mem_read(t->buffer->mem, at, bytes, run);
		bytes += run;
		n -= run;
		t->done += run;
	}
}

static void return_cost(struct command *c)
{
	session_return_credit(c->queue->o.session, c->cost);
	c->cost = 0;
}

void transfer_ask(struct command *c)
{
	if (c->later)
		session_wanted(c->queue->o.session, c->seq);
	c->later = false;
}

static bool run_write(struct command *c)
{
	struct transfer *t = &c->u.transfer;

	transfer_ask(c);
	move_bytes(c, t->payload.data, t->payload.len, true);
	buf_free(&t->payload);
	return_cost(c);
	return t->done == t->total;
}

// Frames straight into the port's buffer: header, stream, offset, length, then the bytes.
static bool put_frame(struct command *c, struct buf *out, uint64_t n)
{
	struct transfer *t = &c->u.transfer;
	struct p_answer_data head = { .stream = c->seq, .offset = t->done };
	size_t start = out->len;

	if (!buf_reserve(out, n + 64) || p_put_answer_data(out, 0, 0, &head) < 0)
		return false;
	move_bytes(c, out->data + out->len, n, false);
	out->len += n;
	p_patch_bulk(out->data + start, out->len - n - start, (uint32_t)n);
	return true;
}

static bool run_read(struct command *c)
{
	struct transfer *t = &c->u.transfer;
	struct port *port = c->queue->o.session->port;

	while (port && t->done < t->total) {
		uint64_t left = t->total - t->done;
		if (port_backlog(port) >= VGPU_ANSWER_AHEAD) {
			port->starved = true;
			return false;
		}
		if (!put_frame(c, port_out(port), left < PROTO_DATA_MAX ? left : PROTO_DATA_MAX))
			return false;
	}
	return true;
}

bool transfer_run(struct command *c)
{
	c->state = COMMAND_RUNNING;
	return command_is_write(c) ? run_write(c) : run_read(c);
}

_Static_assert(TRANSFER_GIVE_BYTES <= PROTO_DATA_MAX, "a given read is answered in one frame");

bool transfer_may_give(const struct command *c)
{
	const struct transfer *t = &c->u.transfer;
	const struct port *port = c->queue->o.session->port;

	if (t->region.v[1] != 1 || t->region.v[2] != 1 || t->done || t->total > TRANSFER_GIVE_BYTES)
		return false;
	return command_is_write(c) ? t->payload.len == t->total
				   : port && port_backlog(port) < VGPU_ANSWER_AHEAD;
}

int32_t transfer_give(struct command *c)
{
	const struct backend_ops *ops = c->queue->v->be->ops;
	struct be_queue *q = c->queue->be;
	struct transfer *t = &c->u.transfer;
	uint64_t run, at = place_of(t, 0, &run);

	if (command_is_write(c))
		return ops->write(q, t->buffer->mem, at, t->payload.data, t->total, &c->ticket);
	if (!buf_reserve(&t->payload, t->total))
		return CL_OUT_OF_HOST_MEMORY;
	return ops->read(q, t->buffer->mem, at, t->payload.data, t->total, &c->ticket);
}

int32_t transfer_collect(struct command *c)
{
	struct transfer *t = &c->u.transfer;
	struct port *port = c->queue->o.session->port;
	struct p_answer_data m = { .stream = c->seq, .bytes = { t->payload.data, t->total } };

	if (!command_is_write(c) && port && p_put_answer_data(port_out(port), 0, 0, &m) < 0)
		return CL_OUT_OF_HOST_MEMORY;
	t->done = t->total;
	return CL_COMPLETE;
}

int transfer_arrived(struct command *c, const uint8_t *bytes, size_t n, uint32_t cost)
{
	struct transfer *t = &c->u.transfer;

	c->cost += cost;
	if (c->state == COMMAND_RUNNING) {
		move_bytes(c, (uint8_t *)bytes, n, true);
		return_cost(c);
		return 0;
	}
	buf_put(&t->payload, bytes, n);
	return t->payload.failed ? -ENOMEM : 0;
}
