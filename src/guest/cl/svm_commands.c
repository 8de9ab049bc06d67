// SPDX-License-Identifier: Apache-2.0
// OpenCL 3.0, section 5.6.1: what queues do with shared virtual memory. Pointers become an allocation's
// buffer and an offset; the rest is what buffers have.
#include <stdlib.h>
#include <string.h>
#include "guest/cl/copy.h"
#include "guest/cl/map.h"
#include "guest/cl/memory.h"
#include "guest/cl/svm.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"

#define WAITS cl_uint n, const cl_event *list, cl_event *event

static cl_int begin(struct command *c, cl_command_queue q, cl_command_type type, cl_uint n,
	const cl_event *list, cl_event *event, bool blocking)
{
	cl_int err = command_begin(c, q, type, n, list, event, blocking);

	return !err && !svm_is_there() ? CL_INVALID_OPERATION : err;
}

// The allocation that holds all of it.
static cl_mem holder(const struct command *c, const void *at, size_t size)
{
	cl_mem m = svm_at(at, c->queue->context);

	return m && size <= m->size - svm_offset(m, at) ? m : NULL;
}

// ---- copies and fills

// From the program's memory to the program's memory, in the queue's order: through the device.
static cl_int copy_through(struct command *c, void *to, const void *from, size_t n)
{
	struct region source = region_flat((void *)from, n), target = region_flat(to, n);
	struct command there = *c;
	cl_event arrived = NULL;
	cl_mem between = mem_new(c->queue->context, CL_MEM_OBJECT_BUFFER, 0, n);
	cl_int err = between ? mem_announce(between) : CL_OUT_OF_HOST_MEMORY;

	c->chained = NULL;
	there.wanted = &arrived;
	if (!err)
		err = transfer_flat(&there, between, 0, &source, true, false);
	if (!err) {
		c->waits = (struct waits){ .ids = { arrived->o.id }, .n = 1 };
		err = transfer_flat(c, between, 0, &target, false, false);
	}
	object_unref(arrived);
	object_unref(between);
	return err;
}

static cl_int copy_any(struct command *c, void *to, const void *from, size_t size)
{
	uintptr_t a = (uintptr_t)to, b = (uintptr_t)from;
	cl_mem svm_to = svm_at(to, c->queue->context), svm_from = svm_at(from, c->queue->context);

	if (!to || !from || !size || (svm_to && !holder(c, to, size)) ||
		(svm_from && !holder(c, from, size)))
		return CL_INVALID_VALUE;
	if ((a < b ? b - a : a - b) < size)
		return CL_MEM_COPY_OVERLAP;
	if (svm_to && svm_from)
		return copy_bytes(c, svm_from, svm_offset(svm_from, from), svm_to,
			svm_offset(svm_to, to), size);
	if (!svm_to && !svm_from)
		return copy_through(c, to, from, size);
	struct region r = region_flat(svm_to ? (void *)from : to, size);
	return svm_to ? transfer_flat(c, svm_to, svm_offset(svm_to, to), &r, true, false)
		      : transfer_flat(c, svm_from, svm_offset(svm_from, from), &r, false, false);
}

cl_int ferry_clEnqueueSVMMemcpy(
	cl_command_queue q, cl_bool blocking, void *to, const void *from, size_t size, WAITS)
{
	LOCKED;
	struct command c;
	cl_event own = NULL;
	bool lends = blocking && !event;
	cl_int err = begin(&c, q, CL_COMMAND_SVM_MEMCPY, n, list, lends ? &own : event, blocking);

	if (!err)
		err = copy_any(&c, to, from, size);
	if (!err && blocking)
		err = event_wait(lends ? own : *event);
	object_unref(own);
	return err;
}

cl_int ferry_clEnqueueSVMMemFill(
	cl_command_queue q, void *at, const void *pattern, size_t pattern_size, size_t size, WAITS)
{
	LOCKED;
	struct command c;
	cl_int err = begin(&c, q, CL_COMMAND_SVM_MEMFILL, n, list, event, false);

	if (err)
		return err;
	cl_mem m =
		holder(&c, at, size); // on a page's beginning: the offset is aligned as the pointer
	return m ? fill_buffer(&c, m, svm_offset(m, at), size, pattern, pattern_size)
		 : CL_INVALID_VALUE;
}

// ---- mapping

cl_int ferry_clEnqueueSVMMap(
	cl_command_queue q, cl_bool blocking, cl_map_flags flags, void *at, size_t size, WAITS)
{
	LOCKED;
	struct command c;
	cl_int err = begin(&c, q, CL_COMMAND_SVM_MAP, n, list, event, blocking);

	if (err)
		return err;
	cl_mem m = holder(&c, at, size);
	if (!m || !size)
		return CL_INVALID_VALUE;
	err = map_check_flags(m, flags);
	if (!err)
		map_buffer(&c, m, blocking, flags, svm_offset(m, at), size, &err);
	return err;
}

