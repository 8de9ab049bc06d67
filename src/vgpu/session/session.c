// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/session.h"
#include "vgpu/gate/command.h"
#include "vgpu/session/port.h"
#include "vgpu/session/program.h"

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void destroy(struct object *o)
{
	struct session *s = (struct session *)o;

	object_fini(o);
	free(s->table);
	free(s);
}

int session_make(struct vgpu *v, uint64_t serial, struct port *port, struct session **ret)
{
	struct session *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	int r = object_init(&s->o, &v->registry, OBJECT_SESSION, NULL, serial, destroy);
	if (r < 0) {
		free(s);
		return r;
	}
	s->v = v;
	s->port = port;
	s->credit = VGPU_CREDIT;
	v->n_sessions++;
	*ret = s;
	return 0;
}

static void greet(struct session *s, int32_t status)
{
	struct vgpu *v = s->v;
	struct p_hello_host m = { .magic = PROTO_HELLO_MAGIC,
		.nonce = s->nonce,
		.version = PROTO_VERSION,
		.status = status,
		.credit = VGPU_CREDIT,
		.objects_max = PROTO_OBJECTS_MAX,
		.memory_bytes = v->memory_bytes,
		.info = p_blob_of(&v->info) };

	p_put_hello_host(port_out(s->port), s->shares ? P_SHARE : 0, 0, &m);
}

// The guest gets the vGPU's memory.
static void share(struct session *s)
{
	struct page_space *space = s->v->space;
	struct p_shared m = { page_space_pages(space) * PAGE_BYTES };

	port_pass_fd(s->port, page_space_fd(space));
	p_put_shared(port_out(s->port), 0, 0, &m);
}

static void copy_name(char *to, size_t size, struct p_blob name)
{
	size_t n = name.n < size - 1 ? name.n : size - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = name.at[i] >= 0x20 && name.at[i] < 0x7f ? (char)name.at[i] : '?';
	to[n] = 0;
}

// Why this process gets no session, or CL_SUCCESS.
static int32_t refused(const struct session *s, const struct p_hello *hello)
{
	if (hello->version != PROTO_VERSION) {
		log_warn("port %zu: %s speaks version %u of the guest stream, not %u",
			s->port->index, s->process, hello->version, PROTO_VERSION);
		return CL_DEVICE_NOT_AVAILABLE;
	}
	if (s->port->qemu_fd < 0 && s->v->n_sessions > VGPU_SESSIONS_MAX) {
		log_warn("%s (pid %u) was refused: %d programs are connected", s->process, s->pid,
			VGPU_SESSIONS_MAX);
		return CL_OUT_OF_RESOURCES;
	}
	return CL_SUCCESS;
}

int session_new(struct port *port, const struct p_hello *hello, bool can_map, struct session **ret)
{
	struct session *s;
	int r = session_make(port->v, 0, port, &s);

	if (r < 0)
		return r;
	s->nonce = hello->nonce;
	s->pid = hello->pid;
	copy_name(s->process, sizeof s->process, hello->process);
	port->session = s;
	*ret = s;
	int32_t status = refused(s, hello);
	s->shares = status == CL_SUCCESS && can_map && s->v->shares_memory && port->qemu_fd < 0;
	greet(s, status);
	if (status != CL_SUCCESS) {
		session_end(s);
		*ret = NULL;
		return 0;
	}
	if (s->shares)
		share(s);
	log_debug("port %zu: session of %s (pid %u)", port->index, s->process, s->pid);
	return 0;
}

static void free_uploads(struct session *s)
{
	struct upload *next;

	for (struct upload *u = s->uploads; u; u = next) {
		next = u->next;
		free(u);
	}
	s->uploads = NULL;
	s->n_uploads = 0;
}

// Objects that hold each other would stay for ever.
static void break_cycles(struct session *s)
{
	struct program *next;

	for (struct program *p = s->programs; p; p = p->next)
		object_ref(&p->o);
	for (struct program *p = s->programs; p; p = next) {
		next = p->next; // which is still held
		program_forget_request(p);
		object_unref(&p->o);
	}
}

