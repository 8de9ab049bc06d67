// SPDX-License-Identifier: Apache-2.0
// OpenCL 1.2, section 5.10: markers, barriers, and their forms before 1.2.
#include "guest/stream/send.h"
#include "guest/stream/session.h"
#include "guest/stream/transfer.h"

static cl_int order(
	cl_command_queue q, cl_command_type type, cl_uint n, const cl_event *list, cl_event *event)
{
	LOCKED;
	struct command c;
	cl_int err = command_begin(&c, q, type, n, list, event, false);

	if (!err && type == CL_COMMAND_MARKER)
		return command_marker(&c);
	if (!err)
		err = command_event(&c);
	if (err)
		return err;
	struct p_barrier m = { q->o.id, event_id(c.event), waits_ids(&c.waits) };
	return command_end(&c, send_barrier(0, &m, &c.seq));
}

cl_int ferry_clEnqueueMarkerWithWaitList(
	cl_command_queue q, cl_uint n, const cl_event *list, cl_event *event)
{
	return order(q, CL_COMMAND_MARKER, n, list, event);
}

cl_int ferry_clEnqueueBarrierWithWaitList(
	cl_command_queue q, cl_uint n, const cl_event *list, cl_event *event)
{
	return order(q, CL_COMMAND_BARRIER, n, list, event);
}

cl_int ferry_clEnqueueMarker(cl_command_queue q, cl_event *event)
{
	return event ? order(q, CL_COMMAND_MARKER, 0, NULL, event) : CL_INVALID_VALUE;
}

cl_int ferry_clEnqueueBarrier(cl_command_queue q)
{
	return order(q, CL_COMMAND_BARRIER, 0, NULL, NULL);
}

cl_int ferry_clEnqueueWaitForEvents(cl_command_queue q, cl_uint n, const cl_event *list)
{
	cl_int err = n && list ? order(q, CL_COMMAND_BARRIER, n, list, NULL) : CL_INVALID_VALUE;

	// The call from before wait lists has a code of its own.
	return err == CL_INVALID_EVENT_WAIT_LIST ? CL_INVALID_EVENT : err;
}
