// SPDX-License-Identifier: Apache-2.0
// Messages about programs and kernels.
#include "vgpu/session/kernel.h"
#include "vgpu/session/program.h"
#include "vgpu/session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct program *need_program(struct session *s, uint32_t id)
{
	return (struct program *)session_need(s, id, OBJECT_PROGRAM);
}

// A binary's answer waits until all its bytes are here.
static void tell_created(struct program *p, const struct p_frame *f)
{
	struct session *s = p->o.session;
	bool refused = p->o.failed != CL_SUCCESS;

	if (p->origin == PROGRAM_BINARY && !refused) {
		if (program_is_complete(p))
			program_binary_arrived(p, f->seq);
	} else if (f->flags & P_ANSWER) {
		session_answer(s, f->seq, p->o.failed, 0);
	} else if (refused) {
		session_failed(s, p->o.id, p->o.failed);
	}
}

// A program whose text begins in this message.
static int create(struct session *s, const struct p_frame *f, enum program_origin origin,
	uint32_t id, uint64_t total, struct p_blob bytes)
{
	struct program *p;
	struct upload *u;
	int r;

	if (session_check_new_id(s, id) < 0)
		return -EBADMSG;
	if (!total || total > PROTO_SOURCE_MAX || bytes.n > total)
		return session_breach(s, "a program of %llu bytes", (unsigned long long)total);
	bool refused = s->v->text_bytes + total > VGPU_TEXTS_MAX;
	if ((r = program_new(s, 0, origin, refused ? 0 : total, &p)) < 0)
		return r;
	r = session_enter(s, id, &p->o);
	if (r < 0)
		return r;
	if (refused)
		p->o.failed = CL_OUT_OF_HOST_MEMORY;
	else
		buf_put(&p->text, bytes.at, bytes.n);
	if (p->text.failed)
		return -ENOMEM;
	if (bytes.n < total) {
		r = session_upload(s, f->seq, total, bytes.n, &u);
		if (r < 0)
			return r;
		u->program = refused ? NULL : p;
	}
	tell_created(p, f);
	session_return_credit(s, f->length);
	return 0;
}

int session_on_program_source(
	struct session *s, const struct p_frame *f, const struct p_program_source *m)
{
	return create(s, f, PROGRAM_SOURCE, m->id, m->total, m->bytes);
}

int session_on_program_binary(
	struct session *s, const struct p_frame *f, const struct p_program_binary *m)
{
	return create(s, f, PROGRAM_BINARY, m->id, m->total, m->bytes);
}

// ---- builds

static char *text_of(struct p_blob blob)
{
	if (memchr(blob.at ? blob.at : (const uint8_t *)"", 0, blob.n))
		return NULL;
	return strndup(blob.n ? (const char *)blob.at : "", blob.n);
}

// The inputs' programs; a reference each.
static int add_inputs(struct session *s, struct build_request *r, const struct p_ids *ids)
{
	r->inputs = calloc(ids->n + 1, sizeof(struct program *));
	if (!r->inputs)
		return -ENOMEM;
	for (uint32_t i = 0; i < ids->n; i++) {
		struct program *p = need_program(s, p_id_at(ids, i));
		if (!p)
			return -EBADMSG;
		object_ref(&p->o);
		r->inputs[r->n_inputs++] = p;
	}
	return 0;
}

// One NUL-terminated name for each input.
static int add_names(struct build_request *r, struct p_blob names)
{
	const char *at = (const char *)names.at, *end = at + names.n;

	r->names = calloc(r->n_inputs + 1, sizeof(char *));
	if (!r->names)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->n_inputs; i++) {
		size_t n = strnlen(at, (size_t)(end - at));
		if (at + n == end)
			return -EBADMSG;
		if (!(r->names[i] = strdup(at)))
			return -ENOMEM;
		at += n + 1;
	}
	return at == end ? 0 : -EBADMSG;
}

static bool usable_input(const struct build_request *r, uint32_t i)
{
	const struct program *p = r->inputs[i];
	bool links = p->requested || p->origin == PROGRAM_BINARY;
	bool fits = r->kind == BE_LINK ? links : p->origin == PROGRAM_SOURCE;

	return fits && !program_is_busy(p) && program_is_complete(p);
}

// What a program can be made by, whatever its state (OpenCL 3.0, sections 5.8.4 to 5.8.6).
static bool has_kind(const struct program *p, int kind)
{
	switch (p->origin) {
	case PROGRAM_SOURCE:
		return kind == BE_BUILD || kind == BE_COMPILE;
	case PROGRAM_BINARY:
		return kind == BE_BUILD || kind == BE_LOAD;
	default:
		return kind == BE_LINK;
	}
}

// Starts it, or answers why not.
static int begin(struct session *s, const struct p_frame *f, struct program *p,
	struct build_request *request)
{
	int32_t refused = CL_SUCCESS;
	int r = 0;

