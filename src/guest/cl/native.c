// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.8.3: native kernels, functions of the program as commands of a queue. The function
// runs here, in the guest, on the thread that also calls the program back; the host sees a marker that
// ends when everything before has ended, a user event that stands for the function, and a marker that
// waits for that event. All three are ordinary object state, so that a vGPU moves at any instant of it.
#include <stdlib.h>
#include <string.h>
#include "guest/cl/event.h"
#include "guest/cl/memory.h"
#include "guest/cl/queue.h"
#include "guest/stream/direct.h"
#include "guest/stream/session.h"
#include "guest/stream/transfer.h"

typedef void(CL_CALLBACK *native_fn)(void *);

// One clEnqueueNativeKernel until its function has run; it keeps a reference to each object.
struct native {
	native_fn fn;
	void *args; // a copy; NULL: none
	cl_context context;
	cl_event ready; // everything before it has ended
	cl_event ran;   // the user event
	cl_event end;   // the command's own; NULL: the program wants none
	cl_uint n_mems;
	struct native_mem {
		cl_mem m;
		size_t place; // in the arguments, of the pointer to its bytes
		uint8_t *at;  // its bytes, while the function runs
		bool uses_shadow;
	} mems[];
};

static void native_free(struct native *k)
{
	for (cl_uint i = 0; i < k->n_mems; i++) {
		if (k->mems[i].uses_shadow)
			mem_shadow_unuse(k->mems[i].m);
		object_unref(k->mems[i].m);
	}
	object_unref(k->ready);
	object_unref(k->ran);
	object_unref(k->end);
	object_unref(k->context);
	free(k->args);
	free(k);
}

// ---- running it

// A buffer's bytes as they are now. Where memory is shared they are the buffer itself.
static cl_int fetch(cl_command_queue q, struct native_mem *b)
{
	struct command c = { .queue = q };
	cl_int err = object_check(b->m, &mem_class);

	if (err)
		return err;
	b->at = direct_at(b->m);
	if (b->at)
		return CL_SUCCESS;
	b->at = mem_shadow(b->m);
	if (!b->at)
		return CL_MEM_OBJECT_ALLOCATION_FAILURE;
	mem_shadow_use(b->m);
	b->uses_shadow = true;
	struct region r = region_flat(b->at, b->m->size);
	return transfer_flat(&c, b->m, 0, &r, false, true);
}

static cl_int fetch_all(struct native *k)
{
	cl_int err = CL_SUCCESS;

	for (cl_uint i = 0; !err && i < k->n_mems; i++) {
		struct native_mem *b = &k->mems[i];
		err = fetch(k->context->setup_queue, b);
		memcpy((char *)k->args + b->place, &b->at, sizeof b->at);
	}
	return err;
}

// Parts of one buffer lie in one piece of memory here too: whichever is written last, all is there.
static cl_int store_all(struct native *k)
{
	cl_command_queue q = k->context->setup_queue;
	cl_int err = CL_SUCCESS;

	for (cl_uint i = 0; !err && i < k->n_mems; i++) {
		struct native_mem *b = &k->mems[i];
		if (b->at != direct_at(b->m) && !(b->m->flags & CL_MEM_READ_ONLY))
			err = transfer_write(q, b->m, 0, b->at, b->m->size);
	}
	if (!err && k->n_mems)
		err = queue_finish(q);
	return err || !k->n_mems ? err : queue_check(q);
}

// The lock is given up: the function takes as long as it takes, and may call OpenCL.
static cl_int call(struct native *k)
{
	session_uses_reserve = true;
	cl_int err = fetch_all(k);
	session_uses_reserve = false;
	if (err)
		return err;
	pthread_mutex_unlock(&session.lock);
	k->fn(k->args);
	pthread_mutex_lock(&session.lock);
	session_uses_reserve = true;
	err = store_all(k);
	session_uses_reserve = false;
	return err;
}

