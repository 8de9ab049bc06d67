// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, sections 5.1 (command queues) and 5.13 (flush and finish).
#include "guest/cl/queue.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "guest/cl/device.h"
#include "guest/cl/info.h"
#include "guest/stream/request.h"
#include "guest/stream/send.h"
#include "guest/stream/session.h"

static void destroy(struct object *o)
{
	cl_command_queue q = (cl_command_queue)o;

	free(q->asked);
	object_unref(q->device);
	object_unref(q->context);
}

const struct object_class queue_class = { CL_INVALID_COMMAND_QUEUE, destroy };

cl_int queue_check(cl_command_queue q)
{
	cl_int err = object_check(q, &queue_class);

	if (err && err != CL_INVALID_COMMAND_QUEUE && !session.lost)
		q->o.failed = CL_SUCCESS;
	return err;
}

// The host's word is waited for: a queue is rarely made, and a later failure of the queue is then
// always one of its commands.
static cl_int announce(cl_command_queue q, cl_context c, uint32_t *ret_seq)
{
	struct p_queue_create whole = { q->o.id, c->o.id, q->properties };
	struct p_queue_create_on part = { q->o.id, c->o.id, q->device->o.id, q->properties };

	return q->device->parent ? send_queue_create_on(P_ANSWER, &part, ret_seq)
				 : send_queue_create(P_ANSWER, &whole, ret_seq);
}

static cl_int queue_new(
	cl_command_queue *ret, cl_context c, cl_device_id d, cl_command_queue_properties properties)
{
	cl_command_queue q = object_new(&queue_class, sizeof *q, true);
	uint32_t seq;

	if (!q)
		return CL_OUT_OF_HOST_MEMORY;
	q->device = d;
	object_ref(d);
	q->properties = properties;
	cl_int err = announce(q, c, &seq);
	if (!err) {
		q->o.announced = true;
		err = request_status(seq);
	}
	if (err)
		object_unref(q);
	else
		*ret = q;
	return err;
}

cl_int queue_for_setup(cl_command_queue *ret, cl_context c)
{
	cl_int err = c->setup_queue ? CL_SUCCESS : queue_new(&c->setup_queue, c, &the_device, 0);

	*ret = c->setup_queue;
	return err;
}

static cl_command_queue create(
	cl_context c, cl_device_id d, cl_command_queue_properties properties, cl_int *errcode_ret)
{
	const cl_command_queue_properties known = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE |
						  CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_ON_DEVICE |
						  CL_QUEUE_ON_DEVICE_DEFAULT;
	LOCKED;
	cl_command_queue q = NULL;
	cl_int err = object_check(c, &context_class);

	if (!err)
		err = devices_check(&c->devices, d);
	if (!err && properties & ~known)
		err = CL_INVALID_VALUE;
	if (!err && properties & ~device_limits()->queue_properties)
		err = CL_INVALID_QUEUE_PROPERTIES;
	if (!err)
		err = queue_new(&q, c, d, properties);
	if (!err) {
		q->context = c;
		object_ref(c);
	}
	refuse(errcode_ret, err);
	return q;
}

cl_command_queue ferry_clCreateCommandQueue(
	cl_context c, cl_device_id d, cl_command_queue_properties properties, cl_int *errcode_ret)
{
	return create(c, d, properties, errcode_ret);
}

// A size is only for queues on the device, of which there are none.
cl_command_queue ferry_clCreateCommandQueueWithProperties(
	cl_context c, cl_device_id d, const cl_queue_properties *p, cl_int *errcode_ret)
{
	cl_command_queue_properties properties = 0;
	size_t n = 0;

	for (; p && p[n]; n += 2) {
		if (p[n] != CL_QUEUE_PROPERTIES)
			return refuse(errcode_ret, p[n] == CL_QUEUE_SIZE
							   ? CL_INVALID_QUEUE_PROPERTIES
							   : CL_INVALID_VALUE);
		properties = p[n + 1];
	}
	cl_command_queue q = create(c, d, properties, errcode_ret);
	if (!q || !p)
		return q;
	q->asked_bytes = (n + 1) * sizeof *p;
	q->asked = malloc(q->asked_bytes);
	if (q->asked)
		return memcpy(q->asked, p, q->asked_bytes), q;
	ferry_clReleaseCommandQueue(q);
	return refuse(errcode_ret, CL_OUT_OF_HOST_MEMORY);
}

cl_int ferry_clRetainCommandQueue(cl_command_queue q)
{
	return object_retain(q, &queue_class);
}

// "Performs an implicit flush."
cl_int ferry_clReleaseCommandQueue(cl_command_queue q)
{
	cl_int err = object_release(q, &queue_class);

	if (err)
		return err;
	LOCKED;
	session_flush();
	return CL_SUCCESS;
}

cl_int ferry_clGetCommandQueueInfo(
	cl_command_queue q, cl_command_queue_info param, size_t size, void *value, size_t *size_ret)
{
	static const struct info_row rows[] = {
		INFO_OF(CL_QUEUE_CONTEXT, struct _cl_command_queue, context),
		INFO_OF(CL_QUEUE_DEVICE, struct _cl_command_queue, device),
		INFO_OF(CL_QUEUE_REFERENCE_COUNT, struct _cl_command_queue, o.users),
		INFO_OF(CL_QUEUE_PROPERTIES, struct _cl_command_queue, properties),
	};
	static const cl_command_queue no_queue;
	LOCKED;
	cl_int err = queue_check(q);

	if (err == CL_INVALID_COMMAND_QUEUE || session.lost)
		return err;
	if (param == CL_QUEUE_PROPERTIES_ARRAY)
		return info_value(q->asked, q->asked_bytes, size, value, size_ret);
	if (param == CL_QUEUE_SIZE)
		return CL_INVALID_COMMAND_QUEUE; // it is no queue on the device
	if (param == CL_QUEUE_DEVICE_DEFAULT)
		return info_value(&no_queue, sizeof no_queue, size, value, size_ret);
	return info_get(rows, ARRAY_SIZE(rows), q, param, size, value, size_ret);
}

// Deprecated since OpenCL 1.1; a device that cannot change a queue says so.
cl_int ferry_clSetCommandQueueProperty(cl_command_queue q, cl_command_queue_properties properties,
	cl_bool enable, cl_command_queue_properties *old)
{
	LOCKED;
	cl_int err = queue_check(q);

	return err ? err : CL_INVALID_OPERATION;
}

cl_int ferry_clFlush(cl_command_queue q)
{
	LOCKED;
	cl_int err = queue_check(q);

	return err ? err : session_flush();
}

static bool reads_over(const void *arg)
{
	return !((cl_command_queue)arg)->reads;
}

uint64_t queue_sent(cl_command_queue q)
{
	return session.starved ? 0 : q->begun;
}

cl_int queue_finish(cl_command_queue q)
{
	struct p_finish m = { .queue = q->o.id };
	uint32_t seq;
	cl_int err = send_finish(0, &m, &seq);
	uint64_t before = queue_sent(q);

	if (err)
		return err;
	err = request_status(seq);
	if (!err)
		err = session_wait(reads_over, q);
	if (!err)
		queue_note_ended(q, before);
	return err;
}

cl_int ferry_clFinish(cl_command_queue q)
{
	LOCKED;
	cl_int err = queue_check(q);

	if (!err)
		err = queue_finish(q);
	return err ? err : queue_check(q);
}
