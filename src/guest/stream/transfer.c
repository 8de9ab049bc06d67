// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.2.2: reading and writing buffers. A write's bytes are in the stream when the
// call returns, blocking or not, unless they have to wait (later.h). A read's go straight to the program's memory as they arrive.
#include "guest/stream/transfer.h"

#include <stdlib.h>
#include "base/cleanup.h"
#include "guest/cl/memory.h"
#include "guest/cl/queue.h"
#include "guest/cl/rect.h"
#include "guest/stream/direct.h"
#include "guest/stream/later.h"
#include "guest/stream/request.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"

// ---- what all commands share

#define WAITS_CHAINED (PROTO_WAITS_MAX - 1)

// A piece of a long list, and what stands for the pieces before it.
static cl_int take_piece(
	struct command *c, cl_uint n, const cl_event *list, bool blocking, bool all)
{
	cl_int err = waits_take(&c->waits, c->queue->context, n, list, blocking, all);

	if (!err && c->chained)
		c->waits.ids[c->waits.n++] = c->chained->o.id;
	return err;
}

static cl_int chain(struct command *c)
{
	struct command marker = { .queue = c->queue, .type = CL_COMMAND_MARKER, .waits = c->waits };
	cl_event next = NULL;

	marker.wanted = &next;
	cl_int err = command_turn(&marker);
	object_unref(c->chained);
	c->chained = next;
	return err;
}

// More events than a message holds: a marker waits for some, the next one for that and for more of them.
static cl_int take_many(struct command *c, cl_uint n, const cl_event *list, bool blocking, bool all)
{
	cl_int err = CL_SUCCESS;
	cl_uint at, piece = WAITS_CHAINED;

	for (at = 0; !err && at < n; at += piece) // nothing is sent for a list that is wrong
		err = waits_take(&c->waits, c->queue->context, n - at < piece ? n - at : piece,
			list + at, blocking, all);
	for (at = 0; !err && n - at > piece; at += piece) {
		err = take_piece(c, piece, list + at, blocking, all);
		if (!err)
			err = chain(c);
	}
	return err ? err : take_piece(c, n - at, list + at, blocking, all);
}

cl_int command_begin(struct command *c, cl_command_queue q, cl_command_type type, cl_uint n,
	const cl_event *list, cl_event *event, bool blocking)
{
	cl_int err = queue_check(q);

	if (!err)
		err = session_room_for_command();
	c->queue = q;
	c->type = type;
	c->wanted = event;
	c->event = NULL;
	c->seq = 0;
	c->waits.n = 0;
	c->chained = NULL;
	c->number = err ? 0 : ++q->begun;
	if (err || (!n && !list))
		return err;
	bool all = type == CL_COMMAND_MARKER || type == CL_COMMAND_BARRIER;
	return n > PROTO_WAITS_MAX && list
		       ? take_many(c, n, list, blocking, all)
		       : waits_take(&c->waits, q->context, n, list, blocking, all);
}

cl_int command_event(struct command *c)
{
	return event_begin(&c->event, c->wanted, c->queue, c->type);
}

cl_int command_end(struct command *c, cl_int err)
{
	object_unref(c->chained);
	c->chained = NULL;
	return event_commit(c->event, c->wanted, err, c->seq);
}

cl_int command_marker(struct command *c)
{
	cl_int err = command_event(c);

	if (err)
		return err;
	struct p_marker m = { c->queue->o.id, event_id(c->event), waits_ids(&c->waits) };
	return command_end(c, send_marker(0, &m, &c->seq));
}

