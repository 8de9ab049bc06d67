// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/device.h"
#include "vgpu/session/image.h"
#include "vgpu/session/event.h"
#include "vgpu/session/port.h"
#include "vgpu/session/program.h"
#include "vgpu/session/queue.h"
#include "vgpu/session/session.h"
#include "vgpu/state/state_private.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Room for the numbers and times to come, without an overflow.
#define SERIAL_MAX (UINT64_MAX / 4)
#define NOW_MAX    ((uint64_t)INT64_MAX / 4)

struct object *state_find(struct vgpu *v, uint64_t serial, enum object_type type)
{
	struct object *o = serial ? registry_find(&v->registry, serial) : NULL;

	return o && o->type == type ? o : NULL;
}

// ---- the object table

static void leave_table(struct object *o)
{
	struct session *s = o->session;

	if (!o->id)
		return;
	s->table[o->id] = NULL;
	o->id = 0;
	object_unref(o);
}

// Gives it the id that it has at the source. Whoever has that id here has lost it there: its own
// record follows.
static int set_id(struct object *o, uint32_t id)
{
	struct session *s = o->session;

	if (o->id == id)
		return 0;
	leave_table(o);
	if (!id)
		return 0;
	if (id > PROTO_OBJECTS_MAX)
		return -EBADMSG;
	if (id < s->n_table && s->table[id])
		leave_table(s->table[id]);
	object_ref(o);
	return session_enter(s, id, o);
}

// ---- one type each: makes the object when it is new (*o is NULL), or changes it

static int apply_session(struct vgpu *v, uint64_t serial, struct object **o, struct rd *r)
{
	struct s_session m;
	struct session *s;

	if (s_get_session(r, &m) < 0 || m.port >= v->n_ports || !v->ports[m.port])
		return -EBADMSG;
	if (*o)
		return 0;
	struct port *p = v->ports[m.port];
	if (p->session)
		session_end(p->session);
	int err = session_make(v, serial, p, &s);
	if (err < 0)
		return err;
	s->nonce = m.nonce;
	s->pid = m.pid;
	memcpy(s->process, m.process.at, m.process.n);
	p->session = s;
	*o = &s->o;
	return 0;
}

static int apply_context(struct session *s, uint64_t serial, struct object **o)
{
	struct context *c = NULL;
	int err = *o ? 0 : context_new(s, serial, &c);

	if (c)
		*o = &c->o;
	return err;
}

static int apply_device(struct session *s, uint64_t serial, struct object **o, struct rd *r)
{
	struct s_device m;
	struct device *d = NULL;
	struct be_partition how = { 0 };

	if (s_get_device(r, &m) < 0 || m.units.n > sizeof how.units)
		return -EBADMSG;
	struct device *parent = (struct device *)state_find(s->v, m.parent, OBJECT_DEVICE);
	if (m.parent && (!parent || parent->o.session != s))
		return -EBADMSG;
	struct rd units = rd_make(m.units.at, m.units.n);
	how.kind = m.property;
	how.index = m.index;
	while (units.left >= 4)
		how.units[how.n++] = rd_u32(&units);
	int err = *o ? 0 : device_new(s, serial, parent, &how, &d);
	if (!d)
		return err;
	// A host with fewer compute units may not have the part: its queues are then on the whole
	// device, where their results are the same.
	if (d->o.failed != CL_SUCCESS)
		log_warn("this host's device cannot be divided as the guest's was (%d)",
			d->o.failed);
	d->o.failed = CL_SUCCESS;
	*o = &d->o;
	return 0;
}

static int apply_queue(struct session *s, uint64_t serial, struct object **o, struct rd *r)
{
	struct s_queue m;
	struct queue *q = NULL;

	if (s_get_queue(r, &m) < 0)
		return -EBADMSG;
	struct device *device = (struct device *)state_find(s->v, m.device, OBJECT_DEVICE);
	if (m.device && (!device || device->o.session != s))
		return -EBADMSG;
	int err = *o ? 0 : queue_new(s, serial, m.properties, device, &q);
	if (q)
		*o = &q->o;
	return err;
}

