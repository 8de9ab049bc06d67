// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 5.9 (event objects) and 5.12 (profiling).
#include "guest/cl/event.h"

#include <stdlib.h>
#include "base/cleanup.h"
#include "guest/cl/info.h"
#include "guest/stream/request.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"

static unsigned unset; // user events

static void destroy(struct object *o)
{
	cl_event e = (cl_event)o;

	unset -= e->user && e->status > CL_COMPLETE;
	object_unref(e->queue);
	object_unref(e->context);
}

const struct object_class event_class = { CL_INVALID_EVENT, destroy };

static cl_event event_new(cl_context c, cl_command_queue q, cl_command_type type)
{
	cl_event e = object_new(&event_class, sizeof *e, true);

	if (!e)
		return NULL;
	e->context = c;
	object_ref(c);
	e->queue = q;
	if (q)
		object_ref(q);
	e->type = type;
	e->status = CL_QUEUED;
	return e;
}

bool events_unset(void)
{
	return unset > 0;
}

cl_event event_find(uint32_t id)
{
	struct object *o = object_find(id);

	return o && o->class == &event_class ? (cl_event)o : NULL;
}

// ---- wait lists

cl_int waits_take(
	struct waits *w, cl_context c, cl_uint n, const cl_event *list, bool blocking, bool all)
{
	w->n = 0;
	if (!n != !list)
		return CL_INVALID_EVENT_WAIT_LIST;
	for (cl_uint i = 0; i < n; i++) {
		cl_event e = list[i];
		cl_int err = object_check(e, &event_class);
		if (err)
			return err == CL_INVALID_EVENT ? CL_INVALID_EVENT_WAIT_LIST : err;
		if (e->context != c)
			return CL_INVALID_CONTEXT;
		if (e->status < 0 && blocking)
			return CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
		if (e->status == CL_COMPLETE && !all)
			continue;
		if (w->n == PROTO_WAITS_MAX)
			return CL_OUT_OF_RESOURCES;
		w->ids[w->n++] = e->o.id;
	}
	return CL_SUCCESS;
}

// ---- a command's event

cl_int event_begin(cl_event *ret, const cl_event *wanted, cl_command_queue q, cl_command_type type)
{
	*ret = NULL;
	if (!wanted)
		return CL_SUCCESS;
	*ret = event_new(q->context, q, type);
	return *ret ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
}

cl_int event_commit(cl_event e, cl_event *wanted, cl_int err, uint32_t seq)
{
	if (!e)
		return err;
	if (err) {
		object_unref(e);
		return err;
	}
	e->seq = seq;
	e->o.announced = true;
	object_ref(e);
	*wanted = e;
	if (session.lost) // while it was being sent
		event_end(e, session.lost);
	return CL_SUCCESS;
}

// A callback asked for at RUNNING comes with COMPLETE: the stream tells only the end.
void event_end(cl_event e, cl_int status)
{
	struct callback *c;

	unset -= e->user && e->status > CL_COMPLETE;
	e->status = status;
	while ((c = e->callbacks)) {
		e->callbacks = c->next;
		if (status < 0)
			c->status = status;
		callback_queue(c);
	}
	if (!e->user)
		object_unref(e);
}

// ---- the calls

cl_int user_event_new(cl_event *ret, cl_context c)
{
	cl_event e = event_new(c, NULL, CL_COMMAND_USER);

	if (!e)
		return CL_OUT_OF_HOST_MEMORY;
	e->user = true;
	e->status = CL_SUBMITTED;
	unset++;
	struct p_user_event_create m = { .id = e->o.id, .context = c->o.id };
	cl_int err = send_user_event_create(0, &m, &e->seq);
	if (err) {
		object_unref(e);
		return err;
	}
	e->o.announced = true;
	*ret = e;
	return CL_SUCCESS;
}

cl_int user_event_ended(cl_event *ret, cl_context c)
{
	cl_event e = NULL;
	cl_int err = user_event_new(&e, c);

	if (err)
		return err;
	struct p_user_event_set m = { .event = e->o.id, .status = CL_COMPLETE };
	err = send_user_event_set(0, &m, NULL); // nothing can wait for it yet
	event_end(e, CL_COMPLETE);
	if (err)
		object_unref(e);
	else
		*ret = e;
	return err;
}

cl_event ferry_clCreateUserEvent(cl_context c, cl_int *errcode_ret)
{
	LOCKED;
	cl_event e = NULL;
	cl_int err = object_check(c, &context_class);

	if (!err)
		err = user_event_new(&e, c);
	refuse(errcode_ret, err);
	return e;
}

cl_int user_event_set(cl_event e, cl_int status)
{
	struct p_user_event_set m = { .event = e->o.id, .status = status };
	// Who reads the stream may wait for this very event: only a message wakes it.
	bool wakes = session.leading;
	uint32_t seq;
	cl_int err = send_user_event_set(wakes ? P_ANSWER : 0, &m, &seq);

	if (err)
		return err;
	event_end(e, status);
	session_changed();
	return wakes ? request_status(seq) : session_flush();
}

cl_int ferry_clSetUserEventStatus(cl_event e, cl_int status)
{
	LOCKED;
	cl_int err = object_check(e, &event_class);

	if (err)
		return err;
	if (!e->user)
		return CL_INVALID_EVENT;
	if (status > CL_COMPLETE)
		return CL_INVALID_VALUE;
	return e->status <= CL_COMPLETE ? CL_INVALID_OPERATION : user_event_set(e, status);
}