cl_int ferry_clEnqueueSVMUnmap(cl_command_queue q, void *at, WAITS)
{
	LOCKED;
	struct command c;
	cl_int err = begin(&c, q, CL_COMMAND_SVM_UNMAP, n, list, event, false);

	if (err)
		return err;
	cl_mem m = svm_at(at, q->context);
	return m ? map_undo(&c, m, at) : CL_INVALID_VALUE;
}

// ---- migrating

// There is one device, so there is nothing to move: only the order counts.
cl_int ferry_clEnqueueSVMMigrateMem(cl_command_queue q, cl_uint n_pointers, const void **pointers,
	const size_t *sizes, cl_mem_migration_flags flags, WAITS)
{
	LOCKED;
	struct command c;
	cl_int err = begin(&c, q, CL_COMMAND_SVM_MIGRATE_MEM, n, list, event, false);

	if (!err && (!n_pointers || !pointers || flags & ~MIGRATION_FLAGS))
		err = CL_INVALID_VALUE;
	for (cl_uint i = 0; !err && i < n_pointers; i++)
		if (!holder(&c, pointers[i], sizes ? sizes[i] : 0))
			err = CL_INVALID_VALUE;
	return err ? err : command_turn(&c);
}

// ---- freeing in a queue

typedef void(CL_CALLBACK *free_fn)(cl_command_queue, cl_uint, void *[], void *);

// From the call until its turn has come. The queue goes on behind `turn`, when all is freed.
struct freeing {
	cl_command_queue queue;
	cl_event turn;
	free_fn fn; // NULL: the library frees
	void *data;
	cl_uint n;
	void *pointers[];
};

static void freeing_end(struct freeing *f)
{
	object_unref(f->turn);
	object_unref(f->queue);
	free(f);
}

// In the callbacks' thread, without the lock: the program's function frees by calling us.
static void invoke(const struct callback *cb)
{
	struct freeing *f = cb->user_data;

	if (cb->status == CL_COMPLETE && f->fn)
		f->fn(f->queue, f->n, f->pointers, f->data);
	LOCKED;
	for (cl_uint i = 0; cb->status == CL_COMPLETE && !f->fn && i < f->n; i++)
		svm_free(f->pointers[i]);
	user_event_set(f->turn, cb->status);
	freeing_end(f);
}

static struct freeing *freeing_new(
	cl_command_queue q, cl_uint n, void *const *pointers, free_fn fn, void *data)
{
	struct freeing *f = malloc(sizeof *f + n * sizeof *pointers);

	if (!f)
		return NULL;
	*f = (struct freeing){ .queue = q, .fn = fn, .data = data, .n = n };
	if (n)
		memcpy(f->pointers, pointers, n * sizeof *pointers);
	object_ref(q);
	return f;
}

// Two markers: at the first one's end the memory goes, and then the second one may end. `cb` is expected.
static cl_int send_both(struct command *c, struct freeing *f, struct callback *cb)
{
	cl_event turn = f->turn, reached = NULL; // `f` may be gone once the lock is given up
	struct command first = *c;

	object_ref(turn);
	c->chained = NULL;
	first.wanted = &reached;
	cl_int err = command_turn(&first);
	if (err) {
		cb->status = err;
		callback_queue(cb);
	} else {
		event_call(reached, cb);
		c->waits = (struct waits){ .ids = { turn->o.id }, .n = 1 };
		err = command_marker(c);
	}
	object_unref(reached);
	object_unref(turn);
	// Nothing may ever flush after this.
	return err ? err : session_flush();
}

// Takes over `f`.
static cl_int send_freeing(struct command *c, struct freeing *f)
{
	struct callback *cb = callback_new(invoke, NULL, NULL, CL_COMPLETE, f);
	cl_int err = cb ? user_event_new(&f->turn, c->queue->context) : CL_OUT_OF_HOST_MEMORY;

	if (!err && !callback_expect())
		err = CL_OUT_OF_HOST_MEMORY;
	if (!err)
		return send_both(c, f, cb);
	free(cb);
	freeing_end(f);
	return err;
}

cl_int ferry_clEnqueueSVMFree(cl_command_queue q, cl_uint n_pointers, void *pointers[],
	void(CL_CALLBACK *fn)(cl_command_queue, cl_uint, void *[], void *), void *data, WAITS)
{
	LOCKED;
	struct command c;
	cl_int err = begin(&c, q, CL_COMMAND_SVM_FREE, n, list, event, false);

	if (!err && !n_pointers != !pointers)
		err = CL_INVALID_VALUE;
	if (err)
		return err;
	struct freeing *f = freeing_new(q, n_pointers, pointers, fn, data);
	return f ? send_freeing(&c, f) : CL_OUT_OF_HOST_MEMORY;
}