static int apply_buffer(struct session *s, uint64_t serial, struct object **o, struct rd *r)
{
	struct s_buffer m;
	struct buffer *b = NULL;
	int err;

	if (s_get_buffer(r, &m) < 0)
		return -EBADMSG;
	if (*o)
		return 0;
	struct page_run run = { m.first, m.count };
	struct buffer *parent = (struct buffer *)state_find(s->v, m.parent, OBJECT_BUFFER);
	if (m.parent) {
		if (!parent || parent->o.session != s)
			return -EBADMSG;
		err = buffer_new_sub(parent, serial, m.flags, m.origin, m.size, &b);
	} else if (m.count) {
		if (m.count > page_space_pages(s->v->space) || m.size > m.count * PAGE_BYTES)
			return -EBADMSG;
		err = (m.svm ? buffer_new_svm : buffer_new)(s, serial, m.flags, m.size, &run, &b);
	} else {
		err = buffer_new_failed(s, serial, m.flags, m.size, &b);
	}
	if (!b)
		return err;
	*o = &b->o;
	return b->svm == m.svm ? err : -EOPNOTSUPP; // guests have stored pointers into it
}

static int apply_image(struct session *s, uint64_t serial, struct object **o, struct rd *r)
{
	struct s_image m;
	struct image *image = NULL;
	int err;

	if (s_get_image(r, &m) < 0)
		return -EBADMSG;
	if (*o)
		return 0;
	const struct image_shape shape = { m.image_type, m.order, m.data_type,
		{ m.extent.v[0], m.extent.v[1], m.extent.v[2] }, m.array_size };
	const struct page_run run = { m.first, m.count };
	struct image_layout layout;
	struct buffer *parent = (struct buffer *)state_find(s->v, m.parent, OBJECT_BUFFER);
	if (m.parent && (!parent || parent->o.session != s))
		return -EBADMSG;
	if (m.count &&
		(m.parent || m.count > page_space_pages(s->v->space) ||
			!image_layout(&shape, &layout) || layout.bytes > m.count * PAGE_BYTES))
		return -EBADMSG;
	if (m.parent || m.count)
		err = image_new(s, serial, m.flags, &shape, parent, m.count ? &run : NULL, &image);
	else
		err = image_new_failed(s, serial, m.flags, &shape, &image);
	if (image)
		*o = &image->b.o;
	return err;
}

static int apply_sampler(struct session *s, uint64_t serial, struct object **o, struct rd *r)
{
	struct s_sampler m;
	struct sampler *sampler = NULL;

	if (s_get_sampler(r, &m) < 0)
		return -EBADMSG;
	const struct be_sampler_state state = { m.normalized != 0, m.addressing, m.filter };
	int err = *o ? 0 : sampler_new(s, serial, &state, &sampler);
	if (sampler)
		*o = &sampler->o;
	return err;
}

// ---- programs

// Others of the same session: a guest names only what is its own.
static bool may_go_into(const struct program *p, const struct object *o)
{
	return o && o != &p->o && o->session == p->o.session &&
	       program_is_complete((const struct program *)o);
}

static int get_inputs(struct program *p, struct build_request *q, const struct s_program *m)
{
	struct vgpu *v = p->o.session->v;
	struct rd r = rd_make(m->inputs.at, m->inputs.n);
	const char *name = (const char *)m->names.at, *end = name + m->names.n;

	q->inputs = calloc(m->inputs.n / 8 + 1, sizeof(struct program *));
	q->names = calloc(m->inputs.n / 8 + 1, sizeof(char *));
	if (!q->inputs || !q->names)
		return -ENOMEM;
	while (r.left) {
		struct object *o = state_find(v, rd_u64(&r), OBJECT_PROGRAM);
		if (!may_go_into(p, o))
			return -EBADMSG;
		object_ref(o);
		q->inputs[q->n_inputs++] = (struct program *)o;
		size_t n = m->names.n ? strnlen(name, (size_t)(end - name)) : 0;
		if (m->names.n && name + n >= end)
			return -EBADMSG;
		if (!(q->names[q->n_inputs - 1] = m->names.n ? strdup(name) : strdup("")))
			return -ENOMEM;
		name += m->names.n ? n + 1 : 0;
	}
	return 0;
}