static bool is_over(const void *arg)
{
	return ((cl_event)arg)->status <= CL_COMPLETE;
}

cl_int event_wait(cl_event e)
{
	cl_int err = session_wait(is_over, e);

	return !err && e->status < 0 ? e->status : err;
}

struct event_list {
	cl_uint n;
	const cl_event *at;
};

static bool all_over(const void *arg)
{
	const struct event_list *l = arg;

	for (cl_uint i = 0; i < l->n; i++)
		if (l->at[i]->status > CL_COMPLETE)
			return false;
	return true;
}

static cl_int check_list(cl_uint n, const cl_event *list)
{
	if (!n || !list)
		return CL_INVALID_VALUE;
	for (cl_uint i = 0; i < n; i++) {
		cl_int err = object_check(list[i], &event_class);
		if (err)
			return err;
		if (list[i]->context != list[0]->context)
			return CL_INVALID_CONTEXT;
	}
	return CL_SUCCESS;
}

cl_int ferry_clWaitForEvents(cl_uint n, const cl_event *list)
{
	LOCKED;
	struct event_list l = { n, list };
	cl_int err = check_list(n, list);

	if (!err)
		err = session_wait(all_over, &l);
	for (cl_uint i = 0; !err && i < n; i++)
		if (list[i]->status < 0)
			err = CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
	return err;
}

cl_int ferry_clRetainEvent(cl_event e)
{
	return object_retain(e, &event_class);
}

cl_int ferry_clReleaseEvent(cl_event e)
{
	return object_release(e, &event_class);
}

// A program that polls must see progress: what it enqueued is on its way, what came is read.
static void refresh(cl_event e)
{
	if (!e->user && e->status > CL_COMPLETE) {
		session_poll();
		if (e->status == CL_QUEUED)
			e->status = CL_SUBMITTED;
	}
}

cl_int ferry_clGetEventInfo(
	cl_event e, cl_event_info param, size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_EVENT_COMMAND_QUEUE, struct _cl_event, queue),
		INFO_OF(CL_EVENT_CONTEXT, struct _cl_event, context),
		INFO_OF(CL_EVENT_COMMAND_TYPE, struct _cl_event, type),
		INFO_OF(CL_EVENT_COMMAND_EXECUTION_STATUS, struct _cl_event, status),
		INFO_OF(CL_EVENT_REFERENCE_COUNT, struct _cl_event, o.users),
	};
	LOCKED;
	cl_int err = object_check(e, &event_class);

	// The status of an event can be asked for after the session's end: it tells of it.
	if (err && err != session.lost)
		return err;
	if (param == CL_EVENT_COMMAND_EXECUTION_STATUS)
		refresh(e);
	return info_get(rows, ARRAY_SIZE(rows), e, param, size, value, size_ret);
}

cl_int ferry_clGetEventProfilingInfo(
	cl_event e, cl_profiling_info param, size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_PROFILING_COMMAND_QUEUED, struct _cl_event, times[0]),
		INFO_OF(CL_PROFILING_COMMAND_SUBMIT, struct _cl_event, times[1]),
		INFO_OF(CL_PROFILING_COMMAND_START, struct _cl_event, times[2]),
		INFO_OF(CL_PROFILING_COMMAND_END, struct _cl_event, times[3]),
		// With the commands that it enqueued on the device: none.
		INFO_OF(CL_PROFILING_COMMAND_COMPLETE, struct _cl_event, times[3]),
	};
	LOCKED;
	cl_int err = object_check(e, &event_class);

	if (err)
		return err;
	refresh(e);
	if (e->user || e->status != CL_COMPLETE ||
		!(e->queue->properties & CL_QUEUE_PROFILING_ENABLE))
		return CL_PROFILING_INFO_NOT_AVAILABLE;
	return info_get(rows, ARRAY_SIZE(rows), e, param, size, value, size_ret);
}

// ---- callbacks

void event_call(cl_event e, struct callback *c)
{
	object_ref(e);
	c->object = e;
	if (e->status > CL_COMPLETE && c->status != CL_SUBMITTED) {
		c->next = e->callbacks;
		e->callbacks = c;
		return;
	}
	if (e->status < 0)
		c->status = e->status;
	callback_queue(c);
}

static void invoke(const struct callback *c)
{
	void(CL_CALLBACK * fn)(cl_event, cl_int, void *);

	fn = (void(CL_CALLBACK *)(cl_event, cl_int, void *))c->fn;
	fn(c->object, c->status, c->user_data);
}

cl_int ferry_clSetEventCallback(
	cl_event e, cl_int type, void(CL_CALLBACK *fn)(cl_event, cl_int, void *), void *user_data)
{
	LOCKED;
	cl_int err = object_check(e, &event_class);

	if (err)
		return err;
	if (!fn || (type != CL_COMPLETE && type != CL_RUNNING && type != CL_SUBMITTED))
		return CL_INVALID_VALUE;
	struct callback *c = callback_new(invoke, (void (*)(void))fn, e, type, user_data);
	if (!c)
		return CL_OUT_OF_HOST_MEMORY;
	if (!callback_expect()) {
		free(c);
		return CL_OUT_OF_HOST_MEMORY;
	}
	event_call(e, c); // and submits it
	// Nothing may ever flush after this: the callback is how the program means to hear of the end.
	return session_flush();
}
