// SPDX-License-Identifier: Apache-2.0
#include "vgpu/session/program.h"
#include "vgpu/session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void build_request_free(struct build_request *r)
{
	for (uint32_t i = 0; i < r->n_inputs; i++) {
		if (r->inputs && r->inputs[i])
			object_unref(&r->inputs[i]->o);
		if (r->names)
			free(r->names[i]);
	}
	free(r->inputs);
	free(r->names);
	free(r->options);
	*r = (struct build_request){ 0 };
}

void program_forget_request(struct program *p)
{
	if (p->building)
		return; // when it is over
	struct build_request old[] = { p->request, p->next_request };
	p->request = p->next_request = (struct build_request){ 0 };
	p->requested = p->deferred = p->again = false;
	for (int i = 0; i < 2; i++)
		build_request_free(&old[i]);
}

static void destroy(struct object *o)
{
	struct program *p = (struct program *)o;

	if (p->be)
		o->session->v->be->ops->program_free(p->be);
	*p->place = p->next;
	if (p->next)
		p->next->place = p->place;
	if (!program_is_complete(p))
		session_upload_orphan(o->session, NULL, p);
	o->session->v->text_bytes -= p->total;
	build_request_free(&p->request);
	build_request_free(&p->next_request);
	buf_free(&p->next_native);
	buf_free(&p->restored);
	buf_free(&p->questions);
	buf_free(&p->text);
	buf_free(&p->native);
	buf_free(&p->shapes);
	object_fini(o);
	free(p);
}

int program_new(struct session *s, uint64_t serial, enum program_origin origin, uint64_t total,
	struct program **ret)
{
	struct program *p = calloc(1, sizeof *p);

	if (!p)
		return -ENOMEM;
	int r = object_init(&p->o, &s->v->registry, OBJECT_PROGRAM, s, serial, destroy);
	if (r < 0) {
		free(p);
		return r;
	}
	p->origin = origin;
	p->total = total;
	p->next = s->programs;
	p->place = &s->programs;
	if (p->next)
		p->next->place = &p->next;
	s->programs = p;
	s->v->text_bytes += total;
	*ret = p;
	return 0;
}

int program_set_native(struct program *p, struct p_blob native, struct p_blob shapes)
{
	struct buf *to = p->building ? &p->next_native : &p->native;

	buf_reset(to);
	buf_put(to, native.at, native.n);
	buf_reset(&p->shapes);
	if (native.n)
		buf_put(&p->shapes, shapes.at, shapes.n);
	p->native_shapes = p->shapes.len / sizeof(uint64_t);
	return to->failed || p->shapes.failed ? -ENOMEM : 0;
}

void program_forget_native(struct program *p)
{
	buf_free(&p->native);
	buf_reset(&p->shapes);
	p->native_shapes = 0;
}

bool program_is_complete(const struct program *p)
{
	return p->text.len == p->total;
}

bool program_is_executable(const struct program *p)
{
	return p->executable && !p->building;
}

bool program_is_compiled(const struct program *p)
{
	return p->requested && !p->building && !p->deferred && p->request.kind == BE_COMPILE &&
	       p->build_result == CL_SUCCESS;
}

bool program_is_busy(const struct program *p)
{
	return p->building && (!p->deferred || p->again);
}

const struct build_request *program_request(const struct program *p)
{
	return p->again ? &p->next_request : &p->request;
}

bool program_has_shape(const struct program *p, uint64_t shape)
{
	struct rd r = rd_make(p->shapes.data, p->shapes.len);

	while (r.left)
		if (rd_u64(&r) == shape)
			return true;
	return false;
}

void program_specialised(struct program *p, uint64_t shape)
{
	if (p->shapes.len < PROGRAM_SHAPES * sizeof shape && !program_has_shape(p, shape))
		buf_put_u64(&p->shapes, shape);
}

static bool has_word(const struct program *p, const char *word)
{
	return p->text.len && memmem(p->text.data, p->text.len, word, strlen(word));
}

// A binary holds the names of what it calls. Looked for once: a guest can name a long header a thousand times.
static unsigned own_words(struct program *p)
{
	if (p->own_says || !program_is_complete(p))
		return p->own_says;
	bool declares = has_word(p, "overloadable") || has_word(p, "ovld");

	p->own_says = SAYS_KNOWN | (has_word(p, "printf") ? SAYS_PRINTF : 0) |
		      (declares ? SAYS_OVERLOADABLE : 0);
	return p->own_says;
}

// Of a header only the text counts, whatever it was compiled with: two programs can be each other's
// headers. A library of libraries of more than `depth` counts as saying everything.
static unsigned words_of(struct program *p, unsigned depth)
{
	const struct build_request *r = program_request(p);
	unsigned words = SAYS_KNOWN | own_words(p);

	if (p->says & SAYS_KNOWN)
		return p->says;
	if (!depth)
		return SAYS_KNOWN | SAYS_PRINTF | SAYS_OVERLOADABLE;
	for (uint32_t i = 0; i < r->n_inputs; i++)
		words |= r->kind == BE_LINK ? words_of(r->inputs[i], depth - 1)
					    : own_words(r->inputs[i]);
	p->says = words;
	return words;
}

static bool has_binary_part(const struct program *p)
{
	const struct build_request *r = program_request(p);

	for (uint32_t i = 0; i < r->n_inputs; i++)
		if (r->inputs[i]->origin == PROGRAM_BINARY)
			return true;
	return false;
}

bool program_may_lack(struct program *p)
{
	return words_of(p, PROGRAM_DEPTH) & SAYS_OVERLOADABLE || has_binary_part(p);
}

bool program_prints(struct program *p)
{
	return words_of(p, PROGRAM_DEPTH) & SAYS_PRINTF;
}