static int get_request(struct program *p, struct build_request *q, const struct s_program *m)
{
	q->kind = (int)m->kind;
	q->options = strndup((const char *)m->options.at, m->options.n);
	if (m->kind > BE_LOAD)
		return -EBADMSG;
	return q->options ? get_inputs(p, q, m) : -ENOMEM;
}

static int take_bytes(struct buf *to, struct p_blob bytes)
{
	buf_reset(to);
	buf_put(to, bytes.at, bytes.n);
	return to->failed ? -ENOMEM : 0;
}

// What was compiled is built when something needs it: a linked program is mostly made of its own
// native binary here. Not where the guest waits for the compiler's answer.
static int build(struct program *p, struct build_request *q, int32_t result)
{
	if (q->kind != BE_COMPILE || p->wants_answer || p->building)
		return program_start_build(p, q, BUILD_INCOMING);
	program_defer_build(p, q, result);
	return 0;
}

static int apply_program_build(struct program *p, const struct s_program *m)
{
	struct build_request request = { 0 };
	bool anew = m->requested && m->builds != p->builds;
	bool better = m->native.n && (m->shapes.n / sizeof(uint64_t) > p->native_shapes ||
					     (p->deferred && !p->native.len));
	int err = 0;

	p->answer_seq = m->answer_seq;
	p->wants_answer = m->wants_answer;
	p->builds = m->builds;
	p->was_executable = m->executable;
	if (!better && !anew)
		return 0;
	err = get_request(p, &request, m);
	if (err == 0) // none: what there was is of an earlier build
		err = program_set_native(p, m->native, m->shapes);
	if (err == 0)
		err = build(p, &request, m->result);
	build_request_free(&request);
	return err;
}

static int apply_program(struct session *s, uint64_t serial, struct object **o, struct rd *r)
{
	struct s_program m;
	struct program *p = (struct program *)*o;

	if (s_get_program(r, &m) < 0 || m.origin > PROGRAM_LINKED || m.total > PROTO_SOURCE_MAX ||
		m.text.n > m.total || (m.requested && m.text.n != m.total))
		return -EBADMSG;
	if (m.questions.n % 4 || m.questions.n / 4 > VGPU_JOBS_MAX ||
		(m.questions.n && !m.requested))
		return -EBADMSG;
	if (m.shapes.n % sizeof(uint64_t) || m.shapes.n > PROGRAM_SHAPES * sizeof(uint64_t))
		return -EBADMSG;
	if (p && (m.total != p->total || m.text.n < p->text.len))
		return -EBADMSG; // a text only grows: the worker may be reading it
	int err = p ? 0 : program_new(s, serial, (enum program_origin)m.origin, m.total, &p);
	if (err < 0)
		return err;
	*o = &p->o;
	if (p->text.len != m.text.n)
		err = take_bytes(&p->text, m.text);
	if (err == 0)
		err = take_bytes(&p->questions, m.questions);
	return err < 0 ? err : apply_program_build(p, &m);
}

// ---- kernels and events

int state_get_args(struct p_blob items, uint32_t n, struct arg_set **ret)
{
	struct rd r = rd_make(items.at, items.n);
	struct arg_set *set = n <= KERNEL_ARGS_MAX ? arg_set_new(n) : NULL;
	int err = set ? 0 : -EBADMSG;

	for (uint32_t i = 0; err == 0 && i < n; i++) {
		struct s_arg m;
		struct arg *a = &set->args[i];
		err = s_get_arg(&r, &m);
		if (err == 0 && m.kind > PROTO_ARG_SVM)
			err = -EBADMSG;
		if (err < 0)
			break;
		a->version = m.is_set;
		if (m.kind == PROTO_ARG_BYTES) {
			err = arg_set_bytes(a, m.bytes.at, m.bytes.n);
			continue;
		}
		a->kind = m.kind;
		a->bytes = m.kind == PROTO_ARG_LOCAL ? (uint32_t)m.value : 0;
		a->value.serial = arg_object_type(m.kind) ? m.value : 0;
		a->offset = m.offset;
	}
	if (err < 0)
		arg_set_unref(set);
	else
		*ret = set;
	return err;
}