static void run(const struct callback *c)
{
	LOCKED;
	struct native *k = c->user_data;
	cl_int status = c->status;

	if (k->end)
		memcpy(k->end->before, (cl_ulong[]){ k->ready->times[0], k->ready->times[3] },
			sizeof k->end->before);
	if (status == CL_COMPLETE)
		status = call(k);
	session.reserves--;
	user_event_set(k->ran, status);
	native_free(k);
}

// ---- enqueueing it

struct native_call {
	native_fn fn;
	const void *args;
	size_t size;
	cl_uint n_mems;
	const cl_mem *mems;
	const void **places;
};

static size_t place_of(const struct native_call *a, cl_uint i)
{
	return (size_t)((const char *)a->places[i] - (const char *)a->args);
}

static cl_int check(const struct native_call *a, cl_context c)
{
	if (!a->fn || !a->args != !a->size || (a->n_mems && !a->args) || !a->n_mems != !a->mems ||
		!a->n_mems != !a->places)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < a->n_mems; i++) {
		cl_int err = buffer_check(a->mems[i], c);
		if (err)
			return err;
		if (a->size < sizeof(void *) || place_of(a, i) > a->size - sizeof(void *))
			return CL_INVALID_VALUE;
	}
	return CL_SUCCESS;
}

static struct native *native_new(const struct native_call *a, cl_context c)
{
	struct native *k = calloc(1, sizeof *k + a->n_mems * sizeof *k->mems);

	if (!k)
		return NULL;
	k->fn = a->fn;
	k->context = c;
	object_ref(c);
	for (; k->n_mems < a->n_mems; k->n_mems++) {
		k->mems[k->n_mems] = (struct native_mem){ .m = a->mems[k->n_mems],
			.place = place_of(a, k->n_mems) };
		object_ref(a->mems[k->n_mems]);
	}
	k->args = a->size ? malloc(a->size) : NULL;
	if (k->args)
		memcpy(k->args, a->args, a->size);
	if (!a->size || k->args)
		return k;
	native_free(k);
	return NULL;
}

// Both markers in one go: no other thread's command comes between them.
static cl_int send_both(struct native *k, struct command *before, cl_event *wanted)
{
	cl_command_queue q = before->queue;
	struct command end = { .queue = q, .type = CL_COMMAND_NATIVE_KERNEL, .wanted = wanted };
	cl_int err = session_room(2);

	if (err)
		return err;
	before->wanted = &k->ready;
	err = command_turn(before);
	if (err)
		return err;
	end.number = ++q->begun;
	end.waits.ids[end.waits.n++] = k->ran->o.id;
	err = command_marker(&end);
	k->end = end.event;
	if (!err && k->end)
		object_ref(k->end);
	return err;
}

// Takes `k`, also when it fails.
static cl_int begin(struct native *k, struct command *before, cl_event *wanted)
{
	cl_command_queue setup;
	struct callback *c = callback_new(run, NULL, NULL, CL_COMPLETE, k);
	cl_int err = c ? queue_for_setup(&setup, k->context) : CL_OUT_OF_HOST_MEMORY;

	if (!err)
		err = user_event_new(&k->ran, k->context);
	if (!err && !callback_expect())
		err = CL_OUT_OF_HOST_MEMORY;
	if (err) {
		free(c);
		native_free(k);
		return err;
	}
	session.reserves++;
	err = send_both(k, before, wanted);
	if (!err) {
		event_call(k->ready, c);
		return session_flush();
	}
	c->status = err;
	callback_queue(c);
	return err;
}

cl_int ferry_clEnqueueNativeKernel(cl_command_queue q, native_fn fn, void *args, size_t size,
	cl_uint n_mems, const cl_mem *mems, const void **places, cl_uint n, const cl_event *list,
	cl_event *event)
{
	const struct native_call a = { fn, args, size, n_mems, mems, places };
	LOCKED;
	struct command before;
	cl_int err = command_begin(&before, q, CL_COMMAND_MARKER, n, list, event, false);

	if (!err)
		err = check(&a, q->context);
	if (err)
		return err;
	struct native *k = native_new(&a, q->context);
	return k ? begin(k, &before, event) : CL_OUT_OF_HOST_MEMORY;
}
