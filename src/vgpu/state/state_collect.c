// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/buffer.h"
#include "vgpu/gate/command.h"
#include "vgpu/session/device.h"
#include "vgpu/session/port.h"
#include "vgpu/session/program.h"
#include "vgpu/session/session.h"
#include "vgpu/state/state_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void state_put_head(struct buf *b, uint32_t kind, uint32_t type, uint64_t serial)
{
	s_put_head(b, &(struct s_head){ kind, type, serial });
}

void state_put_serial(struct buf *list, const struct object *o)
{
	buf_put_u64(list, o ? o->serial : 0);
}

static struct p_blob text_blob(const char *text)
{
	return (struct p_blob){ (const uint8_t *)text, text ? strlen(text) : 0 };
}

// ---- one object

static void put_session(struct buf *b, const struct session *s)
{
	s_put_session(b, &(struct s_session){ .port = (uint32_t)s->port->index,
				 .pid = s->pid,
				 .nonce = s->nonce,
				 .process = text_blob(s->process) });
}

static void put_queue(struct buf *b, const struct queue *q)
{
	s_put_queue(b, &(struct s_queue){ q->properties, q->device ? q->device->o.serial : 0 });
}

static void put_device(struct buf *b, const struct device *d)
{
	_cleanup_buf_ struct buf units = { 0 };

	for (uint32_t i = 0; i < d->how.n; i++)
		buf_put_u32(&units, d->how.units[i]);
	s_put_device(b, &(struct s_device){ .parent = d->parent ? d->parent->o.serial : 0,
				.property = d->how.kind,
				.index = d->how.index,
				.units = p_blob_of(&units) });
	if (units.failed)
		b->failed = true;
}

static void put_buffer(struct buf *b, const struct buffer *m)
{
	s_put_buffer(b, &(struct s_buffer){ .flags = m->flags,
				.size = m->size,
				.parent = m->parent ? m->parent->o.serial : 0,
				.origin = m->origin,
				.first = m->run.first,
				.count = m->run.count,
				.svm = m->svm });
}

static void put_image(struct buf *b, const struct image *m)
{
	const struct image_shape *s = &m->shape;

	s_put_image(b, &(struct s_image){ .flags = m->b.flags,
			       .image_type = s->type,
			       .order = s->order,
			       .data_type = s->data_type,
			       .extent = { { s->extent[0], s->extent[1], s->extent[2] } },
			       .array_size = s->array_size,
			       .parent = m->b.parent ? m->b.parent->o.serial : 0,
			       .first = m->b.run.first,
			       .count = m->b.run.count });
}

static void put_sampler(struct buf *b, const struct be_sampler_state *s)
{
	s_put_sampler(b, &(struct s_sampler){ s->normalized, s->addressing, s->filter });
}

// What a program is made of, and not what was asked to be done with it: for references to it.
static void put_bare_program(struct buf *b, const struct program *p)
{
	state_put_head(b, STATE_OBJECT, OBJECT_PROGRAM, p->o.serial);
	s_put_object(b, &(struct s_object){ p->o.session->o.serial, p->o.id, p->o.failed });
	s_put_program(
		b, &(struct s_program){
			   .origin = p->origin, .total = p->total, .text = p_blob_of(&p->text) });
}

static void put_program(struct buf *b, const struct program *p, bool natives)
{
	_cleanup_buf_ struct buf inputs = { 0 }, names = { 0 };
	const struct build_request *r = program_request(p);
	struct p_blob none = { 0 },
		      shapes = { p->shapes.data, p->native_shapes * sizeof(uint64_t) };

	for (uint32_t i = 0; i < r->n_inputs; i++) {
		state_put_serial(&inputs, &r->inputs[i]->o);
		if (r->names)
			buf_put(&names, r->names[i], strlen(r->names[i]) + 1);
	}
	s_put_program(b, &(struct s_program){ .origin = p->origin,
				 .total = p->total,
				 .text = p_blob_of(&p->text),
				 .requested = p->requested,
				 .builds = p->builds,
				 .kind = (uint32_t)r->kind,
				 .result = p->build_result,
				 .options = text_blob(r->options),
				 .inputs = p_blob_of(&inputs),
				 .names = p_blob_of(&names),
				 .wants_answer = p->wants_answer,
				 .answer_seq = p->answer_seq,
				 .executable = p->executable,
				 .native = natives ? p_blob_of(&p->native) : none,
				 .shapes = natives ? shapes : none,
				 .questions = p_blob_of(&p->questions) });
	if (inputs.failed || names.failed)
		b->failed = true;
}