static int get_svm(struct kernel *k, struct p_blob list)
{
	struct rd r = rd_make(list.at, list.n);
	uint32_t n = (uint32_t)(list.n / 8);

	if (list.n % 8 || n > PROTO_IDS_MAX)
		return -EBADMSG;
	uint64_t *serials = calloc(n + 1, sizeof *serials);
	if (!serials)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		serials[i] = rd_u64(&r);
	kernel_set_svm(k, serials, n);
	return 0;
}

static int apply_kernel(struct session *s, uint64_t serial, struct object **o, struct rd *r)
{
	struct s_kernel m;
	struct kernel *k = (struct kernel *)*o;
	struct arg_set *set = NULL;
	char name[PROTO_NAME_MAX + 1];

	if (s_get_kernel(r, &m) < 0)
		return -EBADMSG;
	struct program *p = (struct program *)state_find(s->v, m.program, OBJECT_PROGRAM);
	if (!p || p->o.session != s || (k && k->program != p))
		return -EBADMSG;
	memcpy(name, m.name.at, m.name.n);
	name[m.name.n] = 0;
	int err = m.has_args ? state_get_args(m.items, m.args, &set) : 0;
	if (err == 0 && !k)
		err = kernel_new(p, serial, name, &k);
	if (err < 0) {
		arg_set_unref(set);
		return err;
	}
	*o = &k->o;
	arg_set_unref(k->args);
	k->args = set;
	for (uint32_t i = 0; set && i < set->n; i++)
		if (set->args[i].version)
			set->args[i].version = ++k->versions;
	return get_svm(k, m.svm);
}

static int apply_event(struct session *s, uint64_t serial, struct object **o, struct rd *r)
{
	struct s_event m;
	struct event *ev = (struct event *)*o;

	if (s_get_event(r, &m) < 0 || m.status > CL_QUEUED)
		return -EBADMSG;
	int err = ev ? 0 : event_new(s, serial, &ev);
	if (err < 0)
		return err;
	*o = &ev->o;
	ev->user = m.user;
	ev->status = m.status;
	ev->times = (struct be_times){ m.queued, m.submitted, m.started, m.ended };
	return 0;
}

// ---- records

static int apply_body(
	struct vgpu *v, const struct s_head *h, struct session *s, struct object **o, struct rd *r)
{
	switch (h->type) {
	case OBJECT_SESSION:
		return apply_session(v, h->serial, o, r);
	case OBJECT_CONTEXT:
		return apply_context(s, h->serial, o);
	case OBJECT_QUEUE:
		return apply_queue(s, h->serial, o, r);
	case OBJECT_BUFFER:
		return apply_buffer(s, h->serial, o, r);
	case OBJECT_DEVICE:
		return apply_device(s, h->serial, o, r);
	case OBJECT_IMAGE:
		return apply_image(s, h->serial, o, r);
	case OBJECT_SAMPLER:
		return apply_sampler(s, h->serial, o, r);
	case OBJECT_PROGRAM:
		return apply_program(s, h->serial, o, r);
	case OBJECT_KERNEL:
		return apply_kernel(s, h->serial, o, r);
	case OBJECT_EVENT:
		return apply_event(s, h->serial, o, r);
	default:
		return -EBADMSG;
	}
}

