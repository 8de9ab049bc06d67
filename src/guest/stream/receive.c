// SPDX-License-Identifier: Apache-2.0
#include "guest/stream/receive.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "guest/cl/event.h"
#include "guest/cl/object.h"
#include "guest/stream/direct.h"
#include "guest/stream/later.h"
#include "guest/stream/request.h"
#include "guest/stream/session.h"
#include "guest/stream/transport.h"

static bool take_answer(const struct p_frame *f)
{
	struct p_answer m;

	return p_get_answer(f, &m) == 0 && request_answer(m.stream, m.status, m.bytes);
}

static bool take_answer_data(const struct p_frame *f)
{
	struct p_answer_data m;

	return p_get_answer_data(f, &m) == 0 &&
	       request_data(m.stream, m.offset, m.bytes.at, m.bytes.n);
}

static bool take_event_status(const struct p_frame *f)
{
	struct p_event_status m;

	if (p_get_event_status(f, &m) < 0 || m.status > CL_COMPLETE)
		return false;
	cl_event e = event_find(m.event);
	// The program's own, and those whose command has not been sent yet, are none of the host's.
	if (!e || e->user || !e->o.announced || e->status <= CL_COMPLETE)
		return false;
	e->times[0] = m.queued;
	e->times[1] = m.submitted;
	e->times[2] = m.started;
	e->times[3] = m.ended;
	if (e->before[1]) {
		e->times[0] = e->before[0];
		e->times[1] = e->times[2] = e->before[1];
	}
	session_note_read(e->seq);
	event_end(e, m.status);
	return true;
}

static bool take_failed(const struct p_frame *f)
{
	struct p_failed m;

	if (p_get_failed(f, &m) < 0 || m.status >= 0)
		return false;
	struct object *o = object_find(m.object);
	if (!m.object)
		session_lose(m.status);
	else if (o)
		o->failed = m.status;
	return true;
}

static bool take_credit(const struct p_frame *f)
{
	struct p_credit m;

	if (p_get_credit(f, &m) < 0 || m.bytes > UINT32_MAX)
		return false;
	session.credit += m.bytes;
	return true;
}

// Without the descriptor (somebody stands between us and the host) the stream carries the bytes.
static bool take_shared(const struct p_frame *f)
{
	struct p_shared m;

	if (p_get_shared(f, &m) < 0)
		return false;
	direct_begin(transport_take_fd(), m.bytes);
	session.share_follows = false;
	return true;
}

static bool take_place(const struct p_frame *f)
{
	struct p_place m;

	if (p_get_place(f, &m) < 0)
		return false;
	struct object *o = object_find(m.object);
	if (o && o->class == &mem_class && ((cl_mem)o)->seq == m.stream)
		direct_place((cl_mem)o, m.offset);
	return true;
}

static bool take_wanted(const struct p_frame *f)
{
	struct p_wanted m;

	if (p_get_wanted(f, &m) < 0)
		return false;
	later_wanted(m.stream);
	return true;
}

// As the driver itself would write it: past the program's own buffers.
static bool take_output(const struct p_frame *f)
{
	struct p_output m;

	if (p_get_output(f, &m) < 0)
		return false;
	while (m.text.n) {
		ssize_t n = write(STDOUT_FILENO, m.text.at, m.text.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		m.text.at += n;
		m.text.n -= (size_t)n;
	}
	return true;
}

static bool take_frame(const struct p_frame *f)
{
	switch (f->op) {
	case p_op_answer:
		return take_answer(f);
	case p_op_answer_data:
		return take_answer_data(f);
	case p_op_event_status:
		return take_event_status(f);
	case p_op_failed:
		return take_failed(f);
	case p_op_output:
		return take_output(f);
	case p_op_credit:
		return take_credit(f);
	case p_op_shared:
		return take_shared(f);
	case p_op_place:
		return take_place(f);
	case p_op_wanted:
		return take_wanted(f);
	default:
		return false;
	}
}

void receive_frames(void)
{
	size_t at = 0;
	struct p_frame f;
	int r;

	while ((r = p_frame_next(session.in + at, session.in_len - at, &f)) > 0) {
		if (!take_frame(&f)) {
			r = -1;
			break;
		}
		at += f.length;
	}
	session.in_len -= at;
	if (at &&
		session.in_len) // a virtio port gives 4 KiB at a time: often no frame is whole yet
		memmove(session.in, session.in + at, session.in_len);
	if (r < 0)
		session_lose(CL_DEVICE_NOT_AVAILABLE);
}

static cl_int lost_status;

static void end_event(struct object *o)
{
	cl_event e = event_find(o->id);

	// One that is not announced is its call's: event_commit().
	if (e && e->o.announced && !e->user && e->status > CL_COMPLETE)
		event_end(e, lost_status);
	else if (o->class == &context_class)
		context_lost((cl_context)o);
}

void receive_lost(cl_int status)
{
	lost_status = status;
	objects_each(end_event);
}