void session_end(struct session *s)
{
	if (s->over)
		return;
	s->over = true;
	s->v->n_sessions--;
	if (s->port)
		s->port->session = NULL;
	s->port = NULL;
	for (struct queue *q = s->v->queues, *next; q; q = next) {
		next = q->next_queue;
		if (q->o.session == s)
			queue_drop_pending(q);
	}
	for (uint32_t id = 1; id < s->n_table; id++) {
		if (!s->table[id])
			continue;
		s->table[id]->id = 0;
		object_unref(s->table[id]);
		s->table[id] = NULL;
	}
	free_uploads(s);
	break_cycles(s);
	object_unref(&s->o);
}

int session_breach(struct session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->breach, sizeof s->breach, fmt, ap);
	va_end(ap);
	return -EBADMSG;
}

// ---- frames

// A port takes hellos before its session sees them.
int session_on_hello(struct session *s, const struct p_frame *f, const struct p_hello *m)
{
	return session_breach(s, "a hello inside a session");
}

// Every message is decoded here, and nowhere else.
#define HANDLER_TO_HOST(name)                                                                      \
	static int take_##name(struct session *s, const struct p_frame *f)                         \
	{                                                                                          \
		struct p_##name m;                                                                 \
		return p_get_##name(f, &m) < 0 ? -EBADMSG : session_on_##name(s, f, &m);           \
	}
#define HANDLER_TO_GUEST(name)
#define MSG(name, number, direction, credit) HANDLER_##direction(name)
#include "vgpu/protocol/protocol_messages.h"
#undef HANDLER_TO_HOST

static int (*const handlers[256])(struct session *s, const struct p_frame *f) = {
#define HANDLER_TO_HOST(name)                [p_op_##name] = take_##name,
#define MSG(name, number, direction, credit) HANDLER_##direction(name)
#include "vgpu/protocol/protocol_messages.h"
#undef HANDLER_TO_HOST
#undef HANDLER_TO_GUEST
};

int session_frame(struct session *s, const struct p_frame *f)
{
	const struct p_op_info *op = p_op_find(f->op);

	if (!op || f->op >= 256 || !handlers[f->op])
		return session_breach(s, "message %u is unknown", f->op);
	if (op->credit == PAID) {
		if (s->credit < (int64_t)f->length)
			return session_breach(s, "more bytes than its credit");
		s->credit -= f->length;
	}
	int r = handlers[f->op](s, f);
	if (r < 0 && !s->breach[0])
		session_breach(s, r == -EBADMSG ? "malformed %s" : "no memory for %s", op->name);
	return r < 0 ? -EBADMSG : 0;
}

void session_return_credit(struct session *s, uint64_t bytes)
{
	struct p_credit m;

	s->credit_due += bytes;
	if (s->credit_due < VGPU_CREDIT / 4 || !s->port)
		return;
	m.bytes = s->credit_due;
	s->credit += (int64_t)s->credit_due;
	s->credit_due = 0;
	p_put_credit(port_out(s->port), 0, 0, &m);
}

// ---- the worker's jobs

void session_job_begins(struct session *s, bool asked, uint64_t bytes)
{
	s->jobs += asked;
	s->job_bytes += asked ? bytes : 0;
	s->v->job_bytes += bytes;
}

void session_job_ends(struct session *s, bool asked, uint64_t bytes)
{
	s->jobs -= asked;
	s->job_bytes -= asked ? bytes : 0;
	s->v->job_bytes -= bytes;
}

bool session_is_busy(const struct session *s)
{
	return s->jobs >= VGPU_JOBS_MAX || (s->job_bytes && s->v->job_bytes >= VGPU_TEXTS_MAX);
}

// ---- to the guest

void session_answer(struct session *s, uint32_t seq, int32_t status, uint64_t bytes)
{
	struct p_answer m = { seq, status, bytes };

	if (s->port)
		p_put_answer(port_out(s->port), 0, 0, &m);
}

void session_answer_data(struct session *s, uint32_t seq, const struct buf *body)
{
	for (size_t at = 0; s->port && at < body->len; at += PROTO_DATA_MAX) {
		size_t left = body->len - at;
		struct p_answer_data m = { seq, at,
			{ body->data + at, left < PROTO_DATA_MAX ? left : PROTO_DATA_MAX } };
		p_put_answer_data(port_out(s->port), 0, 0, &m);
	}
}

void session_failed(struct session *s, uint32_t id, int32_t status)
{
	struct p_failed m = { id, status };

	if (s->port)
		p_put_failed(port_out(s->port), 0, 0, &m);
}