void state_put_args(struct buf *items, const struct arg_set *set)
{
	for (uint32_t i = 0; set && i < set->n; i++) {
		const struct arg *a = &set->args[i];
		struct s_arg m = { .kind = a->kind, .is_set = a->version != 0 };
		if (a->kind == PROTO_ARG_BYTES)
			m.bytes = (struct p_blob){ arg_bytes(a), a->bytes };
		else
			m.value = a->kind == PROTO_ARG_LOCAL ? a->bytes : a->value.serial;
		m.offset = a->offset;
		s_put_arg(items, &m);
	}
}

static void put_kernel(struct buf *b, const struct kernel *k)
{
	_cleanup_buf_ struct buf items = { 0 }, svm = { 0 };

	state_put_args(&items, k->args);
	for (uint32_t i = 0; i < k->n_svm; i++)
		buf_put_u64(&svm, k->svm[i]);
	s_put_kernel(b, &(struct s_kernel){ .program = k->program->o.serial,
				.name = text_blob(k->name),
				.args = k->args ? k->args->n : 0,
				.has_args = k->args != NULL,
				.items = p_blob_of(&items),
				.svm = p_blob_of(&svm) });
	if (items.failed || svm.failed)
		b->failed = true;
}

static void put_event(struct buf *b, const struct event *ev)
{
	s_put_event(b, &(struct s_event){ ev->user, ev->status, ev->times.queued,
			       ev->times.submitted, ev->times.started, ev->times.ended });
}

static void put_object(struct buf *b, const struct object *o, bool natives)
{
	state_put_head(b, STATE_OBJECT, o->type, o->serial);
	s_put_object(
		b, &(struct s_object){ o->session ? o->session->o.serial : 0, o->id, o->failed });
	switch (o->type) {
	case OBJECT_SESSION:
		put_session(b, (const struct session *)o);
		return;
	case OBJECT_QUEUE:
		put_queue(b, (const struct queue *)o);
		return;
	case OBJECT_BUFFER:
		put_buffer(b, (const struct buffer *)o);
		return;
	case OBJECT_DEVICE:
		put_device(b, (const struct device *)o);
		return;
	case OBJECT_IMAGE:
		put_image(b, (const struct image *)o);
		return;
	case OBJECT_SAMPLER:
		put_sampler(b, &((const struct sampler *)o)->state);
		return;
	case OBJECT_PROGRAM:
		put_program(b, (const struct program *)o, natives);
		return;
	case OBJECT_KERNEL:
		put_kernel(b, (const struct kernel *)o);
		return;
	case OBJECT_EVENT:
		put_event(b, (const struct event *)o);
		return;
	case OBJECT_CONTEXT:
	case OBJECT_TYPES:
		return;
	}
}

// ---- a collection

struct sink {
	state_emit_fn emit;
	void *to;
	struct buf record;
};

// Hands over what is in the record, and empties it.
static int flush(struct sink *k, struct ferry_error *e)
{
	int r = k->record.failed ? -ENOMEM : k->emit(k->to, k->record.data, k->record.len);

	buf_reset(&k->record);
	return r < 0 ? ferry_fail(e, r, "no-memory", "an object's state cannot be collected") : 0;
}

static int emit_removed(struct registry *g, struct sink *k, struct ferry_error *e)
{
	int r = g->removals_lost
			? ferry_fail(e, ENOMEM, "no-memory", "removed objects were not noted")
			: 0;

	for (size_t i = 0; r == 0 && i < g->n_removed; i++) {
		state_put_head(&k->record, STATE_REMOVED, 0, g->removed[i]);
		r = flush(k, e);
	}
	registry_note_removals(g, true);
	return r;
}

// A session that is over, and what its last commands still hold, is going: its removal will follow.
static bool is_going(const struct object *o)
{
	const struct session *s =
		o->type == OBJECT_SESSION ? (const struct session *)o : o->session;

	return s->over;
}