static int apply_object(struct vgpu *v, const struct s_head *h, struct rd *r)
{
	struct s_object m;

	if (s_get_object(r, &m) < 0 || !h->serial || h->serial > SERIAL_MAX)
		return -EBADMSG;
	struct session *s = (struct session *)state_find(v, m.session, OBJECT_SESSION);
	struct object *o = registry_find(&v->registry, h->serial);
	if ((h->type != OBJECT_SESSION && (!s || s->over)) || (o && o->type != h->type) ||
		(o && o->session != (h->type == OBJECT_SESSION ? NULL : s)))
		return -EBADMSG;
	bool is_new = !o;
	int err = apply_body(v, h, s, &o, r);
	if (err < 0 || r->left) {
		if (is_new && o && h->type != OBJECT_SESSION)
			object_unref(o);
		return err < 0 ? err : -EBADMSG;
	}
	if (h->type == OBJECT_SESSION)
		return 0;
	if (is_new)
		o->incoming = true;
	if (m.failed != CL_SUCCESS)
		o->failed = m.failed;
	return set_id(o, m.id);
}

static int apply_removed(struct vgpu *v, const struct s_head *h)
{
	struct object *o = registry_find(&v->registry, h->serial);

	if (!o)
		return 0; // it came and went between two collections
	if (o->type == OBJECT_SESSION) {
		session_end((struct session *)o);
		return 0;
	}
	if (!o->incoming)
		return -EBADMSG;
	o->incoming = false;
	object_ref(o);
	leave_table(o);
	object_unref(o);
	object_unref(o);
	return 0;
}

static int apply_end(struct vgpu *v, struct rd *r)
{
	struct s_end m;

	if (s_get_end(r, &m) < 0 || m.now_ns > NOW_MAX || m.next_serial > SERIAL_MAX || r->left)
		return -EBADMSG;
	v->clock_offset_ns += (int64_t)(m.now_ns - vgpu_now_ns(v));
	if (m.next_serial > v->registry.next_serial)
		v->registry.next_serial = m.next_serial;
	v->state_ended = true;
	return 0;
}

static int apply(struct vgpu *v, const struct s_head *h, struct rd *r)
{
	bool is_last = h->kind == STATE_COMMAND || h->kind == STATE_STREAM || h->kind == STATE_END;

	// Commands and streams name objects, which nothing changes any more.
	if (v->state_ended || (v->state_ends && !is_last))
		return -EBADMSG;
	v->state_ends = is_last;
	switch (h->kind) {
	case STATE_OBJECT:
		return apply_object(v, h, r);
	case STATE_REMOVED:
		return apply_removed(v, h);
	case STATE_COMMAND:
		return state_apply_command(v, r);
	case STATE_STREAM:
		return state_apply_stream(v, r);
	case STATE_END:
		return apply_end(v, r);
	default:
		return -EBADMSG;
	}
}

int state_apply(struct vgpu *v, const void *record, size_t n, struct ferry_error *e)
{
	struct rd r = rd_make(record, n);
	struct s_head h;
	int err = s_get_head(&r, &h);

	if (err == 0)
		err = apply(v, &h, &r);
	if (err == 0 && r.left)
		err = -EBADMSG;
	if (err == 0)
		return 0;
	return ferry_fail(e, err, "bad-state-record",
		"object %llu of type %u (record kind %u) cannot be applied: %s",
		(unsigned long long)h.serial, h.type, h.kind, strerror(-err));
}

bool state_is_complete(const struct vgpu *v)
{
	return v->state_ended && !v->restoring;
}

void state_own(struct vgpu *v)
{
	_cleanup_free_ struct object **list = NULL;
	size_t n = 0;

	if (registry_changed(&v->registry, 0, &list, &n) < 0)
		return; // what nobody else holds stays until its session ends: only memory
	for (size_t i = 0; i < n; i++)
		object_ref(list[i]); // one may be all that keeps another
	for (size_t i = 0; i < n; i++) {
		bool incoming = list[i]->incoming;
		list[i]->incoming = false;
		if (incoming && list[i]->type == OBJECT_PROGRAM)
			program_own((struct program *)list[i]);
		if (incoming)
			object_unref(list[i]);
		object_unref(list[i]);
	}
	v->state_ends = v->state_ended = false;
}