static bool is_ordered(const struct command *c)
{
	return !(c->queue->properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}

// A marker without a wait list waits for all before it, this one must not: it waits for what is over.
static cl_int turn_out_of_order(struct command *c)
{
	cl_event over = NULL;
	cl_int err = user_event_ended(&over, c->queue->context);

	if (err)
		return err;
	c->waits = (struct waits){ .ids = { over->o.id }, .n = 1 };
	err = command_marker(c);
	object_unref(over);
	return err;
}

cl_int command_turn(struct command *c)
{
	return is_ordered(c) || c->waits.n ? command_marker(c) : turn_out_of_order(c);
}

cl_int command_turn_wait(const struct command *c)
{
	struct command turn = *c;
	cl_event own = NULL;
	uint64_t before = queue_sent(c->queue);

	if (!c->wanted)
		turn.wanted = &own;
	cl_int err = command_turn(&turn);
	if (err)
		return err;
	cl_event e = turn.event;
	object_ref(e);
	object_unref(own);
	err = event_wait(e);
	object_unref(e);
	if (!err && is_ordered(c))
		queue_note_ended(c->queue, before);
	return err;
}

cl_int command_nothing(struct command *c, bool blocking)
{
	if (blocking)
		return direct_is_simple(c) ? direct_wait(c) : command_turn_wait(c);
	return c->wanted || c->waits.n ? command_turn(c) : CL_SUCCESS;
}

// ---- sending bytes

static bool is_flat(const struct region *r)
{
	return r->rows == 1 && r->slices == 1;
}

// A contiguous region needs no copy of its own before the frame's. Others are gathered in memory that belongs to
// whoever has the lock (a program's thread may have a small stack): there must be room for the message, so that
// sending it does not give the lock up.
static const uint8_t *piece(const struct region *r, uint64_t offset, size_t n)
{
	static uint8_t scratch[PROTO_DATA_MAX];

	if (is_flat(r))
		return r->base + offset;
	region_gather(r, offset, scratch, n);
	return scratch;
}

cl_int transfer_some(uint32_t stream, const struct region *r, uint64_t *offset)
{
	uint64_t left = region_bytes(r) - *offset;
	size_t n = left < PROTO_DATA_MAX ? (size_t)left : PROTO_DATA_MAX;
	cl_int err = session_room(1);

	if (err)
		return err;
	struct p_data m = { stream, *offset, { piece(r, *offset, n), n } };
	*offset += n;
	return send_data(0, &m, NULL);
}

static cl_int send_straight(const struct p_data *m, uint64_t *offset)
{
	size_t n = 0;
	cl_int err = session_send_straight(m, &n);

	*offset += n;
	return err;
}

// Bytes that the host takes only in their turn, perhaps after a write that goes later (later.h): they leave
// credit for that one.
static uint64_t credit_for_later(void)
{
	return later_any() && !events_unset() ? session.credit_most / 2 : 0;
}

static bool leaves_credit(const void *arg)
{
	return session.credit >= credit_for_later() + PROTO_FRAME_MAX;
}

cl_int transfer_rest(uint32_t stream, const struct region *r, uint64_t offset)
{
	uint64_t total = region_bytes(r);
	cl_int err = CL_SUCCESS;

	while (!err && offset < total) {
		size_t n = (size_t)(total - offset);
		struct p_data m = { stream, offset, { r->base + offset, n } };
		// later_needed() has counted the credit: nobody may take of it before the last byte.
		bool straight = is_flat(r) && n > PROTO_DATA_MAX && !events_unset();
		if (credit_for_later()) {
			straight = false; // would take all there is
			err = session_wait(leaves_credit, NULL);
		}
		if (err)
			break;
		err = straight ? send_straight(&m, &offset) : transfer_some(stream, r, &offset);
	}
	return err;
}

static size_t inline_bytes(uint64_t total)
{
	return total < PROTO_INLINE_MAX ? (size_t)total : PROTO_INLINE_MAX;
}

// What goes in more than one frame goes without a copy where it can: none of it inside the message.
static size_t inline_flat(uint64_t total)
{
	return total <= PROTO_INLINE_MAX ? (size_t)total : 0;
}

// What a write's message did not hold, and the command's end. `l`: it is to wait until the host asks, or
// NULL. The event is the stream's from the message on: it may end before all bytes have gone.
static cl_int write_rest(
	struct command *c, cl_int err, const struct region *r, uint64_t offset, struct later *l)
{
	err = command_end(c, err);
	if (err) {
		later_free(l);
		return err;
	}
	if (l) {
		later_begin(l, c->seq);
		return CL_SUCCESS;
	}
	err = transfer_rest(c->seq, r, offset);
	if (err && c->event)
		object_unref(c->event); // the program never hears of it
	return err;
}

// Until its bytes have gone, which they do when its turn has come.
static cl_int await_later(struct command *c)
{
	cl_int err = later_wait_for(c->seq);

	if (err && c->event)
		object_unref(c->event); // the program never hears of it
	return err;
}

static cl_int write_flat(
	struct command *c, cl_mem m, size_t offset, const struct region *r, struct later *l)
{
	size_t n = l ? 0 : inline_flat(region_bytes(r));
	struct p_write msg = { c->queue->o.id, m->o.id, event_id(c->event), offset, region_bytes(r),
		waits_ids(&c->waits), { r->base, n } };
	cl_int err = send_write(l ? P_LATER : 0, &msg, &c->seq);

	return write_rest(c, err, r, n, l);
}

static cl_int write_box(
	struct command *c, cl_mem m, const struct rect *at, const struct region *r, struct later *l)
{
	size_t n = l ? 0 : inline_bytes(region_bytes(r));
	cl_int err = session_room(1);
	struct p_write_rect msg = { c->queue->o.id, m->o.id, event_id(c->event), rect_origin(at),
		rect_region(at), at->row_pitch, at->slice_pitch, waits_ids(&c->waits),
		{ piece(r, 0, n), n } };

	if (!err)
		err = send_write_rect(l ? P_LATER : 0, &msg, &c->seq);

	return write_rest(c, err, r, n, l);
}

// ---- reading

// One that the program does not wait for. The bytes may go to memory that ends with `m`.
struct reading {
	struct request request; // first
	cl_command_queue queue;
	cl_mem m;
	bool has_event; // which tells how it ended
};

static void read_over(struct request *r)
{
	struct reading *read = (struct reading *)r;
	cl_command_queue q = read->queue;

	q->reads--;
	if (r->status && !q->o.failed && !read->has_event)
		q->o.failed = r->status;
	object_unref(q);
	object_unref(read->m);
	free(read);
}

// The answer to message c->seq goes to `to`. A call that waits also tells what an earlier command without
// an event has failed with, unless it has an event to give out.
static cl_int await_read(
	struct command *c, cl_mem m, const struct region *to, struct reading *later)
{
	struct request now = { .region = *to };

	if (!later) {
		request_begin(&now, c->seq);
		cl_int err = request_wait(&now);
		return err || c->wanted ? err : queue_check(c->queue);
	}
	*later = (struct reading){ { .region = *to, .done = read_over }, c->queue, m, c->wanted };
	c->queue->reads++;
	object_ref(c->queue);
	object_ref(m);
	request_begin(&later->request, c->seq);
	return CL_SUCCESS;
}

static cl_int send_read_of(
	struct command *c, cl_mem m, size_t offset, const struct rect *at, const struct region *r)
{
	struct p_read flat = { c->queue->o.id, m->o.id, event_id(c->event), offset, region_bytes(r),
		waits_ids(&c->waits) };

	if (!at)
		return send_read(0, &flat, &c->seq);
	struct p_read_rect box = { c->queue->o.id, m->o.id, event_id(c->event), rect_origin(at),
		rect_region(at), at->row_pitch, at->slice_pitch, waits_ids(&c->waits) };
	return send_read_rect(0, &box, &c->seq);
}

static cl_int read_into(struct command *c, cl_mem m, size_t offset, const struct rect *at,
	const struct region *r, bool blocking)
{
	struct reading *later = blocking ? NULL : malloc(sizeof *later);

	if (!blocking && !later)
		return command_end(c, CL_OUT_OF_HOST_MEMORY);
	cl_int err = send_read_of(c, m, offset, at, r);
	if (err) {
		free(later);
		return command_end(c, err);
	}
	// The event is the stream's from here on, also when the read fails.
	command_end(c, CL_SUCCESS);
	return await_read(c, m, r, later);
}

// ---- either way

static cl_int transfer(struct command *c, cl_mem m, size_t offset, const struct rect *at,
	const struct region *r, bool write, bool blocking)
{
	cl_int err = command_event(c);

	if (err)
		return err;
	if (!write)
		return read_into(c, m, offset, at, r, blocking);
	struct later *l = NULL;
	if (later_needed(region_bytes(r))) {
		err = later_new(m, r, &l);
		if (err)
			return command_end(c, err);
	}
	err = at ? write_box(c, m, at, r, l) : write_flat(c, m, offset, r, l);
	return err || !l || !blocking ? err : await_later(c);
}

// A write of more bytes than the credit waits for its turn in the call anyway, unless the program could
// have to set an event first.
static bool may_wait(const struct command *c, size_t n, bool write, bool blocking)
{
	return blocking || direct_idle(c) || (write && n > session.credit_most && !events_unset());
}

cl_int transfer_flat(struct command *c, cl_mem m, size_t offset, const struct region *r, bool write,
	bool blocking)
{
	if (r->row >= DIRECT_BYTES && direct_may(c, m) && may_wait(c, r->row, write, blocking))
		return direct_transfer(c, m, offset, r, write);
	return transfer(c, m, offset, NULL, r, write, blocking);
}

cl_int transfer_box(struct command *c, cl_mem m, const struct rect *at, const struct region *r,
	bool write, bool blocking)
{
	return transfer(c, m, 0, at, r, write, blocking);
}

cl_int transfer_write(cl_command_queue q, cl_mem m, size_t offset, const void *bytes, size_t n)
{
	struct command c = { .queue = q };
	struct region r = region_flat(bytes, n);

	return write_flat(&c, m, offset, &r, NULL);
}

// ---- the calls

static cl_int flat_call(cl_command_queue q, cl_mem m, bool blocking, size_t offset, size_t size,
	const void *ptr, cl_uint n, const cl_event *list, cl_event *event, bool write)
{
	LOCKED;
	struct command c;
	struct region r = region_flat(ptr, size);
	cl_int err = command_begin(&c, q, write ? CL_COMMAND_WRITE_BUFFER : CL_COMMAND_READ_BUFFER,
		n, list, event, blocking);

	if (!err)
		err = buffer_check(m, q->context);
	if (err)
		return err;
	if (!ptr || offset > m->size || size > m->size - offset)
		return CL_INVALID_VALUE;
	err = mem_check_access(m, write);
	if (err)
		return err;
	return size ? transfer_flat(&c, m, offset, &r, write, blocking)
		    : command_nothing(&c, blocking);
}

cl_int ferry_clEnqueueReadBuffer(cl_command_queue q, cl_mem m, cl_bool blocking, size_t offset,
	size_t size, void *ptr, cl_uint n, const cl_event *list, cl_event *event)
{
	return flat_call(q, m, blocking, offset, size, ptr, n, list, event, false);
}

cl_int ferry_clEnqueueWriteBuffer(cl_command_queue q, cl_mem m, cl_bool blocking, size_t offset,
	size_t size, const void *ptr, cl_uint n, const cl_event *list, cl_event *event)
{
	return flat_call(q, m, blocking, offset, size, ptr, n, list, event, true);
}

struct rect_call {
	cl_command_queue q;
	cl_mem m;
	bool blocking, write;
	struct rect buffer, host;
	const void *ptr;
	cl_uint n;
	const cl_event *list;
	cl_event *event;
};

static cl_int rect_call(struct rect_call *a)
{
	LOCKED;
	struct command c;
	cl_command_type type =
		a->write ? CL_COMMAND_WRITE_BUFFER_RECT : CL_COMMAND_READ_BUFFER_RECT;
	cl_int err = command_begin(&c, a->q, type, a->n, a->list, a->event, a->blocking);

	if (!err)
		err = buffer_check(a->m, a->q->context);
	if (!err && (!a->ptr || !rect_fix(&a->buffer) || !rect_fix(&a->host) ||
			    rect_end(&a->buffer) > a->m->size))
		err = CL_INVALID_VALUE;
	if (!err)
		err = mem_check_access(a->m, a->write);
	if (err)
		return err;
	struct region r = rect_in_memory(&a->host, a->ptr);
	return transfer(&c, a->m, 0, &a->buffer, &r, a->write, a->blocking);
}

cl_int ferry_clEnqueueReadBufferRect(cl_command_queue q, cl_mem m, cl_bool blocking,
	const size_t *buffer_origin, const size_t *host_origin, const size_t *region,
	size_t buffer_row, size_t buffer_slice, size_t host_row, size_t host_slice, void *ptr,
	cl_uint n, const cl_event *list, cl_event *event)
{
	struct rect_call a = { q, m, blocking, false,
		{ buffer_origin, region, buffer_row, buffer_slice },
		{ host_origin, region, host_row, host_slice }, ptr, n, list, event };

	return rect_call(&a);
}

cl_int ferry_clEnqueueWriteBufferRect(cl_command_queue q, cl_mem m, cl_bool blocking,
	const size_t *buffer_origin, const size_t *host_origin, const size_t *region,
	size_t buffer_row, size_t buffer_slice, size_t host_row, size_t host_slice, const void *ptr,
	cl_uint n, const cl_event *list, cl_event *event)
{
	struct rect_call a = { q, m, blocking, true,
		{ buffer_origin, region, buffer_row, buffer_slice },
		{ host_origin, region, host_row, host_slice }, ptr, n, list, event };

	return rect_call(&a);
}