// A header may be younger than what was compiled with it, and two programs each other's headers.
static int emit_headers(
	struct state_source *s, const struct program *p, struct sink *k, struct ferry_error *e)
{
	const struct build_request *request = program_request(p);
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < request->n_inputs; i++) {
		const struct program *header = request->inputs[i];
		if (header->o.serial < p->o.serial || header->o.changed <= s->since)
			continue;
		put_bare_program(&k->record, header);
		r = flush(k, e);
	}
	return r;
}

static int emit_object(
	struct state_source *s, const struct object *o, struct sink *k, struct ferry_error *e)
{
	int r = o->type == OBJECT_PROGRAM ? emit_headers(s, (const struct program *)o, k, e) : 0;

	if (r < 0)
		return r;
	put_object(&k->record, o, s->natives);
	return flush(k, e);
}

static int emit_objects(struct state_source *s, struct sink *k, struct ferry_error *e)
{
	_cleanup_free_ struct object **list = NULL;
	size_t n = 0;
	int r = registry_changed(&s->v->registry, s->since, &list, &n);

	if (r < 0)
		return ferry_fail(e, r, "no-memory", "no memory for object state");
	for (size_t i = 0; r == 0 && i < n; i++)
		if (!is_going(list[i]))
			r = emit_object(s, list[i], k, e);
	return r;
}

static int emit_commands(struct vgpu *v, struct sink *k, struct ferry_error *e)
{
	int r = 0;

	for (struct queue *q = v->queues; q; q = q->next_queue)
		for (struct command *c = q->head; r == 0 && c; c = c->next) {
			state_put_command(&k->record, c);
			r = flush(k, e);
		}
	return r;
}

static int emit_last(struct vgpu *v, struct sink *k, struct ferry_error *e)
{
	int r = emit_commands(v, k, e);

	for (size_t i = 0; r == 0 && i < v->n_ports; i++) {
		if (!v->ports[i])
			continue;
		state_put_stream(&k->record, v->ports[i]);
		r = flush(k, e);
	}
	if (r < 0)
		return r;
	state_put_head(&k->record, STATE_END, 0, 0);
	s_put_end(&k->record, &(struct s_end){ vgpu_now_ns(v), v->registry.next_serial });
	return flush(k, e);
}

void state_source_begin(struct state_source *s, struct vgpu *v, bool natives)
{
	*s = (struct state_source){ .v = v, .natives = natives, .begun = true };
	registry_note_removals(&v->registry, true);
}

void state_source_end(struct state_source *s)
{
	if (s->begun)
		registry_note_removals(&s->v->registry, false);
	s->begun = false;
}

int state_collect(
	struct state_source *s, bool final, state_emit_fn emit, void *to, struct ferry_error *e)
{
	struct sink k = { .emit = emit, .to = to };
	struct registry *g = &s->v->registry;
	uint64_t now = g->clock;
	int r = emit_removed(g, &k, e);

	if (r == 0)
		r = emit_objects(s, &k, e);
	if (r == 0 && final)
		r = emit_last(s->v, &k, e);
	if (r == 0)
		s->since = now;
	buf_free(&k.record);
	return r;
}

// ---- native binaries

struct natives {
	struct state_source *s;
	size_t programs, left;
	void (*done)(void *arg);
	void *arg;
};

static void on_taken(void *arg)
{
	struct natives *n = arg;

	n->left--;
	if (n->programs && n->s->taking)
		n->s->taking(n->s->taking_arg, n->programs - n->left, n->programs);
	if (n->left)
		return;
	void (*done)(void *arg) = n->done;
	void *to = n->arg;
	free(n);
	done(to);
}

int state_source_take_natives(struct state_source *s, void (*done)(void *arg), void *arg)
{
	_cleanup_free_ struct object **list = NULL;
	struct natives *n = malloc(sizeof *n);
	size_t count = 0;

	if (!n || (s->natives && registry_changed(&s->v->registry, 0, &list, &count) < 0)) {
		free(n);
		return -ENOMEM;
	}
	*n = (struct natives){ .s = s, .left = 1, .done = done, .arg = arg };
	for (size_t i = 0; i < count; i++) {
		if (list[i]->type != OBJECT_PROGRAM)
			continue;
		n->left++;
		if (program_take_native((struct program *)list[i], on_taken, n) < 0)
			n->left--; // goes without: built from source there
	}
	n->programs = n->left - 1;
	on_taken(n);
	return 0;
}