void session_wanted(struct session *s, uint32_t seq)
{
	struct p_wanted m = { seq };

	if (s->port)
		p_put_wanted(port_out(s->port), 0, 0, &m);
}

void session_place(struct session *s, uint32_t seq, uint32_t id, uint64_t offset)
{
	struct p_place m = { id, seq, offset };

	if (s->port)
		p_put_place(port_out(s->port), 0, 0, &m);
}

void session_event_status(struct session *s, const struct event *e)
{
	struct p_event_status m = { e->o.id, e->status, e->times.queued, e->times.submitted,
		e->times.started, e->times.ended };

	if (s->port)
		p_put_event_status(port_out(s->port), 0, 0, &m);
}

// ---- the object table

struct object *session_find(const struct session *s, uint32_t id, enum object_type type)
{
	struct object *o = id < s->n_table ? s->table[id] : NULL;

	return o && o->type == type ? o : NULL;
}

struct object *session_need(struct session *s, uint32_t id, enum object_type type)
{
	static const char *const names[OBJECT_TYPES] = {
		[OBJECT_CONTEXT] = "context",
		[OBJECT_QUEUE] = "queue",
		[OBJECT_BUFFER] = "buffer",
		[OBJECT_PROGRAM] = "program",
		[OBJECT_KERNEL] = "kernel",
		[OBJECT_EVENT] = "event",
		[OBJECT_DEVICE] = "device",
	};
	struct object *o = session_find(s, id, type);

	if (!o)
		session_breach(s, "no %s %u", names[type], id);
	return o;
}

struct object *session_find_memory(const struct session *s, uint32_t id)
{
	struct object *o = session_find(s, id, OBJECT_BUFFER);

	return o ? o : session_find(s, id, OBJECT_IMAGE);
}

int session_check_new_id(struct session *s, uint32_t id)
{
	if (!id || id > PROTO_OBJECTS_MAX)
		return session_breach(s, "object number %u is out of bounds", id);
	if (id < s->n_table && s->table[id])
		return session_breach(s, "object number %u is in use", id);
	return 0;
}

int session_enter(struct session *s, uint32_t id, struct object *o)
{
	if (id >= s->n_table) {
		uint32_t n = s->n_table ? s->n_table : 64;
		while (n <= id)
			n *= 2;
		struct object **table = realloc(s->table, n * sizeof(struct object *));
		if (!table) {
			object_unref(o);
			return -ENOMEM;
		}
		memset(table + s->n_table, 0, (n - s->n_table) * sizeof(struct object *));
		s->table = table;
		s->n_table = n;
	}
	s->table[id] = o;
	o->id = id;
	return 0;
}

int session_enter_made(struct session *s, const struct p_frame *f, int r, uint32_t id, void *made)
{
	struct object *o = made;

	if (r == 0)
		r = session_enter(s, id, o);
	if (r < 0)
		return r;
	if (f->flags & P_ANSWER)
		session_answer(s, f->seq, o->failed, 0);
	else if (o->failed != CL_SUCCESS)
		session_failed(s, id, o->failed);
	if (p_op_find(f->op)->credit == PAID)
		session_return_credit(s, f->length);
	return 0;
}

// ---- uploads

#define UPLOADS_MAX 4096

int session_upload(
	struct session *s, uint32_t seq, uint64_t total, uint64_t arrived, struct upload **ret)
{
	struct upload *u;

	if (s->n_uploads == UPLOADS_MAX)
		return session_breach(s, "more than %d unfinished messages", UPLOADS_MAX);
	for (u = s->uploads; u; u = u->next)
		if (u->seq == seq)
			return session_breach(s, "stream %u is under way already", seq);
	u = calloc(1, sizeof *u);
	if (!u)
		return -ENOMEM;
	*u = (struct upload){ .next = s->uploads, .seq = seq, .total = total, .arrived = arrived };
	s->uploads = u;
	s->n_uploads++;
	*ret = u;
	return 0;
}

void session_upload_orphan(struct session *s, const struct command *c, const struct program *p)
{
	for (struct upload *u = s->uploads; u; u = u->next) {
		if (c && u->command == c)
			u->command = NULL;
		if (p && u->program == p)
			u->program = NULL;
	}
}