	if (program_is_busy(p) || !program_is_complete(p) || !has_kind(p, request->kind))
		refused = CL_INVALID_OPERATION;
	if (p->o.failed != CL_SUCCESS)
		refused = p->o.failed;
	for (uint32_t i = 0; i < request->n_inputs; i++)
		if (!usable_input(request, i) || request->inputs[i] == p)
			refused = CL_INVALID_PROGRAM;
	if (refused == CL_SUCCESS) {
		p->answer_seq = f->seq;
		p->wants_answer = true;
		p->builds++;
		r = program_start_build(p, request, BUILD_ASKED);
	} else {
		session_answer(s, f->seq, refused, 0);
	}
	session_return_credit(s, f->length);
	return r;
}

int session_on_program_build(
	struct session *s, const struct p_frame *f, const struct p_program_build *m)
{
	struct build_request request = { .kind = BE_BUILD };

	struct program *p = need_program(s, m->program);
	if (!p)
		return -EBADMSG;
	request.options = text_of(m->options);
	int r = request.options ? begin(s, f, p, &request) : -EBADMSG;
	build_request_free(&request);
	return r;
}

int session_on_program_compile(
	struct session *s, const struct p_frame *f, const struct p_program_compile *m)
{
	struct build_request request = { .kind = BE_COMPILE };

	struct program *p = need_program(s, m->program);
	if (!p)
		return -EBADMSG;
	request.options = text_of(m->options);
	int r = request.options ? add_inputs(s, &request, &m->headers) : -EBADMSG;
	if (r == 0)
		r = add_names(&request, m->names);
	if (r == 0)
		r = begin(s, f, p, &request);
	build_request_free(&request);
	return r;
}

int session_on_program_link(
	struct session *s, const struct p_frame *f, const struct p_program_link *m)
{
	struct build_request request = { .kind = BE_LINK };
	struct program *p;

	if (session_check_new_id(s, m->id) < 0)
		return -EBADMSG;
	request.options = text_of(m->options);
	int r = request.options ? add_inputs(s, &request, &m->inputs) : -EBADMSG;
	if (r == 0)
		r = program_new(s, 0, PROGRAM_LINKED, 0, &p);
	if (r == 0)
		r = session_enter(s, m->id, &p->o);
	if (r == 0)
		r = begin(s, f, p, &request);
	build_request_free(&request);
	return r;
}

int session_on_program_query_type(
	struct session *s, const struct p_frame *f, const struct p_program_query_type *m)
{
	struct build_request request = { .kind = BE_LOAD };

	struct program *p = need_program(s, m->program);
	if (!p)
		return -EBADMSG;
	if (p->origin != PROGRAM_BINARY || p->requested) {
		session_answer(s, f->seq, CL_INVALID_OPERATION, 0);
		session_return_credit(s, f->length);
		return 0;
	}
	request.options = strdup("");
	int r = request.options ? begin(s, f, p, &request) : -ENOMEM;
	build_request_free(&request);
	return r;
}

int session_on_program_query_binary(
	struct session *s, const struct p_frame *f, const struct p_program_query_binary *m)
{
	int r = 0;

	struct program *p = need_program(s, m->program);
	if (!p)
		return -EBADMSG;
	if (program_is_busy(p) || !p->requested)
		session_answer(s, f->seq, CL_INVALID_PROGRAM_EXECUTABLE, 0);
	else
		r = program_query_binary(p, f->seq);
	session_return_credit(s, f->length);
	return r;
}

// ---- kernels

int session_on_kernel_create(
	struct session *s, const struct p_frame *f, const struct p_kernel_create *m)
{
	char name[PROTO_NAME_MAX + 1];
	struct kernel *k = NULL;

	if (session_check_new_id(s, m->id) < 0)
		return -EBADMSG;
	struct program *p = need_program(s, m->program);
	if (!p)
		return -EBADMSG;
	memcpy(name, m->name.at, m->name.n);
	name[m->name.n] = 0;
	int r = kernel_new(p, 0, name, &k);
	if (r == 0)
		kernel_make(k);
	return session_enter_made(s, f, r, m->id, k);
}

int session_on_kernel_args(
	struct session *s, const struct p_frame *f, const struct p_kernel_args *m)
{
	struct kernel *k = (struct kernel *)session_need(s, m->kernel, OBJECT_KERNEL);
	if (!k)
		return -EBADMSG;
	session_return_credit(s, f->length);
	return kernel_change_args(k, s, m->args);
}

int session_on_kernel_svm(struct session *s, const struct p_frame *f, const struct p_kernel_svm *m)
{
	struct kernel *k = (struct kernel *)session_need(s, m->kernel, OBJECT_KERNEL);
	if (!k)
		return -EBADMSG;
	session_return_credit(s, f->length);
	return kernel_change_svm(k, s, &m->allocations);
}
